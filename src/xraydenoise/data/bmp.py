"""Windows bitmaps, not compressed: their header against their length, then the pixels, of 8 bit. Nothing tells of changed pixels."""

import struct

import numpy as np

from xraydenoise.data import opencv
from xraydenoise.data.picture import Refused, check_end, check_size

MAGIC = b"BM"
NOT_COMPRESSED, BIT_FIELDS = 0, 3


def read(data: bytes, max_megapixels: float) -> tuple[np.ndarray, int]:
    """Pixels uint8 (H, W) or (H, W, 3 or 4) and their bits, 8; its size is checked before a pixel is decoded.

    Raises Refused: compression, damaged, too_large, truncated, unreadable.
    """
    if len(data) < 54:
        raise Refused("truncated", f"BMP ends within its header, after {len(data)} bytes")
    (size,) = struct.unpack_from("<I", data, 2)
    start, header, width, height, _, depth, compression = struct.unpack_from("<IIiiHHI", data, 10)
    if header < 40:  # OS/2's header of 12 bytes holds shorts
        raise Refused("unreadable", f"BMP has a header of {header} bytes; expected 40 or more")
    check_size(abs(height), width, max_megapixels)  # a negative height means rows from the top
    if compression not in (NOT_COMPRESSED, BIT_FIELDS):
        raise Refused("compression", f"BMP of compression {compression}; save it without")
    end = start + (width * depth + 31) // 32 * 4 * abs(height)
    if end > len(data):
        raise Refused("truncated", f"BMP ends after {len(data)} bytes; its pixels would end at {end}")
    if size != len(data):  # else what follows the pixels, such as a colour profile, is meant to be there
        check_end("BMP", data[end:])
    pixels = opencv.pixels(data)
    if depth == 32 and compression == NOT_COMPRESSED:
        pixels = pixels[..., :3]  # the fourth byte is padding there, mostly 0, and no alpha
    return pixels, 8
