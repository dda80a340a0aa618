"""One file -> one gray picture at full depth: PNG, JPEG, BMP, TIFF and DICOM, told apart by their first bytes."""

import stat
from collections.abc import Callable
from pathlib import Path

import numpy as np

from xraydenoise.data import bmp, dicom, jpeg, magic, png, tiff
from xraydenoise.data.depth import FULL_SCALE
from xraydenoise.data.picture import MEMORY, Picture, Refused, gray, rescale, rescale_unit

BYTES_A_PIXEL = 8  # four channels of 16 bit; a file that holds more than this for every allowed pixel is not read at all
READERS: dict[bytes, Callable[[bytes, float], tuple[np.ndarray, int]]] = {
    png.MAGIC: png.read,
    jpeg.MAGIC: jpeg.read,
    bmp.MAGIC: bmp.read,
    **dict.fromkeys(tiff.MAGICS, tiff.read),
}


def decode(path: Path, max_megapixels: float, voi: bool) -> Picture:
    """The picture in `path`, unrotated (EXIF is ignored in every format); its size is checked before a pixel is decoded.

    With `voi` a DICOM file's window or VOI table is applied; other formats have none.
    Raises Refused and nothing else, with one of the reasons colour, compression, constant, damaged, depth, empty, frames,
    memory, no_picture, not_an_image, not_finite, photometric, planar, range, too_large, transfer_syntax, transparent, truncated,
    unreadable, window.
    """
    data = content(path, max_megapixels)
    try:
        picture = dicom.read(data, max_megapixels, voi) if magic.begins(data) else _scaled(*raster(data, max_megapixels))
    except MemoryError as error:
        raise Refused(MEMORY, "takes more memory than there is now") from error
    sparse = picture.pixels[::16, ::16]  # shows nearly always that a picture is not constant, at a 256th of the cost
    if sparse.min() == sparse.max() and picture.pixels.min() == picture.pixels.max():
        raise Refused("constant", f"every pixel is {int(picture.pixels.max())} of {FULL_SCALE}")
    return picture


def content(path: Path, max_megapixels: float) -> bytes:
    """The whole file. A pipe or device is never opened: it might not end, or not begin. Raises Refused: empty, too_large, unreadable."""
    limit = max_megapixels * 1e6 * BYTES_A_PIXEL + 2**20
    try:
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):
            raise Refused("unreadable", "is a folder, pipe or device; expected a file")
        if about.st_size > limit:
            raise Refused("too_large", f"{about.st_size / 1e6:.0f} MB are more than a picture within ingest.max_megapixels takes")
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        raise Refused("unreadable", f"{type(error).__name__}: {getattr(error, 'strerror', None) or error}") from error
    if not data:
        raise Refused("empty", "0 bytes")
    return data


def raster(data: bytes, max_megapixels: float) -> tuple[np.ndarray, int]:
    """Pixels as a file other than DICOM stores them, (H, W) or (H, W, 3 or 4), and their bits. Raises Refused, as `decode` does."""
    for first, read in READERS.items():
        if data.startswith(first):
            return read(data, max_megapixels)
    raise Refused("not_an_image", f"begins with {data[:8].hex(' ')}; expected PNG, JPEG, BMP, TIFF or DICOM")


def _scaled(pixels: np.ndarray, bits: int) -> Picture:
    real, high = pixels.dtype.kind == "f", 2**bits - 1
    scaled = rescale_unit(gray(pixels, 1)) if real else rescale(gray(pixels, high), 0, high)
    return Picture(scaled, bits, spacing=None, patient=None, study=None, view=None, burned_in=False)
