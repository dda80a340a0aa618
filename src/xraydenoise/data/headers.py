"""What the headers of PNG, JPEG, BMP and TIFF files say, read without decoding a pixel (so that a huge picture costs nothing)."""

import re
import struct
from dataclasses import dataclass

from xraydenoise.data.picture import Refused

JPEG_SIZES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # start-of-frame markers, which hold the size
JPEG_ALONE = frozenset({0x01, *range(0xD0, 0xD8)})  # markers without a length
JPEG_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # in coded data: neither a stuffed byte nor a restart
TIFF_TYPES = {1: "B", 3: "H", 4: "I"}  # byte, short, long: all that the tags read here may have
TIFF_WIDTH, TIFF_HEIGHT, TIFF_PHOTOMETRIC, TIFF_ORIENTATION = 256, 257, 262, 274


@dataclass(frozen=True)
class Header:
    height: int  # px
    width: int
    white_is_zero: bool = False  # TIFF's MONOCHROME1
    orientation_at: int | None = None  # byte where a TIFF tells how it is turned; 1 is upright


def read(data: bytes) -> Header:
    """The header of a whole file, told by its first bytes, whatever its name says.

    Raises Refused: not_an_image, truncated (a JPEG without its end decodes to gray blocks, with no error), unreadable, frames.
    """
    try:
        if data.startswith(b"\x89PNG\r\n\x1a\n"):
            width, height = struct.unpack_from(">II", data, 16)
            return Header(height, width)
        if data.startswith(b"\xff\xd8\xff"):
            return _jpeg(data)
        if data.startswith(b"BM"):
            width, height = struct.unpack_from("<ii", data, 18)
            return Header(abs(height), width)  # a negative height means rows from the top
        if data[:4] in (b"II*\0", b"MM\0*"):
            return _tiff(data)
    except (struct.error, IndexError) as error:
        raise Refused("truncated", f"the file ends within its header, after {len(data)} bytes") from error
    raise Refused("not_an_image", f"begins with {data[:8].hex(' ')}; expected PNG, JPEG, BMP, TIFF or DICOM")


def _jpeg(data: bytes) -> Header:
    """Walk the segments from start to end-of-image, past thumbnails that hold an end of their own."""
    size, at = None, 2
    while True:
        if data[at] != 0xFF:
            raise Refused("unreadable", f"JPEG has no marker at byte {at}")
        marker = data[at + 1]
        if marker == 0xD9:
            break
        if marker == 0xFF or marker in JPEG_ALONE:  # 0xFF: a fill byte before the marker
            at += 1 if marker == 0xFF else 2
            continue
        (length,) = struct.unpack_from(">H", data, at + 2)
        if marker in JPEG_SIZES:
            size = struct.unpack_from(">HH", data, at + 5)
        at += 2 + length
        if marker == 0xDA:  # coded data follows, of unknown length
            following = JPEG_MARKER.search(data, at)
            if following is None:
                raise Refused("truncated", f"JPEG has no end-of-image marker in {len(data)} bytes")
            at = following.start()
    if size is None:
        raise Refused("unreadable", "JPEG ends before it gives a size")
    return Header(height=size[0], width=size[1])


def _tiff(data: bytes) -> Header:
    """The tags of the first directory; a second directory is a second page."""
    order = "<" if data[:2] == b"II" else ">"
    (at,) = struct.unpack_from(order + "I", data, 4)
    (count,) = struct.unpack_from(order + "H", data, at)
    tags, orientation_at = {}, None
    for entry in range(at + 2, at + 2 + 12 * count, 12):
        tag, kind = struct.unpack_from(order + "HH", data, entry)
        if kind in TIFF_TYPES:
            (tags[tag],) = struct.unpack_from(order + TIFF_TYPES[kind], data, entry + 8)
        if tag == TIFF_ORIENTATION:
            orientation_at = entry + (8 if order == "<" else 9)
    (following,) = struct.unpack_from(order + "I", data, at + 2 + 12 * count)
    if following:
        raise Refused("frames", "TIFF has more than one page; save each as a file of its own")
    if not {TIFF_WIDTH, TIFF_HEIGHT} <= set(tags):
        raise Refused("unreadable", "TIFF gives no width and height")
    return Header(tags[TIFF_HEIGHT], tags[TIFF_WIDTH], tags.get(TIFF_PHOTOMETRIC) == 0, orientation_at)
