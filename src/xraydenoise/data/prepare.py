"""Files -> pictures at the working resolution: decoded, named by their content, scaled by area, a few at a time, on every core."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import xxhash

from xraydenoise.data.config import MIN_SIDE, DecodeConfig
from xraydenoise.data.decode import decode
from xraydenoise.data.duplicates import signature
from xraydenoise.data.picture import Refused
from xraydenoise.data.workers import Lost, each

TIME_LIMIT = 120.0  # seconds for one file, many times what the largest allowed picture takes


@dataclass(frozen=True, eq=False)
class Prepared:
    """One picture, ready for the store."""

    image: str  # id
    pixels: np.ndarray  # uint16 (H, W) at the working resolution, full scale 65535
    signature: np.ndarray  # float32 (duplicates.LENGTH,): what tells it again after re-encoding, resizing and turning
    native_height: int  # px, as decoded
    native_width: int
    bits: int
    spacing: float | None  # mm a pixel, native
    patient: str | None
    study: str | None
    view: str | None
    burned_in: bool  # whether the header says that text is part of the pixels


def stream(paths: Iterable[Path], config: DecodeConfig, workers: int) -> Iterator[Prepared | Refused]:
    """What became of each path, in order; memory holds a few pictures a worker and no more, however many paths there are.

    Decoders are native code that reads what strangers wrote, so they run in worker processes: a file that kills its worker or keeps it
    longer than `TIME_LIMIT` is refused as `crash` or `timeout`, and the others go on.
    """
    for found in each(partial(_attempt, config=config), paths, workers, TIME_LIMIT):
        if isinstance(found, Lost):
            yield Refused(found.reason, found.detail)
        else:
            yield found if isinstance(found, Prepared) else Refused(*found)


def prepare(path: Path, config: DecodeConfig) -> Prepared:
    """Decode, name and scale one file. Raises Refused."""
    picture = decode(path, config.max_megapixels, config.voi)
    height, width = picture.pixels.shape
    pixels = scale(picture.pixels, config.size)
    if min(pixels.shape) < MIN_SIDE:
        raise Refused("too_small", f"{pixels.shape[1]} x {pixels.shape[0]} px at the working resolution; each side needs {MIN_SIDE}")
    return Prepared(
        content_id(picture.pixels),
        pixels,
        signature(pixels, picture.bits),
        height,
        width,
        picture.bits,
        picture.spacing,
        picture.patient,
        picture.study,
        picture.view,
        picture.burned_in,
    )


def scale(pixels: np.ndarray, size: int) -> np.ndarray:
    """uint16 (H, W) -> uint16 whose longer side is `size`, each new pixel the mean over its area; never larger than before."""
    height, width = pixels.shape
    longer = max(height, width)
    if longer <= size:
        return pixels
    shape = max(1, round(width * size / longer)), max(1, round(height * size / longer))  # OpenCV's order
    return cv2.resize(pixels, shape, interpolation=cv2.INTER_AREA)


def content_id(pixels: np.ndarray) -> str:
    """16 hex digits of the native pixels and their shape: the same in every format and at every working resolution.

    XXH3 of 64 bit (Collet 2019): among a million pictures any two collide with a chance of 3e-8, and it costs a twentieth of SHA-256,
    which took as long as decoding a JPEG. It tells pictures apart, and withstands no forger.
    """
    digest = xxhash.xxh3_64(f"{pixels.shape[0]}x{pixels.shape[1]}:".encode())
    digest.update(np.ascontiguousarray(pixels, dtype="<u2").data)
    return digest.hexdigest()


def _attempt(path: Path, config: DecodeConfig) -> Prepared | tuple[str, str]:
    try:
        return prepare(path, config)
    except Refused as refused:
        return refused.reason, refused.detail
