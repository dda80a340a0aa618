"""The two Kaggle sets of paediatric chest radiographs, by kagglehub: pinned versions, patients told from the files' names.

CoronaHack (praveengovi/coronahack-chest-xraydataset) is chest-xray-pneumonia (paultimothymooney/chest-xray-pneumonia) without its 16
validation images plus 70 others, so both are one family: a patient of one is the same patient in the other.
"""

import csv
import filecmp
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Literal

import pandas as pd
from pydantic import Field

from xraydenoise.data import sources
from xraydenoise.progress import progress

SUFFIXES = frozenset({".jpeg", ".jpg", ".png"})
PATIENT = re.compile(r"(person\d+)_(?:bacteria|virus)_\d+|((?:NORMAL2-)?IM-\d+)(?:-\d+)+")  # the group that names the patient
TABLE = "Chest_xray_Corona_Metadata.csv"  # of CoronaHack
LABELS = {"NORMAL": "normal", "PNEUMONIA": "pneumonia", "Normal": "normal", "Pnemonia": "pneumonia"}  # as the sets spell them
PASSING = frozenset({408, 429, 500, 502, 503, 504})  # HTTP states that a later attempt may find gone
WAITS = (2.0, 8.0, 30.0)  # seconds before each further attempt; kagglehub retries a cut transfer, and none of these


class Config(sources.Source):
    kind: Literal["kaggle"]
    handle: str = Field(pattern=r"^[\w-]+/[\w-]+$")  # owner/dataset
    version: int = Field(ge=1)  # of the dataset, so that it never changes under us
    rule: Literal["pneumonia", "coronahack"]  # how the set is laid out and where its labels stand
    licence: str
    family: ClassVar[str] = "kermany"  # whose images both sets are (Kermany et al. 2018)

    def fetch(self, destination: Path) -> pd.DataFrame:
        """Download into kagglehub's cache (KAGGLEHUB_CACHE, resumed where it was cut) and copy the images."""
        root = download(self.handle, self.version)
        images = dict(pneumonia(root) if self.rule == "pneumonia" else coronahack(root))
        if not images:
            raise ValueError(f"{root}: kaggle {self.handle} holds no image laid out as {self.rule!r}; correct `rule` in params.yaml")
        rows: list[sources.Row] = []
        for path, (image, label) in progress(sorted(images.items()), f"copying {self.handle}", total=len(images)):
            target = destination / sources.FILES / path
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(image, target)
            origin = f"kaggle {self.handle}, version {self.version}"
            rows.append(sources.Row(f"{sources.FILES}/{path}", patient(image.stem), "chest", label, self.licence, origin))
        return sources.listing(rows)


def download(handle: str, version: int) -> Path:
    """The folder in kagglehub's cache that holds the unpacked dataset.

    Raises ConnectionError, with one line, when Kaggle refuses or when no attempt succeeds.
    """
    import kagglehub  # here, not above: reading params.yaml loads every kind, and most runs never ask Kaggle
    import requests
    from kagglehub.exceptions import DataCorruptionError

    name = f"kaggle {handle}, version {version}"
    for wait in (*WAITS, None):
        try:
            return Path(kagglehub.dataset_download(f"{handle}/versions/{version}"))
        except (requests.RequestException, DataCorruptionError) as error:
            response = getattr(error, "response", None)
            status = None if response is None else response.status_code
            if status in (401, 403):
                raise ConnectionError(
                    f"{name}: Kaggle answers {status}; set KAGGLE_API_TOKEN, or use an account that may see it"
                ) from error
            if status == 404:
                raise ConnectionError(f"{name}: Kaggle knows no such dataset or version (404); correct params.yaml") from error
            reason = " ".join(str(error).split())[:200]
            if wait is None or (status is not None and status not in PASSING):
                raise ConnectionError(f"{name}: download failed: {reason}; run again later, it goes on where it stopped") from error
            print(f"{name}: {reason}; next attempt in {wait:g} s", flush=True)
            time.sleep(wait)
    raise AssertionError("the last attempt returns or raises")


def patient(stem: str) -> str | None:
    """Whose image it is by its file's name: person3_virus_16 -> person3, NORMAL2-IM-0030-0001 -> NORMAL2-IM-0030; None for other names."""
    found = PATIENT.fullmatch(stem)
    return None if found is None else found[1] or found[2]


def pneumonia(root: Path) -> Iterator[tuple[str, tuple[Path, str]]]:
    """(split/label/name, (file, label)): the images of {train,val,test}/{NORMAL,PNEUMONIA}, the archive's second copy of them left out."""
    copies, kept = 0, dict[str, Path]()
    for file in sorted(images(root), key=lambda file: (len(file.parts), file)):
        if file.parent.name not in LABELS or file.parent.parent.name not in ("train", "val", "test"):
            continue
        path = "/".join(file.parts[-3:])
        if path not in kept:
            kept[path] = file
            yield path, (file, LABELS[file.parent.name])
        elif filecmp.cmp(file, kept[path], shallow=False):
            copies += 1
        else:
            raise ValueError(f"{file}: differs from {kept[path]}, which has the same name; delete {root} and download again")
    if copies:
        print(f"{root.parts[-3]}: {copies} files lie in the archive twice; each is taken once")


def coronahack(root: Path) -> Iterator[tuple[str, tuple[Path, str | None]]]:
    """(split/name, (file, label)): every image, labelled by the set's metadata table where that lists it."""
    tables = sorted(root.rglob(TABLE))
    if not tables:
        raise ValueError(f"{root}: has no {TABLE}; it is not CoronaHack, or its layout changed: correct `rule` or `version` in params.yaml")
    with tables[0].open(encoding="utf-8", newline="") as lines:
        labels = {row["X_ray_image_name"]: LABELS[row["Label"]] for row in csv.DictReader(lines)}
    found = {f"{file.parent.name}/{file.name}": (file, labels.get(file.name)) for file in images(root)}
    absent = len(set(labels) - {file.name for file, _ in found.values()})
    unlisted = sum(label is None for _, label in found.values())
    if absent or unlisted:
        print(f"{TABLE}: {absent} listed images are not in the archive, {unlisted} images are not listed and have no label")
    yield from found.items()


def images(root: Path) -> Iterator[Path]:
    """The image files below `root`, without what macOS leaves in archives."""
    for file in sorted(root.rglob("*")):
        inner = file.relative_to(root).parts
        if file.suffix.lower() in SUFFIXES and not any(part.startswith(".") or part == "__MACOSX" for part in inner):
            yield file
