"""Zip archives from elsewhere: the whole directory is checked before a byte is written, and the folder appears whole or not at all."""

import os
import re
import shutil
import stat
import struct
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from xraydenoise import disk
from xraydenoise.data import text
from xraydenoise.progress import progress

SMALL = 1 << 20  # bytes up to which an entry, or the sum of all, may compress as it likes: a table of zeros is no bomb
CHUNK = 1 << 20  # bytes written at once
DEEPEST = 100  # folders within each other; Python makes them by a call within a call
METHODS = {zipfile.ZIP_STORED: "stored", zipfile.ZIP_DEFLATED: "deflated"}
DAMAGE = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, UnicodeDecodeError)  # what zipfile raises on reading
FOREIGN = re.compile(r"/|[A-Za-z]:|.*\\", re.DOTALL)  # absolute, a drive, or Windows' separator
CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def unpack(archive: Path, destination: Path, max_files: int, max_ratio: float) -> None:
    """Unpack the zip at `archive` into the folder `destination`, which must not exist; it appears when all is written and checked.

    `max_ratio` is bytes unpacked a byte packed, for each entry and for the sum of all (APPNOTE.TXT 6.3.10; bombs: Fifield 2019). Only plain
    files and folders that are stored or deflated, with relative names, are taken. Raises ValueError naming the archive, the entry, what was
    found and the limit where the archive is at fault, and OSError where this machine is (a full disk); nothing stays behind in either case.
    """
    destination.parent.mkdir(parents=True, exist_ok=True)
    partial = destination.with_name(destination.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)  # of a run that was killed
    try:
        with _opened(archive) as opened:
            entries = opened.infolist()
            check(entries, archive, partial, max_files, max_ratio)
            partial.mkdir()
            for entry in progress(entries, f"unpacking {archive.name}", total=len(entries)):
                _write(opened, entry, archive, partial)
        partial.rename(destination)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def check(entries: list[zipfile.ZipInfo], archive: Path, folder: Path, max_files: int, max_ratio: float) -> None:
    """Raise ValueError or OSError unless every entry may be written below `folder`, whose parent exists; writes nothing."""
    if len(entries) > max_files:
        raise ValueError(f"{archive}: holds {len(entries)} entries, allowed {max_files}; nothing was unpacked")
    files: dict[str, str] = {}  # the path of each file as a file system that ignores case and forms of Unicode sees it -> its name
    for entry in entries:
        if found := _fault(entry, folder, max_ratio):
            raise ValueError(f"{archive}: entry {entry.orig_filename!r} {found}; nothing was unpacked")
        if not entry.is_dir():
            if first := files.get(key := _key(entry)):
                raise ValueError(f"{archive}: entry {entry.orig_filename!r} has the name of {first!r}; nothing was unpacked")
            files[key] = entry.orig_filename
    for entry in entries:
        above = [str(parent) for parent in PurePosixPath(_key(entry)).parents] + [_key(entry)] * entry.is_dir()
        if below := next((parent for parent in above if parent in files), None):
            raise ValueError(
                f"{archive}: entry {entry.orig_filename!r} needs a folder where {files[below]!r} is a file; nothing was unpacked"
            )
    packed, size = archive.stat().st_size, sum(entry.file_size for entry in entries)
    if (claimed := sum(entry.compress_size for entry in entries)) > packed:
        raise ValueError(f"{archive}: its entries claim {claimed} of its {packed} bytes, so they overlap; nothing was unpacked")
    if size > max(SMALL, max_ratio * packed):
        raise ValueError(
            f"{archive}: all entries unpack to {size / packed:.0f} times its size, allowed {max_ratio:g}; nothing was unpacked"
        )
    if size > (free := shutil.disk_usage(folder.parent).free):
        raise OSError(f"{archive}: unpacks to {size / 1e6:.0f} MB, but {folder.parent} has {free / 1e6:.0f} MB free; make room, run again")


def _fault(entry: zipfile.ZipInfo, folder: Path, max_ratio: float) -> str | None:
    """What is wrong with one entry by itself, for the end of a sentence; None where it is harmless."""
    name = entry.orig_filename  # `filename` is cut at a NUL
    parts, kind = PurePosixPath(name).parts, stat.S_IFMT(entry.external_attr >> 16)
    longest = max((len(os.fsencode(part)) for part in parts), default=0)
    if not name or CONTROL.search(name):
        return "has an empty name or a control character in it"
    if FOREIGN.match(name):
        return "has an absolute name or one with a drive or a backslash"
    if ".." in parts:
        return "leaves the folder by `..`"
    if not parts and not entry.is_dir():
        return "names no file"
    if longest > (most := os.pathconf(folder.parent, "PC_NAME_MAX")):
        return f"has a name of {longest} bytes, allowed {most}"
    if (length := len(os.fsencode(folder.absolute() / name))) >= (most := os.pathconf(folder.parent, "PC_PATH_MAX")):
        return f"has a path of {length} bytes, allowed {most - 1}"
    if len(parts) > DEEPEST:
        return f"lies {len(parts)} folders deep, allowed {DEEPEST}"
    if kind not in (0, stat.S_IFDIR if entry.is_dir() else stat.S_IFREG):
        return f"is no plain file or folder (Unix type {kind:#o}; a link is {stat.S_IFLNK:#o})"
    if entry.header_offset < 0:
        return f"begins {-entry.header_offset} bytes before the archive does"
    if entry.flag_bits & 0x41:
        return "is encrypted"
    if entry.compress_type not in METHODS:
        return f"is compressed by method {entry.compress_type}, allowed {', '.join(f'{code} ({name})' for code, name in METHODS.items())}"
    if entry.file_size > max(SMALL, max_ratio * entry.compress_size):
        return f"unpacks {entry.compress_size} bytes to {entry.file_size}, allowed {max_ratio:g} times as many"
    return None


def _key(entry: zipfile.ZipInfo) -> str:
    return text.composed(str(PurePosixPath(entry.orig_filename)).casefold())


def _opened(archive: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(archive)
    except (*DAMAGE, ValueError) as error:  # ValueError: a date before 1980
        raise ValueError(f"{archive}: is no zip archive, or a damaged one ({error}); delete it and fetch it again") from error


def _write(opened: zipfile.ZipFile, entry: zipfile.ZipInfo, archive: Path, folder: Path) -> None:
    """Write one entry below `folder`: never over a file, never more than the directory says (zipfile stops there), its CRC-32 checked."""
    target = folder / PurePosixPath(entry.orig_filename)
    if entry.is_dir():
        target.mkdir(parents=True, exist_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with disk.naming(target), opened.open(entry) as source, target.open("xb") as file:
            shutil.copyfileobj(source, file, CHUNK)
            written = file.tell()
    except DAMAGE as error:
        raise ValueError(f"{archive}: entry {entry.orig_filename!r} is damaged ({error}); delete it and fetch it again") from error
    if written != entry.file_size:
        raise ValueError(
            f"{archive}: entry {entry.orig_filename!r} holds {written} of {entry.file_size} bytes; delete it and fetch it again"
        )
