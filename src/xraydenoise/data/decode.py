"""One file -> one gray picture at full depth: PNG, JPEG, BMP and TIFF by OpenCV, DICOM by pydicom, told apart by their first bytes."""

from pathlib import Path

import cv2
import numpy as np

from xraydenoise.data import dicom, headers
from xraydenoise.data.picture import FULL_SCALE, Picture, Refused, check_size, gray, rescale

BYTES_A_PIXEL = 8  # four channels of 16 bit; a file that holds more than this for every allowed pixel is not read at all
DEPTHS = {np.dtype(np.uint8): 8, np.dtype(np.uint16): 16}


def decode(path: Path, max_megapixels: float) -> Picture:
    """The picture in `path`, unrotated (EXIF is ignored) and unwindowed; its size is checked before a pixel is decoded.

    Raises Refused with one of the reasons colour, constant, depth, empty, frames, not_an_image, photometric, range, too_large,
    transparent, truncated, unreadable.
    """
    size = path.stat().st_size
    if size == 0:
        raise Refused("empty", "0 bytes")
    if size > max_megapixels * 1e6 * BYTES_A_PIXEL + 2**20:
        raise Refused("too_large", f"{size / 1e6:.0f} MB are more than a picture of {max_megapixels:g} megapixels takes")
    picture = dicom.read(path, max_megapixels) if dicom.is_dicom(path) else _raster(path.read_bytes(), max_megapixels)
    if picture.pixels.min() == picture.pixels.max():
        raise Refused("constant", f"every pixel is {int(picture.pixels.max())} of {FULL_SCALE}")
    return picture


def _raster(data: bytes, max_megapixels: float) -> Picture:
    header = headers.read(data)
    check_size(header.height, header.width, max_megapixels)
    content = np.frombuffer(data, np.uint8).copy()
    if header.orientation_at is not None:  # OpenCV would turn a TIFF by it, at 8 bit alone
        content[header.orientation_at] = 1
    try:
        # UNCHANGED keeps 16 bit and leaves EXIF rotation alone; other modes rotate some formats and not others.
        pixels = cv2.imdecode(content, cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise Refused("unreadable", " ".join(str(error).split())) from error
    if pixels is None:
        raise Refused("unreadable", f"{header.width} x {header.height} px by its header, but the pixels are damaged or cut off")
    if pixels.dtype not in DEPTHS:
        raise Refused("depth", f"pixels are {pixels.dtype}; expected 8 or 16 bit unsigned, whose full scale is known")
    bits = DEPTHS[pixels.dtype]
    scaled = rescale(gray(pixels, 2**bits - 1), 0, 2**bits - 1)
    if header.white_is_zero and bits == 16:  # OpenCV inverts such a TIFF at 8 bit and leaves it at 16
        scaled = FULL_SCALE - scaled
    return Picture(scaled, bits, spacing=None, patient=None, view=None)
