"""Files that appear whole or not at all, and one line for a disk that takes no more: what was to be written, where, how much is free."""

import contextlib
import errno
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

WAYS_OUT = {
    errno.ENOSPC: "make room there",
    errno.EDQUOT: "make room in your quota there",
    errno.EFBIG: "raise the limit on the size of a file (`ulimit -f`), or use another file system",
    errno.EROFS: "make it writable",
}
NUMBER = re.compile(r"\b(?:os error|errno) (\d+)\b", re.IGNORECASE)  # in the text of errors that have no number: safetensors', shutil's
TIGHT = 1 << 16  # bytes; where less is free, a database that cannot be written has met a full disk


class DiskError(OSError):
    """A disk that takes no more, as one line that names the file, the reason, what is free and the way out."""

    def __init__(self, number: int, path: Path) -> None:
        place = mount(path)
        free = shutil.disk_usage(place).free / 1e6
        told = f"{path}: cannot be written: {os.strerror(number)}, {free:.1f} MB are free on {place}; {WAYS_OUT[number]} and run again"
        super().__init__(number, told)
        self.told = told

    def __str__(self) -> str:
        return self.told


@contextlib.contextmanager
def whole(path: Path) -> Iterator[Path]:
    """The name under which to write the file that then takes the place of `path`; a failure leaves `path` as it was.

    Raises DiskError where the disk takes no more.
    """
    partial = path.with_name(path.name + ".partial")
    try:
        with naming(path):
            yield partial
            with partial.open("r+b") as file:
                os.fsync(file.fileno())  # or a power cut could leave the new name on empty blocks
            partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write(path: Path, content: str | bytes) -> None:
    """Write a whole file, text as UTF-8. Raises DiskError where the disk takes no more."""
    with whole(path) as partial:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Raise DiskError that names `path` where the disk takes no more of it: most libraries tell no name."""
    try:
        yield
    except Exception as error:
        found = explained(error, path)
        if found is None or found is error:
            raise
        raise found from error


def explained(error: BaseException, path: Path | None = None) -> DiskError | None:
    """The disk that takes no more behind `error` or what caused it, None where that is no disk.

    `path` is what was to be written, where the error does not name another file.
    """
    while True:
        if isinstance(error, DiskError):
            return error
        if (number := _number(error)) is not None:
            named = (error.filename2 or error.filename) if isinstance(error, OSError) else None
            place = Path(os.fsdecode(named)) if isinstance(named, str | bytes) else path or Path.cwd()
            return DiskError(number, path if path and place.parent == path.parent else place)  # beside it stands its unfinished name
        cause = error.__cause__ or error.__context__
        if cause is None:
            return None
        error = cause


def spare(path: Path, size: int, what: str) -> None:
    """Raise OSError where fewer than `size` bytes are free for `path`, which `what` needs."""
    place = mount(path)
    if (free := shutil.disk_usage(place).free) < size:
        raise OSError(
            f"{path}: {free / 1e6:.1f} MB are free on {place}, and {what} need {size / 1e6:.0f} MB; {WAYS_OUT[errno.ENOSPC]} and run again"
        )


def mount(path: Path) -> Path:
    """Where the file system that holds `path`, which need not be there, is mounted."""
    place = path.resolve()  # a folder may be a link to another disk
    while not os.path.ismount(place):
        place = place.parent
    return place


def _number(error: BaseException) -> int | None:
    """The number in WAYS_OUT by which `error` says that the disk takes no more."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno if error.errno in WAYS_OUT else None
    if type(error).__module__ == "sqlite3":
        return _database(error)
    found = NUMBER.search(str(error))
    return int(found[1]) if found and int(found[1]) in WAYS_OUT else None


def _database(error: BaseException) -> int | None:
    """As `_number`. SQLite says "unable to open" and "I/O error" on a full disk too, and no name."""
    import sqlite3  # here, since some Pythons are built without it, and `xraydenoise denoise` needs no database

    if not isinstance(error, sqlite3.OperationalError):
        return None
    full = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL or shutil.disk_usage(Path.cwd()).free < TIGHT
    return errno.ENOSPC if full else None
