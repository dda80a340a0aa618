"""What a decoded file is, how one is refused, and the one full scale that the decoders and the store share."""

from dataclasses import dataclass

import numpy as np

FULL_SCALE = 65535  # of uint16 pixels
GRAY_TOLERANCE = 8  # of 255; three channels that differ by no more are gray that a lossy format stored as colour


@dataclass(frozen=True, eq=False)
class Picture:
    """One radiograph as its file holds it: no scaling, no window."""

    pixels: np.ndarray  # uint16 (H, W), full scale 65535, MONOCHROME2: dense tissue is bright
    bits: int  # stored depth of the file
    spacing: float | None  # mm a pixel
    patient: str | None  # as the file's header tells, hashed
    view: str | None


class Refused(Exception):  # noqa: N818  what became of a file, not a fault of the program
    """A file that is no picture we can use: `reason` is a code to count by, `detail` says what was found."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail


def check_size(height: int, width: int, max_megapixels: float) -> None:
    """Raise Refused where a header announces a picture that is empty or above the limit; call it before pixels are decoded."""
    if height < 1 or width < 1:
        raise Refused("unreadable", f"the header says {width} x {height} px")
    if height * width > max_megapixels * 1e6:
        raise Refused("too_large", f"{width} x {height} px are above ingest.max_megapixels = {max_megapixels:g}")


def gray(pixels: np.ndarray, full_scale: float) -> np.ndarray:
    """(H, W), or (H, W, 3 or 4) whose colours agree and whose alpha is opaque -> (H, W) of the same dtype.

    Raises Refused for real colour.
    """
    if pixels.ndim == 2:
        return pixels
    if pixels.shape[2] == 4:
        if pixels[..., 3].min() < full_scale:
            raise Refused("transparent", "has an alpha channel that is not opaque")
        pixels = pixels[..., :3]
    difference = int((pixels.max(axis=2) - pixels.min(axis=2)).max())
    if difference > GRAY_TOLERANCE / 255 * full_scale:
        raise Refused("colour", f"channels differ by up to {difference} of {full_scale:g}; expected a gray picture")
    return pixels[..., 1] if difference == 0 else np.rint(pixels.mean(axis=2)).astype(pixels.dtype)


def rescale(values: np.ndarray, low: int, high: int) -> np.ndarray:
    """Whole values of the range [low, high] -> uint16 at full scale, rounded: 8 bit times 257, 16 bit as it is.

    Raises Refused for values outside the range.
    """
    found = int(values.min()), int(values.max())
    if found[0] < low or found[1] > high:
        raise Refused("range", f"values {found[0]} to {found[1]} leave the announced range {low} to {high}")
    if high - low > FULL_SCALE:
        scaled: np.ndarray = np.rint((values.astype(np.float64) - low) * (FULL_SCALE / (high - low)))
        return scaled.astype(np.uint16)
    table: np.ndarray = np.rint(np.arange(high - low + 1) * (FULL_SCALE / (high - low))).astype(
        np.uint16
    )  # exact, and a quarter of the memory
    return table[values.astype(np.int32) - low]
