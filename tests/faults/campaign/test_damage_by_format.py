"""Damage of each kind in each format: it is refused, or the decoded pixels are exactly those of the whole file."""

import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from xraydenoise.data.decode import decode
from xraydenoise.data.picture import Refused

LIMIT = 1.0  # megapixels
TRIALS = 60
PIECE = 20  # bytes that are inserted or lost
ZEROED = 200  # bytes
# Pixels stand there as they are: other values of the same length are another picture, and nothing can tell.
PLAIN = {"plain.dcm", "plain.tif", "bitmap.bmp"}

Damage = Callable[[bytes, np.random.Generator], bytes]


def zeroed(whole: bytes, rng: np.random.Generator) -> bytes:
    at = int(rng.integers(len(whole) - ZEROED))
    return whole[:at] + bytes(ZEROED) + whole[at + ZEROED :]


def inserted(whole: bytes, rng: np.random.Generator) -> bytes:
    at = int(rng.integers(len(whole)))
    return whole[:at] + rng.bytes(PIECE) + whole[at:]


def lost(whole: bytes, rng: np.random.Generator) -> bytes:
    at = int(rng.integers(len(whole) - PIECE))
    return whole[:at] + whole[at + PIECE :]


def cut(whole: bytes, rng: np.random.Generator) -> bytes:
    return whole[: int(rng.integers(1, len(whole) - 1))]


def flipped(whole: bytes, rng: np.random.Generator) -> bytes:
    at, changed = int(rng.integers(len(whole))), bytearray(whole)
    changed[at] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def decoded(content: bytes, path: Path) -> np.ndarray | None:
    """The pixels, or None where the file is refused."""
    path.write_bytes(content)
    try:
        return decode(path, LIMIT, voi=False).pixels
    except Refused:
        return None


@pytest.mark.parametrize("damage", [zeroed, inserted, lost, cut, flipped])
@pytest.mark.filterwarnings("ignore")
def test_damaged_files_are_refused_or_are_the_same_picture(
    damage: Damage, specimens: dict[str, bytes], tmp_path: Path, tried: Callable[[str, bool], None]
) -> None:
    for name, whole in specimens.items():
        picture = decoded(whole, tmp_path / "a")
        keeps_length = damage in (zeroed, flipped)
        note = " (nothing can tell)" if name in PLAIN and keeps_length else ""
        for trial in range(TRIALS):
            rng = np.random.default_rng([zlib.crc32(f"{damage.__name__} {name}".encode()), trial])
            found = decoded(damage(whole, rng), tmp_path / "a")
            tried(f"{name}: {damage.__name__}{note}", found is None or np.array_equal(found, picture))
