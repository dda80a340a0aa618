"""Any tree of images on this machine, as the inbox; an `images.csv` in any of its folders says whose they are."""

import csv
import io
import os
import re
import shutil
from collections.abc import Container, Iterator
from pathlib import Path
from typing import Literal

import pandas as pd

from xraydenoise.data import dicom, sources
from xraydenoise.progress import progress

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".dcm"})
SILENT = frozenset({".csv", ".dvc"})  # besides README.md and hidden files, what a folder may hold and no one takes for an image
TABLE = "images.csv"
NAMED = 10  # files named in one printed line
REQUIRED = ("file", "patient_id")  # columns of the table; view, label, licence and origin may follow
OPTIONAL = ("view", "label", "licence", "origin")
COUNT = re.compile(r"^\s*(?:-\s+)?nfiles:\s*(\d+)\s*$", re.MULTILINE)  # the one number that is needed of a .dvc file


class Config(sources.Source):
    kind: Literal["folder"]

    def check(self) -> None:
        """Every file that DVC holds or a table lists is there."""
        self._listed(Path(os.path.normpath(self.path)))

    def fetch(self, destination: Path) -> pd.DataFrame:
        """Copy every image below `path`; other files are named in one printed line."""
        root = Path(os.path.normpath(self.path))
        files, told = self._listed(root)
        images = [file for file in files if file in told or is_image(file)]
        others = [file for file in files.keys() - set(images) if file.suffix not in SILENT and file.name != "README.md"]
        if others:
            names = ", ".join(sorted(file.relative_to(root).as_posix() for file in others)[:NAMED])
            print(f"{root}: {len(others)} files are not images and left out: {names}{', ...' if len(others) > NAMED else ''}")
        rows: list[sources.Row] = []
        for file in progress(images, f"copying {root.name}", total=len(images)):
            target = destination / sources.FILES / file.relative_to(root)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
            row = told.get(file, dict.fromkeys((*REQUIRED, *OPTIONAL)))
            origin = row["origin"] or f"folder {root.name}"
            path = target.relative_to(destination).as_posix()
            rows.append(sources.Row(path, row["patient_id"], row["view"], row["label"], row["licence"] or "not stated", origin))
        return sources.listing(rows)

    def _listed(self, root: Path) -> tuple[dict[Path, None], dict[Path, dict[str, str | None]]]:
        """Every file, and the table's row of those that have one."""
        if not self.path.is_dir():
            raise FileNotFoundError(f"{self.path}: is no folder; make it, or correct the dataset's path in params.yaml")
        files = dict.fromkeys(walk(root))  # a set that keeps the order
        for file in files:
            if file.suffix == ".dvc":
                check_versioned(file)
        return files, {path: row for table in files if table.name == TABLE for path, row in read_table(table, files)}


def walk(root: Path) -> Iterator[Path]:
    """Every file below `root` that is not hidden, in order of its name. Raises ValueError for a link that is broken or leaves `root`."""
    for folder, names, files in os.walk(root):
        names[:] = sorted(name for name in names if not name.startswith("."))
        for path in (Path(folder, name) for name in [*names, *sorted(files)] if not name.startswith(".")):
            if path.is_symlink():
                if not path.exists():
                    raise ValueError(f"{path}: is a link to nothing; remove it, or put the file back")
                if not path.resolve().is_relative_to(root.resolve()):
                    raise ValueError(f"{path}: is a link that leaves {root}; put a copy of the file there")
            if path.is_file():
                yield path


def is_image(path: Path) -> bool:
    """By its suffix; without one, by DICOM's magic, as scanners write files without a suffix."""
    return path.suffix.lower() in SUFFIXES or (not path.suffix and dicom.is_dicom(path))


def check_versioned(versioned: Path) -> None:
    """Raise ValueError where images that DVC versions (`images.dvc`) have not all been brought here."""
    data = versioned.with_suffix("")
    way = f"run `dvc pull` or `dvc checkout {versioned}`"
    if not data.exists():
        raise FileNotFoundError(f"{data}: not there, but {versioned} says that DVC holds it; {way}")
    counts = [int(count) for count in COUNT.findall(versioned.read_text(encoding="utf-8"))]
    found = sum(len(files) for _, _, files in os.walk(data))
    if data.is_dir() and counts and found < counts[0]:
        raise ValueError(f"{data}: holds {found} of the {counts[0]} files in {versioned}; {way}, or `dvc add {data}` if you took them away")


def read_table(table: Path, files: Container[Path]) -> Iterator[tuple[Path, dict[str, str | None]]]:
    """Each listed file, which must be one of `files`, and its row, empty cells as None.

    Raises ValueError or FileNotFoundError naming the table, the line and the file.
    """
    try:
        text = table.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{table}: byte {error.start} is not UTF-8; save the table as CSV in UTF-8") from error
    reader = csv.DictReader(io.StringIO(text, newline=""))
    if missing := set(REQUIRED) - set(reader.fieldnames or ()):
        raise ValueError(f"{table}: has no column {', '.join(sorted(missing))}; found {', '.join(reader.fieldnames or ['nothing'])}")
    seen = set()
    for cells in reader:
        name = (cells["file"] or "").strip()
        path = Path(os.path.normpath(table.parent / name))
        line = f"{table}: line {reader.line_num}: {name!r}"
        if path not in files:
            raise FileNotFoundError(f"{line} is not there; put it back (`dvc pull` if DVC holds it), or remove the row")
        if path in seen:
            raise ValueError(f"{line} is listed twice; remove one row")
        seen.add(path)
        yield path, {key: (cells.get(key) or "").strip() or None for key in (*REQUIRED, *OPTIONAL)}
