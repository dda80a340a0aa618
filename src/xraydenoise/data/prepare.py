"""Files -> pictures at the working resolution: decoded, named by their content, scaled by area, a few at a time."""

import hashlib
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from pydantic import Field, model_validator

from xraydenoise import kinds
from xraydenoise.data.decode import decode
from xraydenoise.data.picture import FULL_SCALE, Refused

MIN_SIDE = 32  # px; a picture with a shorter side than this has no region to learn from


class SplitConfig(kinds.Config):
    """Shares of patients, which sum to 1."""

    train: float = Field(gt=0, lt=1)
    val: float = Field(gt=0, lt=1)
    test: float = Field(gt=0, lt=1)

    @model_validator(mode="after")
    def sums_to_one(self) -> "SplitConfig":
        total = self.train + self.val + self.test
        if abs(total - 1) > 1e-6:
            raise ValueError(f"train, val and test must sum to 1, found {total:g}")
        return self


class IngestConfig(kinds.Config):
    """How files become pictures of the store."""

    size: int = Field(ge=MIN_SIDE)  # px, the longer side after scaling; smaller pictures stay as they are
    max_megapixels: float = Field(gt=0)  # a larger picture is refused before it is decoded
    max_bad: float = Field(ge=0, le=1)  # share of unreadable files at which the stage fails
    split: SplitConfig


@dataclass(frozen=True, eq=False)
class Prepared:
    """One picture, ready for the store."""

    image: str  # id
    pixels: np.ndarray  # uint16 (H, W) at the working resolution, full scale 65535
    native_height: int  # px, as decoded
    native_width: int
    bits: int
    spacing: float | None  # mm a pixel at the working resolution
    patient: str | None
    view: str | None


def stream(paths: Sequence[Path], size: int, max_megapixels: float, workers: int) -> Iterator[Prepared | Refused]:
    """What became of each path, in order; at most `workers` + 1 results wait in memory, and no native picture outlives its scaling.

    Threads are enough: OpenCV and hashlib let go of the interpreter while they work, and run-length DICOM takes under half a second.
    """
    waiting: deque[Future[Prepared | Refused]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        for path in paths:
            waiting.append(pool.submit(_attempt, path, size, max_megapixels))
            if len(waiting) > workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def prepare(path: Path, size: int, max_megapixels: float) -> Prepared:
    """Decode, name and scale one file. Raises Refused."""
    picture = decode(path, max_megapixels)
    height, width = picture.pixels.shape
    pixels = scale(picture.pixels, size)
    if min(pixels.shape) < MIN_SIDE:
        raise Refused("too_small", f"{pixels.shape[1]} x {pixels.shape[0]} px at the working resolution; each side needs {MIN_SIDE}")
    spacing = None if picture.spacing is None else picture.spacing * max(height, width) / max(pixels.shape)
    return Prepared(content_id(picture.pixels), pixels, height, width, picture.bits, spacing, picture.patient, picture.view)


def scale(pixels: np.ndarray, size: int) -> np.ndarray:
    """uint16 (H, W) -> uint16 whose longer side is `size`, each new pixel the mean over its area; never larger than before."""
    height, width = pixels.shape
    longer = max(height, width)
    if longer <= size:
        return pixels
    shape = max(1, round(width * size / longer)), max(1, round(height * size / longer))  # OpenCV's order
    small = cv2.resize(pixels.astype(np.float32), shape, interpolation=cv2.INTER_AREA)
    return np.rint(small).clip(0, FULL_SCALE).astype(np.uint16)


def content_id(pixels: np.ndarray) -> str:
    """16 hex digits of the native pixels and their shape: the same in every format and at every working resolution."""
    digest = hashlib.sha256(f"{pixels.shape[0]}x{pixels.shape[1]}:".encode())
    digest.update(np.ascontiguousarray(pixels, dtype="<u2").data)
    return digest.hexdigest()[:16]


def _attempt(path: Path, size: int, max_megapixels: float) -> Prepared | Refused:
    try:
        return prepare(path, size, max_megapixels)
    except Refused as refused:
        return refused
