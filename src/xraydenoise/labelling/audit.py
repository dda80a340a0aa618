"""What a label did to its picture: refuse a broken one, and tell how far a good one went (it shifts brightness, invents texture)."""

from typing import NamedTuple

import cv2
import numpy as np
import pandera.pandas as pa
from pandera.typing import Series

from xraydenoise import contracts

BLOCK = 32  # px; a tile that came out black is seen in its blocks, where the mean over the whole would hide it
BLACK = 0.002  # a block that is darker all over is black
DARK = 0.05  # of an input block's mean, above which a black label is a fault
BLOCK_SHIFT = 3.0  # times the limit on the whole picture's shift, what a single block may shift
FINE = 1.5  # px; sigma of the blur that parts fine detail from the rest
FLOOR = 1e-8  # added to both energies, so that two flat pictures have the ratio 1


class Audit(contracts.Table):
    """One row a label."""

    image: Series[str] = pa.Field(unique=True)
    preset: Series[str]
    mean_input: Series[float]  # fraction of full scale, as all below but the ratio and the correlation
    mean_label: Series[float]
    shift: Series[float]  # mean_label - mean_input
    block_shift: Series[float]  # the same over the 32 x 32 px where it is largest
    overshoot: Series[float] = pa.Field(ge=0)  # furthest that the network left [0, 1], before it was cut
    detail: Series[float] = pa.Field(ge=0)  # energy finer than 1.5 px, label over input: below 1 smooths, above 1 invents
    correlation: Series[float] = pa.Field(ge=-1, le=1)


class Findings(NamedTuple):
    """The measured columns of `Audit`."""

    mean_input: float
    mean_label: float
    shift: float
    block_shift: float
    overshoot: float
    detail: float
    correlation: float


def examine(image: str, pixels: np.ndarray, label: np.ndarray, max_shift: float) -> Findings:
    """Measure a label against its input, both float32 (H, W).

    Raises ValueError naming the image, what was found and the limit: NaN or infinity, another size, black where the input is not,
    a mean that moved by more than `max_shift`, a block of 32 x 32 px whose mean moved by more than three times that.
    """
    if label.shape != pixels.shape:
        raise ValueError(f"image {image}: the label has {label.shape} px, the input {pixels.shape}")
    if bad := int((~np.isfinite(label)).sum()):
        raise ValueError(
            f"image {image}: {bad} of {label.size} label pixels are NaN or infinite, allowed are none; try machine.device: cpu"
        )
    mean_input, mean_label = float(pixels.mean(dtype=np.float64)), float(label.mean(dtype=np.float64))
    shift, block_shift = mean_label - mean_input, 0.0
    for place in blocks(*pixels.shape):
        mean = float(pixels[place].mean())
        if mean > DARK and float(label[place].max()) < BLACK:
            raise ValueError(f"image {image}: the label is black at {where(place)}, where the input has a mean of {mean:.3f}")
        block_shift = max(block_shift, float(label[place].mean()) - mean, key=abs)
    if abs(shift) > max_shift:
        raise ValueError(f"image {image}: the label's mean is off by {shift:+.3f}, label.max_shift allows {max_shift:g}")
    if abs(block_shift) > BLOCK_SHIFT * max_shift:
        limit = BLOCK_SHIFT * max_shift
        raise ValueError(
            f"image {image}: the mean of {BLOCK} x {BLOCK} px is off by {block_shift:+.3f}, 3 x label.max_shift allows {limit:g}"
        )
    return Findings(
        mean_input,
        mean_label,
        shift,
        block_shift,
        overshoot=max(0.0, float(label.max()) - 1, -float(label.min())),
        detail=(energy(label) + FLOOR) / (energy(pixels) + FLOOR),
        correlation=correlation(pixels, label),
    )


def blocks(height: int, width: int) -> list[tuple[slice, slice]]:
    """Squares of 32 px that cover the picture; those at the end are smaller."""
    return [(slice(top, top + BLOCK), slice(left, left + BLOCK)) for top in range(0, height, BLOCK) for left in range(0, width, BLOCK)]


def where(place: tuple[slice, slice]) -> str:
    return f"row {place[0].start}, column {place[1].start}"


def energy(pixels: np.ndarray) -> float:
    """Mean square of what a blur of 1.5 px takes away."""
    fine = pixels - cv2.GaussianBlur(pixels, (0, 0), FINE, borderType=cv2.BORDER_REFLECT_101)
    return float(np.mean(np.square(fine, dtype=np.float64)))


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Pearson's, over pixels; 1 where either picture is flat."""
    left, right = one - one.mean(dtype=np.float64), other - other.mean(dtype=np.float64)
    scale = float(np.sqrt(np.mean(left**2) * np.mean(right**2)))
    return float(np.clip(np.mean(left * right) / scale, -1, 1)) if scale > FLOOR else 1.0
