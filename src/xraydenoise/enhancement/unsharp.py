"""Unsharp mask: add back what a Gaussian blur takes away."""

import cv2
import numpy as np


def sharpen(pixels: np.ndarray, sigma: float, amount: float) -> np.ndarray:
    """pixels + amount * (pixels - blurred), blurred with `sigma` px; float32 (H, W) -> the same, values may leave [0, 1]."""
    blurred = cv2.GaussianBlur(pixels, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101)
    sharpened: np.ndarray = pixels + amount * (pixels - blurred)
    return sharpened
