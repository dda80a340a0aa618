"""Where pictures come from: one file a kind, whose Config fetches files into a folder and lists them."""

import hashlib
import os
import shutil
from abc import abstractmethod
from collections.abc import Collection
from pathlib import Path, PurePath
from typing import Annotated, ClassVar, NamedTuple
from urllib.parse import quote

import pandas as pd
from pydantic import BeforeValidator, SerializeAsAny, Strict

from xraydenoise import kinds
from xraydenoise.data import text

FILES = "files"  # the folder below a dataset's own that holds its files
NAMED = 10  # files named in one printed line
LONGEST = 200  # bytes of a name; file systems take 255, of which DVC needs some for the copy it makes beside


class Row(NamedTuple):
    """One file of a dataset, a row of contracts.Downloads."""

    path: str  # relative to the dataset's folder
    patient: str | None
    view: str | None
    label: str | None
    licence: str
    origin: str
    spacing: float | None = None  # mm a pixel, where the source knows it and the file does not say
    reason: str | None = None  # why the file could not be fetched: it goes to quarantine under this code
    detail: str | None = None


class Source(kinds.Config):
    """What every kind of source offers; each kind's `Config` is one."""

    kind: str
    path: Annotated[Path, Strict(False)]  # what DVC watches: the stage runs again when it changes
    family: ClassVar[str] = ""  # datasets of one family share their patients; "": a dataset's patients are its own

    def check(self) -> None:
        """Look, before any compute, for what `fetch` would refuse; raises as it does."""

    @abstractmethod
    def fetch(self, destination: Path) -> pd.DataFrame:
        """Put the files below `destination`/files and list them: contracts.Downloads, `path` relative to `destination`.

        `patient` is a name within the family, or null. A file that cannot be fetched is listed with its reason, so that it reaches the
        quarantine. Raises ValueError or OSError, with one line that names the thing, the value and the way out, where the dataset as a
        whole cannot be had; nothing is left out in silence.
        """


SourceConfig = Annotated[SerializeAsAny[Source], BeforeValidator(kinds.by_kind("xraydenoise.data.sources"))]


def listing(rows: list[Row]) -> pd.DataFrame:
    """`rows` as a table of contracts.Downloads."""
    return pd.DataFrame(rows, columns=list(Row._fields), dtype="str").astype({"spacing": float})


def place(relative: PurePath) -> str:
    """Where below a dataset's folder a file called `relative` is put, as a manifest, a log and any file system can hold it.

    A part with unprintable or undecodable characters, or longer than `LONGEST` bytes, has those percent-encoded, is cut, and ends in a
    hash of the whole, so that two never meet; other names stay, in composed Unicode on every system.
    """
    return "/".join([FILES, *(_place(text.composed(part)) for part in relative.parts)])


def _place(part: str) -> str:
    raw = os.fsencode(part)
    if part.isprintable() and len(raw) <= LONGEST:
        return part
    stem, suffix = Path(part).stem, Path(part).suffix
    plain = "".join(letter if letter.isprintable() else quote(os.fsencode(letter)) for letter in stem)
    room = LONGEST // 4  # letters of up to four bytes
    return f"{plain[:room]}~{hashlib.sha256(raw).hexdigest()[:8]}{suffix if suffix.isprintable() and len(suffix) < 8 else ''}"


def ascii_name(path: PurePath) -> str:
    """The name as a terminal and a page can show it: what cannot be printed is escaped."""
    name = path.as_posix()
    return name if name.isprintable() else ascii(name)[1:-1]


def tell_left_out(root: Path, files: Collection[Path], why: str) -> None:
    """Print how many files below `root` are left out and name the first; nothing where there are none."""
    if files:
        names = ", ".join(sorted(ascii_name(file.relative_to(root)) for file in files)[:NAMED])
        print(f"{root}: {len(files)} files {why} and left out: {names}{', ...' if len(files) > NAMED else ''}")


def check_space(destination: Path, size: int) -> None:
    """Raise OSError where the disk that holds `destination` has no room for `size` bytes: before the copy, not in its middle."""
    free = shutil.disk_usage(destination).free
    if size > free:
        raise OSError(f"{destination}: {size / 1e9:.2f} GB are to be written, {free / 1e9:.2f} GB are free; make room on that disk")
