"""Half-done work that a later run takes up: files that appear whole, with a checksum beside them; one that is damaged is made again."""

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path

from xraydenoise import disk


@contextlib.contextmanager
def whole(path: Path) -> Iterator[Path]:
    """The name under which to write the file that then takes the place of `path`, whose checksum is kept.

    A kill at any moment leaves the old file or the new one with its checksum, since both checksums stand there before the file is moved.
    Raises DiskError where the disk takes no more.
    """
    sums = _sums(path)
    with disk.whole(path) as partial:
        yield partial
        before = sums.read_bytes().split(b"\n")[0] if sums.exists() else b""
        disk.write(sums, checksum(partial).encode() + b"\n" + before)


def sound(path: Path) -> bool:
    """Whether `path` is the file that was written. One that is not is deleted, which is told in a line."""
    if not path.exists():
        return False
    sums = _sums(path)
    if sums.exists() and checksum(path).encode() in sums.read_bytes().split(b"\n"):
        return True
    why = "is not as it was written" if sums.exists() else f"has no checksum beside it ({sums.name})"
    path.unlink()
    sums.unlink(missing_ok=True)
    print(f"{path}: {why} and is deleted; what it held is made again", flush=True)
    return False


def checksum(path: Path) -> str:
    """Of the file's bytes. SHA-256, of which processors today do 2 GB/s: a checkpoint of 400 MB costs .2 s each time it is written."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sums(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")
