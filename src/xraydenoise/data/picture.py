"""What a decoded file is, and how one is refused."""

from dataclasses import dataclass

import cv2
import numpy as np

from xraydenoise.data.depth import FULL_SCALE

BAND = 64  # rows
MEMORY = "memory"  # reason of a file that another machine, or this one at another time, may decode
NO_PICTURE = "no_picture"  # reason of a file that is whole and was never meant to hold one: not bad
GRAY_TOLERANCE = 8  # of 255; three channels that differ by no more are gray that a lossy format stored as colour


@dataclass(frozen=True, eq=False)
class Picture:
    """One radiograph as its file holds it: no scaling, no window unless it was asked for."""

    pixels: np.ndarray  # uint16 (H, W), full scale 65535, MONOCHROME2: dense tissue is bright
    bits: int  # stored depth of the file
    spacing: float | None  # mm a pixel
    patient: str | None  # as the file's header tells, hashed
    study: str | None  # the same of the examination it was taken in
    view: str | None
    burned_in: bool  # the header says that text is written into the pixels, such as the patient's name


class Refused(Exception):  # noqa: N818  what became of a file, not a fault of the program
    """A file that is no picture we can use: `reason` is a code to count by, `detail` says what was found."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)  # both, so that it can be pickled on its way from a worker process
        self.reason, self.detail = reason, detail

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"


def check_size(height: int, width: int, max_megapixels: float) -> None:
    """Raise Refused where a header announces a picture that is empty or above the limit; call it before pixels are decoded."""
    if height < 1 or width < 1:
        raise Refused("unreadable", f"the header says {width} x {height} px")
    if height * width > max_megapixels * 1e6:
        raise Refused("too_large", f"{width} x {height} px are above ingest.max_megapixels = {max_megapixels:g}")


def check_end(kind: str, rest: bytes) -> None:
    """Raise Refused where `rest`, what a file holds behind all that belongs to it, is no padding: lost or added bytes have moved its parts.

    Padding is zeros, as tools write them that fill up a word or a block, and the line's end that DICOMweb's multipart answers leave.
    """
    if rest.removesuffix(b"\r\n").strip(b"\0"):
        raise Refused("damaged", f"{kind} goes on for {len(rest)} bytes behind its last part; expected its end there, or zeros")


def run_length(segment: bytes, enough: int) -> int:
    """Bytes that PackBits of TIFF and DICOM decode to, each run of which tells its length; no more are counted than `enough`."""
    at, total, end = 0, 0, len(segment)
    while at < end and total <= enough:
        head = segment[at]
        if head < 128:  # as many bytes and one more, as they are
            total += head + 1
            at += head + 2
        elif head > 128:  # one byte, repeated
            total += 257 - head
            at += 2
        else:
            at += 1
    return total


def gray(pixels: np.ndarray, full_scale: float) -> np.ndarray:
    """(H, W), or (H, W, 3 or 4) whose colours agree and whose alpha is opaque -> (H, W) of the same dtype.

    Raises Refused for real colour.
    """
    if pixels.ndim == 2:
        return pixels
    if pixels.shape[2] not in (3, 4):
        raise Refused("colour", f"has {pixels.shape[2]} channels; expected a gray picture")
    if pixels.shape[2] == 4 and pixels[..., 3].min() < full_scale:
        raise Refused("transparent", "has an alpha channel that is not opaque")
    difference = max(_spread(pixels[row : row + BAND]) for row in range(0, len(pixels), BAND))
    if not difference <= GRAY_TOLERANCE / 255 * full_scale:
        raise Refused("colour", f"channels differ by up to {difference:g} of {full_scale:g}; expected a gray picture")
    if difference == 0 or pixels.dtype.kind == "f":
        return cv2.extractChannel(pixels, 1)
    total = pixels[..., 0].astype(np.uint32) + pixels[..., 1] + pixels[..., 2]
    mean: np.ndarray = (total + 1) // 3  # rounded: thirds have no ties
    return mean.astype(pixels.dtype)


def _spread(band: np.ndarray) -> float:
    """The greatest difference between any two of three channels; a few rows at a time fit a cache."""
    first, second, third = cv2.split(band)[:3]
    return max(cv2.norm(one, other, cv2.NORM_INF) for one, other in ((first, second), (second, third), (third, first)))


def rescale(values: np.ndarray, low: int, high: int) -> np.ndarray:
    """Whole values of the range [low, high], of at most 16 bit -> uint16 at full scale, rounded: 8 bit times 257, 16 bit as it is.

    Neighbouring values stay apart, so that rint(pixel * (high - low) / 65535) + low gives every stored value back.
    Raises Refused for values outside the range.
    """
    kind = np.iinfo(values.dtype)
    if low > kind.min or high < kind.max:  # else no value can leave it
        found = int(values.min()), int(values.max())
        if found[0] < low or found[1] > high:
            raise Refused("range", f"values {found[0]} to {found[1]} leave the announced range {low} to {high}")
    levels = high - low
    above = values if low == 0 else values.astype(np.int32) - low
    if levels == 255:
        return np.multiply(above, 257, dtype=np.uint16, casting="unsafe")
    if levels == FULL_SCALE:
        return above.astype(np.uint16, copy=False)
    table = np.zeros(FULL_SCALE + 1, np.uint16)  # OpenCV's tables cover the whole type
    table[: levels + 1] = np.rint(np.arange(levels + 1) * (FULL_SCALE / levels))
    return cv2.LUT(np.ascontiguousarray(above, np.uint16), table)


def rescale_unit(values: np.ndarray) -> np.ndarray:
    """Real values of the range [0, 1] -> uint16 at full scale, rounded.

    Formats of real numbers announce no full scale. 1 is the one that programs agree on; a picture's own maximum would make the
    brightness of each depend on its brightest pixel, so values beyond are refused and not guessed at.
    Raises Refused: not_finite, range.
    """
    if not np.isfinite(values).all():
        raise Refused("not_finite", f"{np.count_nonzero(~np.isfinite(values))} of {values.size} pixels are NaN or infinite")
    if values.min() < 0 or values.max() > 1:
        raise Refused("range", f"real values {values.min():g} to {values.max():g}, whose full scale is unknown; expected 0 to 1")
    return np.rint(values.astype(np.float64) * FULL_SCALE).astype(np.uint16)
