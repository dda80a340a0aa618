"""Any tree of images on this machine, as the inbox; an `images.csv` in any of its folders says whose they are."""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import pandas as pd

from xraydenoise.data import magic, sources
from xraydenoise.data.sources import NAMED, ascii_name
from xraydenoise.data.sources.folder import table
from xraydenoise.progress import progress

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".dcm"})
SILENT = frozenset({".dvc"})  # besides tables, README.md and hidden files, what a folder may hold and no one takes for an image
ISBI = frozenset({"TrainingData", "Test1Data", "Test2Data"})  # below RawImage, the folders of the ISBI 2015 cephalogram challenge 1
COUNT = re.compile(r"^\s*(?:-\s+)?nfiles:\s*(\d+)\s*$", re.MULTILINE)  # the one number that is needed of a .dvc file


Fault = tuple[str, str]  # a reason code of the quarantine, and what was found


class Layout(NamedTuple):
    """What the place of a file tells."""

    patient: str | None
    view: str | None
    spacing: float | None  # mm a pixel


class Config(sources.Source):
    kind: Literal["folder"]

    def check(self) -> None:
        """Every file that DVC holds or a table lists is there, and nothing is that DVC cannot hash, since it would stop or hang there."""
        files, _ = self._listed(Path(os.path.normpath(self.path)))
        faults = {file: fault[1] for file, fault in files.items() if fault}
        faults |= {file: "its name is not UTF-8" for file in files if file not in faults and not is_text(file.as_posix())}
        if faults:
            told = "; ".join(f"{ascii_name(file)}: {detail}" for file, detail in list(faults.items())[:NAMED])
            raise ValueError(f"{self.path}: DVC cannot version {len(faults)} of its files; remove, mend or rename them: {told}")

    def fetch(self, destination: Path) -> pd.DataFrame:
        """Copy every image below `path`; what cannot be read is listed with its reason, and other files are named in one printed line."""
        root = Path(os.path.normpath(self.path))
        files, tables = self._listed(root)
        told = {file: row for one in tables for file, row in one.rows.items()}
        images = [file for file, refused in files.items() if file in told or refused or is_image(file)]
        silent = {file for file in files if file.suffix in SILENT or file.name == "README.md" or table.is_table(file)}
        sources.tell_left_out(root, files.keys() - set(images) - silent, "are not images")
        for one in tables:
            one.tell()
        sources.check_space(destination, sum(file.stat().st_size for file in images if files[file] is None))
        rows: list[sources.Row] = []
        for file in progress(images, f"copying {root.name}", total=len(images)):
            row = told.get(file, table.EMPTY)
            layout = isbi(file)
            path = sources.place(file.relative_to(root))
            refused = files[file] or copy(file, destination / path)
            rows.append(
                sources.Row(
                    path,
                    row["patient_id"] or layout.patient,
                    row["view"] or layout.view,
                    row["label"],
                    row["licence"] or "not stated",
                    row["origin"] or f"folder {root.name}",
                    layout.spacing,
                    *(refused or (None, None)),
                )
            )
        return sources.listing(rows)

    def _listed(self, root: Path) -> tuple[dict[Path, Fault | None], list[table.Table]]:
        """Every file with what keeps it from being read, and every table."""
        if not self.path.is_dir():
            raise FileNotFoundError(f"{self.path}: is no folder; make it, or correct the dataset's path in params.yaml")
        files = dict(walk(root))
        for file, fault in files.items():
            if file.suffix == ".dvc" and fault is None:
                check_versioned(file)
        named = table.by_name(files)
        return files, table.read_all((file for file, fault in files.items() if fault is None and table.is_table(file)), named)


def walk(root: Path) -> Iterator[tuple[Path, Fault | None]]:
    """Every file below `root` that is not hidden, in order of its name, with what keeps it from being read: links that are broken or
    lead to folders, files and folders that this user may not read, and devices.

    A link to a file is that file, wherever it lies (DVC's cache, another disk): DVC hashes its content, and not that it is a link.
    """
    closed: list[OSError] = []
    for folder, names, files in os.walk(root, onerror=closed.append):
        names[:] = sorted(name for name in names if not name.startswith("."))
        for path in (Path(folder, name) for name in [*names, *sorted(files)] if not name.startswith(".")):
            if fault := unreadable(path):
                names[:] = [name for name in names if name != path.name]  # a folder is not entered
            if fault or not path.is_dir():
                yield path, fault
    for error in closed:
        yield Path(error.filename), ("unreadable", f"cannot be listed: {error.strerror}")


def unreadable(path: Path) -> Fault | None:
    """Why `path` is not to be opened, told without opening it."""
    if path.is_symlink():
        if not path.exists():
            return "broken_link", f"is a link to nothing: {ascii_name(path.readlink())}"
        if path.is_dir():
            return "linked_folder", "is a link to a folder, into which DVC does not look; put the folder itself there"
    if not (path.is_file() or path.is_dir()):
        return "not_a_file", "is a pipe, a socket or a device"
    if not os.access(path, os.R_OK | os.X_OK if path.is_dir() else os.R_OK):
        return "unreadable", "may not be read by this user"
    return None


def copy(file: Path, target: Path) -> Fault | None:
    """Copy the content; a file that cannot be read is no reason to stop, a disk that cannot be written is. Raises OSError for that."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with file.open("rb") as content:
            content.read(1)
    except OSError as error:
        return "unreadable", f"cannot be read: {error.strerror}"
    shutil.copyfile(file, target)
    return None


def isbi(file: Path) -> Layout:
    """What the ISBI 2015 challenge's layout tells of a cephalogram: one a patient, numbered through its three folders, 0.1 mm a pixel."""
    known = len(file.parts) > 2 and file.parts[-3] == "RawImage" and file.parts[-2] in ISBI
    return Layout(f"isbi-{file.stem}", "cephalogram lateral", 0.1) if known else Layout(None, None, None)


def is_text(name: str) -> bool:
    """Whether the system's bytes of the name are text, as manifests need it."""
    return not any("\udc80" <= letter <= "\udcff" for letter in name)


def is_image(path: Path) -> bool:
    """By its suffix, or by DICOM's magic: scanners name files by a UID, whose last number is no suffix, or as they like."""
    return path.suffix.lower() in SUFFIXES or magic.is_dicom(path)


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
