"""Tone curves: gamma, a window with hard saturation, and histogram equalisation."""

import numpy as np


def gamma(pixels: np.ndarray, exponent: float) -> np.ndarray:
    """pixels ** exponent: above 1 darkens the middle, below 1 lightens it; float32 (H, W) -> the same, cut to [0, 1] first."""
    curved: np.ndarray = np.clip(pixels, 0, 1) ** np.float32(exponent)
    return curved


def window(pixels: np.ndarray, low: float, high: float) -> np.ndarray:
    """The values from `low` to `high` spread over [0, 1], those outside saturated; float32 (H, W) -> the same."""
    spread: np.ndarray = np.clip((pixels - np.float32(low)) / np.float32(high - low), 0, 1)
    return spread


def equalise(pixels: np.ndarray) -> np.ndarray:
    """Histogram equalisation of the whole picture: each value becomes the share of brighter-than-darkest pixels at or below it.

    The darkest value becomes 0, so that a black background stays black; float32 (H, W) -> the same.
    """
    levels, place, counts = np.unique(pixels, return_inverse=True, return_counts=True)
    share = np.cumsum(counts, dtype=np.float64) - counts[0]
    return np.asarray(share[place].reshape(pixels.shape) / share[-1] if len(levels) > 1 else pixels, np.float32)
