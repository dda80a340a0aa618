"""JPEG (ITU-T T.81): its segments walked to the end, then decoded by libjpeg-turbo, whose warnings of damaged data are errors here.

OpenCV's decoder is the same library and gives the same pixels, but puts gray in the place of damaged data and tells only stderr.
"""

import re
import struct
from dataclasses import dataclass

import numpy as np
import simplejpeg

from xraydenoise.data.picture import Refused, check_size

MAGIC = b"\xff\xd8\xff"
END, SCAN, LOSSLESS_LS = 0xD9, 0xDA, 0xF7  # end of image, start of a scan, start of a JPEG-LS frame
DCT = frozenset({0xC0, 0xC1, 0xC2, 0xC5, 0xC6, 0xC9, 0xCA, 0xCD, 0xCE})  # frames whose samples are rounded
FRAMES = frozenset({*range(0xC0, 0xD0), LOSSLESS_LS}) - {0xC4, 0xC8, 0xCC}  # start-of-frame markers, which hold the size
ALONE = frozenset({0x01, *range(0xD0, 0xD8)})  # markers without a length
MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # in coded data: neither a stuffed byte nor a restart
MARKER_LS = re.compile(rb"\xff[\x80-\xcf\xd8-\xfe]")  # JPEG-LS stuffs a bit (ITU-T T.87)
MAX_SCANS = 100  # of a progressive picture; each costs a pass over all pixels, and encoders write about ten


@dataclass(frozen=True)
class Header:
    height: int  # px
    width: int
    precision: int  # bits a sample
    components: int
    lossy: bool


def read(data: bytes, max_megapixels: float) -> tuple[np.ndarray, int]:
    """Pixels uint8 (H, W) or (H, W, 3) and their bits, 8; unrotated (EXIF is ignored), its size checked before a pixel is decoded.

    Raises Refused: colour, damaged, depth, frames, too_large, truncated, unreadable.
    """
    header = walk(data)
    check_size(header.height, header.width, max_megapixels)
    return decode(data, header), 8


def decode(data: bytes, header: Header) -> np.ndarray:
    """uint8 (H, W) or RGB (H, W, 3). Raises Refused: colour, damaged, depth."""
    if header.precision != 8:
        raise Refused("depth", f"JPEG of {header.precision} bit; expected 8")
    if header.components not in (1, 3):
        raise Refused("colour", f"JPEG of {header.components} components; expected a gray picture")
    try:
        pixels: np.ndarray = simplejpeg.decode_jpeg(data, "GRAY" if header.components == 1 else "RGB", strict=True)
    except ValueError as error:
        raise Refused("damaged", " ".join(str(error).split())) from error
    return pixels[..., 0] if header.components == 1 else pixels


def walk(data: bytes) -> Header:
    """The header of a JPEG or JPEG-LS stream, read from its start to its end-of-image, past thumbnails that hold an end of their own.

    Raises Refused: frames, truncated, unreadable.
    """
    try:
        return _walk(data)
    except (struct.error, IndexError) as error:
        raise Refused("truncated", f"JPEG ends within a header, after {len(data)} bytes") from error


def _walk(data: bytes) -> Header:
    header, at, scans, coded_marker = None, 2, 0, MARKER
    while (marker := data[at + 1]) != END:
        if data[at] != 0xFF:
            raise Refused("unreadable", f"JPEG has no marker at byte {at}")
        if marker == 0xFF or marker in ALONE:  # 0xFF: a fill byte before the marker
            at += 1 if marker == 0xFF else 2
            continue
        (length,) = struct.unpack_from(">H", data, at + 2)
        if marker in FRAMES:
            if header is not None:
                raise Refused("frames", "JPEG holds more than one frame")
            precision, height, width, components = struct.unpack_from(">BHHB", data, at + 4)
            header = Header(height, width, precision, components, lossy=marker in DCT)
            coded_marker = MARKER_LS if marker == LOSSLESS_LS else MARKER
        at += 2 + length
        if marker == SCAN:  # coded data follows, of unknown length
            scans += 1
            following = coded_marker.search(data, at)
            if following is None:
                raise Refused("truncated", f"JPEG has no end-of-image marker in {len(data)} bytes")
            at = following.start()
    if header is None or not 0 < scans <= MAX_SCANS:
        raise Refused("unreadable", f"JPEG gives {'no size' if header is None else f'{scans} scans; expected 1 to {MAX_SCANS}'}")
    return header
