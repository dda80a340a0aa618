"""TIFF 6.0 of one page: its tags, every strip's or tile's place and checksum, then the pixels, of 8 to 16 bit or real numbers."""

import math
import struct
import zlib
from io import BytesIO

import numpy as np
from PIL.TiffImagePlugin import TiffImageFile

from xraydenoise.data import opencv
from xraydenoise.data.picture import Refused, check_end, check_size, run_length

MAGICS = (b"II*\0", b"MM\0*")
TYPES = {1: "B", 3: "H", 4: "I"}  # byte, short, long: all that the tags read here may have
SIZES = (0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4)  # bytes of a value of each type
DIRECTORIES = frozenset({330, 34665, 34853})  # tags that lead to further directories, whose place in the file is not looked at
WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, ORIENTATION, SAMPLES, PLANAR = 256, 257, 258, 259, 262, 274, 277, 284
STRIPS, ROWS_A_STRIP, STRIP_BYTES, TILE_WIDTH, TILE_HEIGHT, TILES, TILE_BYTES = 273, 278, 279, 322, 323, 324, 325
SAMPLE_FORMAT, SIGNED = 339, 2
WANTED = frozenset(
    {
        WIDTH,
        HEIGHT,
        BITS,
        COMPRESSION,
        PHOTOMETRIC,
        SAMPLES,
        PLANAR,
        STRIPS,
        ROWS_A_STRIP,
        STRIP_BYTES,
        TILE_WIDTH,
        TILE_HEIGHT,
        TILES,
        TILE_BYTES,
        SAMPLE_FORMAT,
    }
)
PACK_BITS, DEFLATE = 32773, (8, 32946)
COMPRESSIONS = frozenset({1, 5, PACK_BITS, *DEFLATE})  # none, LZW, PackBits, deflate; damage within a JPEG would pass unseen
DTYPES = {np.dtype(np.uint16): (10, 12, 14, 16), np.dtype(np.float32): (32,), np.dtype(np.float64): (64,)}
MODES = {"1": "L", "L": "L", "LA": "RGBA", "P": "RGB", "PA": "RGBA", "RGB": "RGB", "RGBX": "RGB", "RGBA": "RGBA", "YCbCr": "RGB"}
SPARE = 2**16  # bytes that a deflated strip or tile may hold beside its pixels
Tags = dict[int, tuple[int, ...]]


def read(data: bytes, max_megapixels: float) -> tuple[np.ndarray, int]:
    """Pixels (H, W) or (H, W, 3 or 4) as black-is-zero and their bits; unrotated, its size checked before a pixel is decoded.

    Bits of 10, 12 and 14 are packed and come out whole. Strips and tiles that hold too little or cannot be unpacked are refused, and so
    is what no tag leads to at the end of the file. Those that are not deflated have no checksum, so damage that leaves their length
    alone, such as a flipped bit, mostly passes unnoticed.
    Raises Refused: colour, compression, damaged, depth, frames, planar, too_large, truncated, unreadable.
    """
    try:
        tags, orientation_at, end = _tags(data)
    except struct.error as error:
        raise Refused("truncated", f"TIFF ends within its tags, after {len(data)} bytes") from error
    if WIDTH not in tags or HEIGHT not in tags:
        raise Refused("unreadable", "TIFF gives no width and height")
    check_size(tags[HEIGHT][0], tags[WIDTH][0], max_megapixels)
    if _one(tags, COMPRESSION, 1) not in COMPRESSIONS:
        raise Refused("compression", f"TIFF of compression {tags[COMPRESSION][0]}; save it with none, LZW or deflate")
    bits, samples = _one(tags, BITS, 1), _one(tags, SAMPLES, 1)
    if bits > 8 and samples > 1 and _one(tags, PLANAR, 1) == 2:  # OpenCV would hand out memory that it never wrote
        raise Refused("planar", f"TIFF of {samples} separate planes of {bits} bit; save it interleaved (PlanarConfiguration 1), or gray")
    end = max(end, _check_chunks(data, tags, max_megapixels))
    check_end("TIFF", data[end:])
    content = bytearray(data)
    if orientation_at is not None:  # OpenCV would turn the picture by it, at 8 bit alone
        content[orientation_at] = 1
    if bits > 8:
        return _deep(opencv.pixels(content), bits, white_is_zero=_one(tags, PHOTOMETRIC, 1) == 0)
    if _one(tags, SAMPLE_FORMAT, 1) == SIGNED:
        raise Refused("depth", f"TIFF of {bits} bit, signed; expected 8 to 16 bit unsigned, or real numbers")
    return _shallow(content), 8


def _shallow(content: bytearray) -> np.ndarray:
    """Pixels of up to 8 bit, widened, inverted where white is zero: by Pillow, as OpenCV has libtiff go on after errors at these depths."""
    try:
        picture = TiffImageFile(BytesIO(content))
        mode = MODES.get(picture.mode)
        if mode is None:
            raise Refused("colour", f"TIFF of colours {picture.mode}; expected a gray picture")
        return np.asarray(picture.convert(mode))
    except (Refused, MemoryError):
        raise
    except Exception as error:  # damaged files make Pillow raise many classes
        raise Refused("damaged", f"TIFF that Pillow cannot decode: {type(error).__name__}: {' '.join(str(error).split())}") from error


