"""Audits of a denoiser that no average score shows: it stays finite, answers the same twice, and adds no structure of its own."""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from pydantic import Field

from xraydenoise import kinds
from xraydenoise.evaluation.baselines import Denoiser
from xraydenoise.evaluation.spectrum import MODES, noise_power

SIDE = 128  # px, of the made pictures
LEVELS = (0.2, 0.5, 0.8)  # of the flat fields, fractions of full scale
SIGMA = 0.1  # of the noise on them, fraction of full scale
DRAWS = 8  # of that noise, for each level
SCALES = (1.5, 3.0, 6.0)  # px, sigma of the blurs between which the bands of structure lie
REACH = 3.0  # times its scale, sigma of the window over which a band's energy is taken: wider than a blur can spread an edge


class AuditConfig(kinds.Config):
    """How much of its own a denoiser may add."""

    added_detail: float = Field(gt=0, le=1)  # rms contrast over the clean input's own, fraction of full scale
    fixed_pattern: float = Field(gt=0, le=1)  # standard deviation, fraction of full scale
    noise_gain: float = Field(ge=1)  # noise power out over in, at any spatial frequency


class Audit(NamedTuple):
    """One finding; it passed where `value` is at most `limit`, which NaN never is."""

    name: str
    passed: bool
    value: float
    limit: float
    detail: str


def audits(denoise: Denoiser, cleans: Sequence[np.ndarray], config: AuditConfig, seed: int) -> list[Audit]:
    """All of them. `cleans` are truths without noise, float32 (H, W); the made noise is drawn from `seed`.

    Raises ValueError where there is no truth.
    """
    if not cleans:
        raise ValueError("no clean picture to audit the denoiser on; give test patients a share in ingest.split")
    return [
        finite(denoise),
        deterministic(denoise, _flat(0.5, np.random.default_rng(seed))),
        added_detail(denoise, cleans, config.added_detail),
        *flat_fields(denoise, seed, config.fixed_pattern, config.noise_gain),
    ]


def finite(denoise: Denoiser) -> Audit:
    """NaN, infinity and missing pixels for the extremes that a file can hold: all 0, all 1, a checkerboard, one lone pixel of either."""
    checkerboard = (np.indices((SIDE, SIDE)).sum(axis=0) % 2).astype(np.float32)
    lone = np.zeros((SIDE, SIDE), np.float32)
    lone[SIDE // 2, SIDE // 3] = 1
    extremes = {"all 0": lone * 0, "all 1": lone * 0 + 1, "checkerboard": checkerboard, "a lone 1": lone, "a lone 0": 1 - lone}
    bad = {name: pixels.size - _finite_pixels(denoise(pixels), pixels.shape) for name, pixels in extremes.items()}
    return _audit("finite", max(bad.values()), 0, f"pixels that are not finite, most for {max(bad, key=bad.__getitem__)}")


def deterministic(denoise: Denoiser, noisy: np.ndarray) -> Audit:
    """Two calls on `noisy` (H, W) give the same bytes."""
    first, second = np.ascontiguousarray(denoise(noisy)), np.ascontiguousarray(denoise(noisy))
    differ = int(np.count_nonzero(first.view(np.uint8) != second.view(np.uint8)))
    return _audit("deterministic", differ, 0, "bytes that differ between two calls")


def added_detail(denoise: Denoiser, cleans: Sequence[np.ndarray], limit: float) -> Audit:
    """The most contrast that the output holds and the truth does not, when the truth itself is denoised.

    Where the local energy (mean square over a window) of a band of detail is above that of the truth, something was added: texture, false
    edges, ringing, blotches. Smoothing only takes energy away and passes. The value is the root of the largest excess over all pixels,
    pictures and bands, that is an rms contrast as a fraction of full scale. On chest radiographs of 256 px a 3x3 median filter read .015,
    a DnCNN .021, the same with half an unsharp mask .031, and a U-Net that had not learnt weak noise, and fell apart without any, .17. One
    faint false spot is below what this can see.
    """
    excess = [_excess(clean, np.clip(denoise(clean), 0, 1)) for clean in cleans]
    return _audit("added_detail", float(np.max(excess)), limit, f"rms contrast added to a clean picture, the worst of {len(cleans)}")


def flat_fields(denoise: Denoiser, seed: int, pattern_limit: float, gain_limit: float) -> list[Audit]:
    """Two findings on flat fields under white Gaussian noise, where all structure in the output is noise or invented.

    Fixed pattern: what the outputs of independent draws share, as the mean covariance of two of them, which noise does not move (checker-
    boards of strided convolutions, seams of tiles, borders); its root is a standard deviation. Noise gain: the largest ratio over
    frequencies of the output's noise power (`spectrum`) to the input's; above 1, noise is amplified into blotches or texture.
    """
    rng = np.random.default_rng(seed)
    patterns, gains = [], []
    for level in LEVELS:
        inputs = np.stack([_flat(level, rng) for _ in range(DRAWS)]).astype(np.float64)  # (D, S, S)
        outputs = np.stack([np.clip(denoise(pixels.astype(np.float32)), 0, 1) for pixels in inputs]).astype(np.float64)
        outputs -= outputs.mean(axis=(1, 2), keepdims=True)
        shared = np.square(outputs.sum(axis=0)) - np.square(outputs).sum(axis=0)  # the products of two different draws
        patterns.append(np.sqrt(np.maximum(shared.mean() / (DRAWS * (DRAWS - 1)), 0)))
        gains.append(np.max(_power(outputs) / _power(inputs)))
    where = f"on flat fields of {', '.join(f'{level:g}' for level in LEVELS)} under noise of sigma {SIGMA:g}"
    return [
        _audit("fixed_pattern", float(np.max(patterns)), pattern_limit, f"standard deviation of what all outputs share {where}"),
        _audit("noise_gain", float(np.max(gains)), gain_limit, f"noise power out over in at the worst frequency {where}"),
    ]


def _audit(name: str, value: float, limit: float, detail: str) -> Audit:
    return Audit(name, bool(value <= limit), float(value), float(limit), detail)


def _finite_pixels(output: np.ndarray, shape: tuple[int, ...]) -> int:
    return int(np.isfinite(output).sum()) if output.shape == shape else 0


def _flat(level: float, rng: np.random.Generator) -> np.ndarray:
    return np.clip(level + SIGMA * rng.standard_normal((SIDE, SIDE)), 0, 1).astype(np.float32)


def _excess(clean: np.ndarray, output: np.ndarray) -> float:
    worst = 0.0
    finer = clean, output
    for scale in SCALES:
        coarser = _blur(clean, scale), _blur(output, scale)
        before, after = (_blur(np.square(fine - coarse), REACH * scale) for fine, coarse in zip(finer, coarser, strict=True))
        worst = float(np.maximum(worst, np.max(after - before)))  # keeps NaN, which max() may lose
        finer = coarser
    return float(np.sqrt(worst))


def _blur(pixels: np.ndarray, sigma: float) -> np.ndarray:
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), sigma, borderType=cv2.BORDER_REFLECT))


def _power(pictures: np.ndarray) -> np.ndarray:
    """Noise power by frequency but 0, mean over `pictures` (D, H, W); NaN where one is not finite."""
    if not np.isfinite(pictures).all():
        return np.full(len(MODES) - 1, np.nan)
    return np.asarray(np.mean([noise_power(picture).power[1:] for picture in pictures], axis=0))
