"""Tone curves: gamma, and a window with hard saturation."""

import numpy as np


def gamma(pixels: np.ndarray, exponent: float) -> np.ndarray:
    """pixels ** exponent: above 1 darkens the middle, below 1 lightens it; float32 (H, W) -> the same, cut to [0, 1] first."""
    curved: np.ndarray = np.clip(pixels, 0, 1) ** np.float32(exponent)
    return curved


def window(pixels: np.ndarray, low: float, high: float) -> np.ndarray:
    """The values from `low` to `high` spread over [0, 1], those outside saturated; float32 (H, W) -> the same."""
    spread: np.ndarray = np.clip((pixels - np.float32(low)) / np.float32(high - low), 0, 1)
    return spread
