"""What a DICOM file's compressed picture says of itself, checked against the DICOM header before a native decoder sees it."""

import struct
from itertools import pairwise

from xraydenoise.data import jpeg
from xraydenoise.data.picture import Refused, run_length

BOXES = b"\0\0\0\x0cjP  "  # a JP2 file in the place of its codestream, as some writers do
CODESTREAM = b"jp2c"
SOC_SIZ = b"\xff\x4f\xff\x51"  # start of a JPEG 2000 codestream and of its size segment (ITU-T T.800 A.5.1)
TILE_PART, END = 0xFF90, 0xFFD9
MAX_TILES = 4096
RLE_HEADER = 64  # bytes
RLE_PADDING = 128  # bytes; a segment's padding to even length decodes as a run, which decoders drop


def check_jpeg(frame: bytes, height: int, width: int, components: int) -> jpeg.Header:
    """The header of a JPEG or JPEG-LS stream that is whole. Raises Refused: damaged, and the reasons of jpeg.walk."""
    if not frame.startswith(jpeg.MAGIC):
        raise Refused("damaged", f"compressed picture begins with {frame[:4].hex(' ')}; expected JPEG")
    header = jpeg.walk(frame)
    _same((header.height, header.width, header.components), (height, width, components))
    return header


def check_jpeg_2000(frame: bytes, height: int, width: int, components: int) -> None:
    """Size, tiles and end of a JPEG 2000 or HTJ2K codestream. Raises Refused: damaged, truncated."""
    try:
        start = _in_its_box(frame) if frame.startswith(BOXES) else 0
        if not frame.startswith(SOC_SIZ, start):
            raise Refused("damaged", f"compressed picture begins with {frame[start : start + 4].hex(' ')}; expected a JPEG 2000 codestream")
        right, bottom, left, top, tile_width, tile_height, tiles_left, tiles_top, found = struct.unpack_from(">8IH", frame, start + 8)
        _same((bottom - top, right - left, found), (height, width, components))
        if tile_width == 0 or tile_height == 0:
            raise Refused("damaged", f"JPEG 2000 in tiles of {tile_width} x {tile_height} px")
        if ((right - tiles_left) // tile_width + 1) * ((bottom - tiles_top) // tile_height + 1) > MAX_TILES:
            raise Refused("damaged", f"JPEG 2000 in more than {MAX_TILES} tiles, of {tile_width} x {tile_height} px")
        _walk(frame, start + 2)
    except struct.error as error:
        raise Refused("truncated", f"JPEG 2000 has no end-of-codestream marker in {len(frame)} bytes") from error


def check_run_lengths(frame: bytes, pixels: int, segments: int) -> None:
    """That no segment of an RLE frame (PS3.5 annex G) decodes to more than a byte for each pixel. Raises Refused: damaged, truncated."""
    if len(frame) < RLE_HEADER:
        raise Refused("truncated", f"RLE header of {len(frame)} bytes; expected {RLE_HEADER}")
    count, *starts = struct.unpack_from("<16I", frame)
    if count != segments:
        raise Refused("damaged", f"RLE in {count} segments; expected {segments}")
    for start, end in pairwise([*starts[:count], len(frame)]):
        if run_length(frame[start:end], pixels + RLE_PADDING) > pixels + RLE_PADDING:
            raise Refused("damaged", f"RLE segment of more than {pixels} bytes, which are all that the DICOM header announces")


def _in_its_box(frame: bytes) -> int:
    """Where a JP2 file's codestream begins (ITU-T T.800 I.4, I.5.4): other boxes may hold what looks like one; struct.error as below."""
    at = 0
    while True:
        length, kind = struct.unpack_from(">I4s", frame, at)
        content = 16 if length == 1 else 8
        if kind == CODESTREAM:
            return at + content
        if length == 1:
            (length,) = struct.unpack_from(">Q", frame, at + 8)
        if length < content:  # 0: up to the end, which is the codestream's alone
            raise Refused("damaged", f"JP2 box {kind!r} at byte {at} says that it is {length} bytes long")
        at += length


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
