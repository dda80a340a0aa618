"""How val chooses a setting: by the mean PSNR of its pictures, with everything else that may be learnt from them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from functools import cache
from math import sqrt
from typing import Any, NamedTuple

import numpy as np

from xraydenoise.evaluation import metrics
from xraydenoise.evaluation.baselines.base import Baseline, Setting, name
from xraydenoise.evaluation.baselines.calibration import Curve, curve

HALVINGS = 2  # of the steps between the numbers of a scale

Pair = tuple[np.ndarray, np.ndarray]  # noisy and target, each float32 (H, W)


class Fitted(NamedTuple):
    """A baseline as val wants it."""

    baseline: Baseline
    chosen: Setting
    curve: Curve | None  # where the baseline is calibrated

    @property
    def setting(self) -> str:
        """Its name in the scores."""
        return name(self.chosen)

    def denoise(self, noisy: np.ndarray) -> np.ndarray:
        """Float32 (H, W) -> the same, calibrated."""
        denoised = self.baseline.denoise(noisy, self.chosen)
        return denoised if self.curve is None else self.curve(denoised)

    def record(self) -> dict[str, Any]:
        """What val chose, for JSON, which keeps every bit of it."""
        return {"setting": dict(self.chosen), "curve": self.curve and self.curve._asdict()}


def recall(baseline: Baseline, record: Mapping[str, Any]) -> Fitted:
    """`baseline` as it was fitted when the record was made."""
    return Fitted(baseline, record["setting"], record["curve"] and Curve(**record["curve"]))


def fit(baseline: Baseline, pairs: Iterable[Pair], pool: Executor) -> Fitted:
    """`baseline` with the setting, and the calibration, that is best for `pairs`.

    It climbs from the middle of the ranges, then halves the steps of the scales and climbs on, so the optimum is met as closely by a coarse
    range as by a fine one. Raises ValueError where there is something to fit and no pair to fit it on.
    """
    ranges = baseline.ranges()
    if not baseline.calibrate and all(len(one.values) == 1 for one in ranges.values()):
        return Fitted(baseline, {key: one.values[0] for key, one in ranges.items()}, None)
    pairs = list(pairs)
    if not pairs:
        raise ValueError(f"no val picture to fit {baseline.kind} on; give val a share in ingest.split")

    @cache
    def fitted(place: tuple[float, ...]) -> tuple[Fitted, float]:
        return _fitted(baseline, dict(zip(ranges, place, strict=True)), pairs, pool)

    axes = [one.values for one in ranges.values()]
    best = tuple(values[len(values) // 2] for values in axes)
    for halving in range(HALVINGS + 1):
        if halving:
            axes = [between(axis, at) if one.continuous else axis for axis, at, one in zip(axes, best, ranges.values(), strict=True)]
        best = climb(axes, best, lambda place: fitted(place)[1])
    return fitted(best)[0]


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


def _fitted(baseline: Baseline, setting: Setting, pairs: list[Pair], pool: Executor) -> tuple[Fitted, float]:
    """The baseline with this setting, calibrated on `pairs` if it is to be, and its mean PSNR over them in dB."""
    plain = Fitted(baseline, setting, None)
    denoised = list(pool.map(plain.denoise, [noisy for noisy, _ in pairs]))
    targets = [target for _, target in pairs]
    if not baseline.calibrate:
        return plain, _mean_psnr(denoised, targets)
    corrected = curve(denoised, targets)
    return plain._replace(curve=corrected), _mean_psnr([corrected(one) for one in denoised], targets)


def _mean_psnr(denoised: list[np.ndarray], targets: list[np.ndarray]) -> float:
    return float(np.mean([metrics.psnr(metrics.clip(one, target), target) for one, target in zip(denoised, targets, strict=True)]))
