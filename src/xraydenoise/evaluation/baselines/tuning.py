"""How val chooses a setting: by the mean PSNR of its pictures, with everything else that may be learnt from them."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from functools import cache, partial
from math import sqrt
from typing import NamedTuple

import numpy as np

from xraydenoise.evaluation import metrics
from xraydenoise.evaluation.baselines.base import Baseline, Denoiser, name
from xraydenoise.evaluation.baselines.calibration import curve

HALVINGS = 2  # of the steps between the numbers of a scale

Pair = tuple[np.ndarray, np.ndarray]  # noisy and target, each float32 (H, W)


class Fitted(NamedTuple):
    setting: str  # its name in the scores
    denoise: Denoiser  # calibrated where the baseline says so


def fit(baseline: Baseline, pairs: Iterable[Pair], pool: Executor) -> Fitted:
    """`baseline` with the setting, and the calibration, that is best for `pairs`.

    It climbs from the middle of the ranges, then halves the steps of the scales and climbs on, so the optimum is met as closely by a coarse
    range as by a fine one. Raises ValueError where there is something to fit and no pair to fit it on.
    """
    if not baseline.calibrate and len(settings := baseline.settings()) == 1:
        return Fitted(*next(iter(settings.items())))
    ranges = baseline.ranges()
    pairs = list(pairs)
    if not pairs:
        raise ValueError(f"no val picture to fit {baseline.kind} on; give val a share in ingest.split")

    @cache
    def fitted(place: tuple[float, ...]) -> tuple[Denoiser, float]:
        return _fitted(partial(baseline.denoise, setting=dict(zip(ranges, place, strict=True))), baseline.calibrate, pairs, pool)

    axes = [one.values for one in ranges.values()]
    best = tuple(values[len(values) // 2] for values in axes)
    for halving in range(HALVINGS + 1):
        if halving:
            axes = [between(axis, at) if one.continuous else axis for axis, at, one in zip(axes, best, ranges.values(), strict=True)]
        best = climb(axes, best, lambda place: fitted(place)[1])
    return Fitted(name(dict(zip(ranges, best, strict=True))), fitted(best)[0])


def climb(axes: Sequence[tuple[float, ...]], start: tuple[float, ...], height: Callable[[tuple[float, ...]], float]) -> tuple[float, ...]:
    """The top that is reached from `start` by steps along one axis after the other, each a list of numbers."""
    top, before = start, None
    while top != before:
        before = top
        for axis, values in enumerate(axes):
            for onward in (values, values[::-1]):
                for value in onward[onward.index(top[axis]) + 1 :]:
                    ahead = (*top[:axis], value, *top[axis + 1 :])
                    if height(ahead) <= height(top):
                        break
                    top = ahead
    return top


def between(axis: tuple[float, ...], at: float) -> tuple[float, ...]:
    """`at`, its neighbours on `axis`, and the geometric means towards them, to three digits."""
    index = axis.index(at)
    near = axis[max(index - 1, 0) : index + 2]
    return tuple(sorted({*near, *(float(f"{sqrt(at * other):.3g}") for other in near if other != at)}))


def _fitted(denoise: Denoiser, calibrate: bool, pairs: list[Pair], pool: Executor) -> tuple[Denoiser, float]:
    """The denoiser, calibrated on `pairs` if it is to be, and its mean PSNR over them in dB."""
    denoised = list(pool.map(denoise, [noisy for noisy, _ in pairs]))
    targets = [target for _, target in pairs]
    if not calibrate:
        return denoise, _mean_psnr(denoised, targets)
    corrected = curve(denoised, targets)
    return lambda noisy: corrected(denoise(noisy)), _mean_psnr([corrected(one) for one in denoised], targets)


def _mean_psnr(denoised: list[np.ndarray], targets: list[np.ndarray]) -> float:
    return float(np.mean([metrics.psnr(metrics.clip(one, target), target) for one, target in zip(denoised, targets, strict=True)]))
