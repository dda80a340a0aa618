"""Multi-band detail gain on a Laplacian pyramid (Burt & Adelson 1983), bounded at strong edges like MUSICA (Vuylsteke & Schoeters 1994)."""

from collections.abc import Sequence

import cv2
import numpy as np


def amplify(pixels: np.ndarray, gains: Sequence[float], base: float = 1.0, soften: float = 0.1) -> np.ndarray:
    """Multiply the detail of each band by its gain; float32 (H, W) -> the same, values may leave [0, 1].

    `gains[k]` is for the band around sigma 2**k px. Details of more than `soften` (fraction of full scale) gain ever less, so that edges
    do not ring. `base` scales what is coarser than all bands about its mean: below 1 it makes room for detail. A picture too small
    for a band leaves that band out.
    """
    if not gains:
        return compressed(pixels, base)
    size = (pixels.shape[1], pixels.shape[0])
    coarse = cv2.pyrDown(pixels)
    detail = pixels - cv2.pyrUp(coarse, dstsize=size)
    deeper = gains[1:] if min(coarse.shape) > 1 else ()
    amplified: np.ndarray = cv2.pyrUp(amplify(coarse, deeper, base, soften), dstsize=size) + gained(detail, gains[0], soften)
    return amplified


def gained(detail: np.ndarray, gain: float, soften: float) -> np.ndarray:
    """Slope `gain` at zero that falls to 1 for details well above `soften`; odd, and monotone for gains of 1 and more."""
    amplified: np.ndarray = detail * (1 + (gain - 1) / (1 + np.abs(detail) / soften))
    return amplified


def compressed(pixels: np.ndarray, factor: float) -> np.ndarray:
    """Pixels drawn towards their mean: factor 1 changes nothing, 0 leaves the mean alone."""
    mean = pixels.mean(dtype=np.float64)
    drawn: np.ndarray = (mean + factor * (pixels - mean)).astype(np.float32)
    return drawn
