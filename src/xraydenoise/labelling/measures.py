"""How far a label went from its input: brightness, fine detail, and what became of an inserted lesion."""

from typing import NamedTuple

import cv2
import numpy as np

BLOCK = 32  # px; a tile that went astray is seen in its blocks, where the mean over the whole would hide it
FINE = 1.5  # px; sigma of the blur that parts fine detail from the rest
FLOOR = 1e-5  # fraction of full scale, added to both, so that two flat pictures have the ratio 1


class Findings(NamedTuple):
    """The measured columns of `audit.Audit`; survival is NaN where no lesion could be inserted."""

    mean_input: float
    mean_label: float
    shift: float
    detail: float
    survival: float


def measure(pixels: np.ndarray, label: np.ndarray, survival: float) -> Findings:
    """How far a label went from its input, both float32 (H, W); `survival` is of `lesions`, NaN where there was no place for one."""
    mean_input, mean_label = float(pixels.mean(dtype=np.float64)), float(label.mean(dtype=np.float64))
    return Findings(mean_input, mean_label, mean_label - mean_input, (fine(label) + FLOOR) / (fine(pixels) + FLOOR), survival)


def blocks(height: int, width: int) -> list[tuple[slice, slice]]:
    """Squares of 32 px that cover the picture, smaller only where it is; the last ones overlap: a single pixel left over proves nothing."""
    tops, lefts = ([min(start, max(0, length - BLOCK)) for start in range(0, length, BLOCK)] for length in (height, width))
    return [(slice(top, top + BLOCK), slice(left, left + BLOCK)) for top in tops for left in lefts]


def block_shift(pixels: np.ndarray, label: np.ndarray) -> float:
    """The furthest that the mean of a block moved, with its sign."""
    return max((float(label[place].mean()) - float(pixels[place].mean()) for place in blocks(*pixels.shape)), key=abs)


def fine(pixels: np.ndarray) -> float:
    """Mean magnitude of fine detail, which a blur of 1.5 px takes away.

    For noise and texture it compares two pictures as a standard deviation does. That one a few strong edges would rule: a collimator's,
    which Real-ESRGAN sharpens, hid that it had taken away the noise of all the rest.
    """
    return float(np.abs(pixels - cv2.GaussianBlur(pixels, (0, 0), FINE, borderType=cv2.BORDER_REFLECT_101)).mean(dtype=np.float64))