def _deep(pixels: np.ndarray, bits: int, white_is_zero: bool) -> tuple[np.ndarray, int]:
    if bits not in DTYPES.get(pixels.dtype, ()):
        raise Refused("depth", f"TIFF of {bits} bit, as {pixels.dtype}; expected 8 to 16 bit unsigned, or real numbers")
    if pixels.dtype == np.uint16:
        pixels = pixels >> (16 - bits)  # OpenCV puts packed bits at the upper end
    if white_is_zero:
        pixels = (2**bits - 1 if bits <= 16 else 1) - pixels
    return pixels, bits


def _tags(data: bytes) -> tuple[Tags, int | None, int]:
    """The wanted tags of the first directory, the byte where it says how the picture is turned, and where all that it leads to ends, but
    for the pixels; a second directory is a second page."""
    order = "<" if data[:2] == b"II" else ">"
    (at,) = struct.unpack_from(order + "I", data, 4)
    (count,) = struct.unpack_from(order + "H", data, at)
    tags: Tags = {}
    orientation_at, end = None, at + 2 + 12 * count + 4
    for entry in range(at + 2, at + 2 + 12 * count, 12):
        tag, kind, values = struct.unpack_from(order + "HHI", data, entry)
        size = values * SIZES[kind] if kind < len(SIZES) else 0
        place = entry + 8 if size <= 4 else struct.unpack_from(order + "I", data, entry + 8)[0]
        end = len(data) if tag in DIRECTORIES else max(end, place + size)
        if tag in WANTED and kind in TYPES and values:
            tags[tag] = struct.unpack_from(f"{order}{values}{TYPES[kind]}", data, place)
        if tag == ORIENTATION:
            orientation_at = entry + (8 if order == "<" else 9)
    (following,) = struct.unpack_from(order + "I", data, at + 2 + 12 * count)
    if following:
        raise Refused("frames", "TIFF has more than one page; save each as a file of its own")
    return tags, orientation_at, end


def _check_chunks(data: bytes, tags: Tags, max_megapixels: float) -> int:
    """Where the last strip or tile ends. Each is there, within the file, and holds its pixels: deflate's checksum, at which libtiff does
    not look, and PackBits' runs, whose sum it does not compare."""
    height, width = tags[HEIGHT][0], tags[WIDTH][0]
    tiled = TILES in tags
    rows = _one(tags, TILE_HEIGHT, height) if tiled else min(_one(tags, ROWS_A_STRIP, height), height)
    columns = _one(tags, TILE_WIDTH, width) if tiled else width
    check_size(rows, columns, max_megapixels)  # a tile may be larger than its picture
    samples, bits = _one(tags, SAMPLES, 1), _one(tags, BITS, 1)
    if samples > 4 or bits > 64:
        raise Refused("depth", f"TIFF of {samples} samples of {bits} bit a pixel; expected up to 4 of up to 64")
    planes = samples if _one(tags, PLANAR, 1) == 2 else 1
    down = math.ceil(height / rows)
    expected = down * math.ceil(width / columns) * planes
    starts, lengths = (tags.get(tag, ()) for tag in ((TILES, TILE_BYTES) if tiled else (STRIPS, STRIP_BYTES)))
    if len(starts) < expected or len(lengths) < expected:
        raise Refused("unreadable", f"TIFF lists {min(len(starts), len(lengths))} of {expected} strips or tiles")
    row = math.ceil(columns * samples // planes * bits / 8)  # bytes
    compression = _one(tags, COMPRESSION, 1)
    for number, (start, length) in enumerate(zip(starts[:expected], lengths, strict=False)):
        if start + length > len(data):
            raise Refused("truncated", f"TIFF ends after {len(data)} bytes; its pixels would end at {start + length}")
        needed = row * (rows if tiled else min(rows, height - number % down * rows))  # tiles are filled up
        if compression in DEFLATE:
            length = _inflated(data[start : start + length], needed + SPARE)
        if compression == PACK_BITS:
            length = run_length(data[start : start + length], needed + SPARE)
        if (compression in (1, PACK_BITS, *DEFLATE) and length < needed) or (compression == PACK_BITS and length > needed):
            raise Refused("damaged", f"TIFF has a strip or tile of {length} bytes; its pixels are {needed}")
    return max(start + length for start, length in zip(starts[:expected], lengths, strict=False))


def _inflated(piece: bytes, most: int) -> int:
    """Bytes that a piece inflates to, all of them checked."""
    inflate = zlib.decompressobj()
    try:
        length = len(inflate.decompress(piece, most))
    except zlib.error as error:
        raise Refused("damaged", f"TIFF has a strip or tile that does not inflate: {error}") from error
    if not inflate.eof:
        raise Refused("damaged", "TIFF has a strip or tile whose deflated data have no end")
    return length


def _one(tags: Tags, tag: int, otherwise: int) -> int:
    return tags[tag][0] if tag in tags else otherwise
