"""The curve that takes what a denoiser makes of a brightness to what was meant: it undoes clipping, offsets and lost contrast.

Clipped noise has another mean than its picture (A. Foi, Clipped noisy images: heteroskedastic modeling and practical denoising, Signal
Processing 89(12), 2009), and a denoiser that averages well finds that mean. Networks learn the way back from their targets.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

STEPS = 64  # between the darkest and the brightest pixel


class Curve(NamedTuple):
    """A map of pictures, float (H, W) -> float32 (H, W): straight between its knots, with slope 1 beyond them."""

    knots: Sequence[float]  # brightness before, rising
    heights: Sequence[float]  # brightness after

    def __call__(self, picture: np.ndarray) -> np.ndarray:
        beyond = np.minimum(picture - self.knots[0], 0) + np.maximum(picture - self.knots[-1], 0)
        return np.asarray(np.interp(picture, self.knots, self.heights) + beyond, np.float32)


def curve(denoised: Sequence[np.ndarray], targets: Sequence[np.ndarray]) -> Curve:
    """The rising curve with the least squared error that brings `denoised` to `targets`, each float (H, W).

    Its knots are the mean brightnesses of `STEPS` steps.
    """
    from scipy.optimize import isotonic_regression  # here, since params.yaml names every kind and no other stage should wait for it

    low, high = min(float(one.min()) for one in denoised), max(float(one.max()) for one in denoised)
    sums = np.zeros((3, STEPS))  # pixels, and the sums of their brightness before and after
    for one, target in zip(denoised, targets, strict=True):
        step = ((one.ravel() - low) * (STEPS / max(high - low, 1e-6))).astype(np.intp).clip(0, STEPS - 1)
        sums += [np.bincount(step, weights, STEPS) for weights in (np.ones(one.size), one.ravel(), target.ravel())]
    pixels, before, after = sums[:, sums[0] > 0]
    return Curve((before / pixels).tolist(), isotonic_regression(after / pixels, weights=pixels).x.tolist())
