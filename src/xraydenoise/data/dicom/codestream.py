"""What a DICOM file's compressed picture says of itself, checked against the DICOM header before a native decoder sees it."""

import struct

from xraydenoise.data import jpeg
from xraydenoise.data.picture import Refused

BOXES = b"\0\0\0\x0cjP  "  # a JP2 file in the place of its codestream, as some writers do
SOC_SIZ = b"\xff\x4f\xff\x51"  # start of a JPEG 2000 codestream and of its size segment (ITU-T T.800 A.5.1)
TILE_PART, END = 0xFF90, 0xFFD9
MAX_TILES = 4096


def check_jpeg(frame: bytes, height: int, width: int, components: int) -> jpeg.Header:
    """The header of a JPEG or JPEG-LS stream that is whole. Raises Refused: damaged, and the reasons of jpeg.walk."""
    if not frame.startswith(jpeg.MAGIC):
        raise Refused("damaged", f"compressed picture begins with {frame[:4].hex(' ')}; expected JPEG")
    header = jpeg.walk(frame)
    _same((header.height, header.width, header.components), (height, width, components))
    return header


def check_jpeg_2000(frame: bytes, height: int, width: int, components: int) -> None:
    """Size, tiles and end of a JPEG 2000 or HTJ2K codestream. Raises Refused: damaged, truncated."""
    start = frame.find(SOC_SIZ) if frame.startswith(BOXES) else 0
    if not frame.startswith(SOC_SIZ, max(start, 0)):
        raise Refused("damaged", f"compressed picture begins with {frame[:4].hex(' ')}; expected a JPEG 2000 codestream")
    try:
        right, bottom, left, top, tile_width, tile_height, tiles_left, tiles_top, found = struct.unpack_from(">8IH", frame, start + 8)
        _same((bottom - top, right - left, found), (height, width, components))
        if tile_width == 0 or tile_height == 0:
            raise Refused("damaged", f"JPEG 2000 in tiles of {tile_width} x {tile_height} px")
        if ((right - tiles_left) // tile_width + 1) * ((bottom - tiles_top) // tile_height + 1) > MAX_TILES:
            raise Refused("damaged", f"JPEG 2000 in more than {MAX_TILES} tiles, of {tile_width} x {tile_height} px")
        _walk(frame, start + 2)
    except struct.error as error:
        raise Refused("truncated", f"JPEG 2000 has no end-of-codestream marker in {len(frame)} bytes") from error


def _walk(frame: bytes, at: int) -> None:
    """From one marker to the next, and from one tile-part to the next, to the end; struct.error where the data end first."""
    while (marker := struct.unpack_from(">H", frame, at)[0]) != END:
        if marker < 0xFF00:
            raise Refused("damaged", f"JPEG 2000 has no marker at byte {at}")
        if marker == TILE_PART:
            (length,) = struct.unpack_from(">I", frame, at + 6)
            at = at + length if length >= 14 else max(frame.rfind(END.to_bytes(2, "big")), at + 14)  # 0: as far as the end
        else:
            at += 2 + struct.unpack_from(">H", frame, at + 2)[0]


def _same(found: tuple[int, int, int], expected: tuple[int, int, int]) -> None:
    if found != expected:
        raise Refused(
            "damaged",
            f"compressed picture is {found[1]} x {found[0]} px in {found[2]} components, its DICOM header says "
            f"{expected[1]} x {expected[0]} px in {expected[2]}",
        )
