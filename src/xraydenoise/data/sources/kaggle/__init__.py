"""The two Kaggle sets of paediatric chest radiographs, by kagglehub: pinned versions, patients told from the files' names.

CoronaHack (praveengovi/coronahack-chest-xraydataset) is chest-xray-pneumonia (paultimothymooney/chest-xray-pneumonia) without its 16
validation images plus 70 others, so both are one family: a patient of one is the same patient in the other.

kagglehub signs in and finds the archive; the transfer is transfer.py's, as kagglehub's own (1.0.2) appends an error page to what it
resumes, takes any file of the right length for whole, and unpacks with no limit straight into the folder that it then calls complete.
"""

import csv
import filecmp
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar, Literal

import pandas as pd
import requests
from pydantic import Field

from xraydenoise import transfer
from xraydenoise.data import sources, text
from xraydenoise.data.sources.kaggle import archive

SUFFIXES = frozenset({".jpeg", ".jpg", ".png"})
PATIENT = re.compile(r"(person\d+)_.+|((?:NORMAL2-)?IM-\d+)-.+")  # the group that names the patient
# CoronaHack's other images are figures of articles. A name is cut where it turns from the article to the figure, its part, day or view.
FIGURE = re.compile(r"[-_.](?:[Ff]ig|(?:f|g|gr|fx)\d|main\.|day\d).*|(?:[-_](?:AP|PA|[A-Za-z]\d?|\d{1,2}))+$")
RANDOM = re.compile(r"[0-9A-F]{8}(?:-[0-9A-F]{4}){3}-[0-9A-F]{12}")  # of cases of the Italian society (SIRM), one to four images a patient
TABLE = "Chest_xray_Corona_Metadata.csv"  # of CoronaHack
NAME, LABEL = "X_ray_image_name", "Label"  # its columns
LABELS = {"NORMAL": "normal", "PNEUMONIA": "pneumonia", "Normal": "normal", "Pnemonia": "pneumonia"}  # as the sets spell them

TOKENS = "https://www.kaggle.com/settings/api"  # where an account makes its token
WORK = Path("work/kaggle")  # archives and half-done work; beside DVC's outputs, as a stage's own are deleted when it runs again
MAX_FILES, MAX_RATIO = 100_000, 100.0  # of an archive: chest-xray-pneumonia has 23 thousand entries, and JPEG hardly compresses


class Config(sources.Source):
    kind: Literal["kaggle"]
    handle: str = Field(pattern=r"^[\w-]+/[\w-]+$")  # owner/dataset
    version: int = Field(ge=1)  # of the dataset, so that it never changes under us
    rule: Literal["pneumonia", "coronahack"]  # how the set is laid out and where its labels stand
    licence: str
    family: ClassVar[str] = "kermany"  # whose images both sets are (Kermany et al. 2018)

    def fetch(self, destination: Path) -> pd.DataFrame:
        """Download the archive into work/kaggle, unpack it there, move its images to `destination`; the archive goes when all is there.

        Where `rule` does not fit, the archive stays, so that another attempt needs no download.
        """
        path = download(self.handle, self.version)
        root = path.with_suffix("")
        shutil.rmtree(root, ignore_errors=True)  # of a run that was killed while it moved the images
        try:
            archive.unpack(path, root, MAX_FILES, MAX_RATIO)
        except ValueError:  # the archive's own fault: never again taken for a download
            path.unlink()
            raise
        images = dict(pneumonia(root) if self.rule == "pneumonia" else coronahack(root))
        if not images:
            raise ValueError(f"{root}: kaggle {self.handle} holds no image laid out as {self.rule!r}; correct `rule` in params.yaml")
        rows: list[sources.Row] = []
        for name, (image, label) in sorted(images.items()):
            placed = sources.place(PurePosixPath(name))
            (destination / placed).parent.mkdir(parents=True, exist_ok=True)
            shutil.move(image, destination / placed)
            origin = f"kaggle {self.handle}, version {self.version}"
            whose = patient(image.stem) or (article(image.stem) if self.rule == "coronahack" else None)
            rows.append(sources.Row(placed, whose, "chest", label, self.licence, origin))
        shutil.rmtree(root)
        path.unlink()
        return sources.listing(rows)


def download(handle: str, version: int) -> Path:
    """The archive of one version, below `WORK`, whole and with Kaggle's hash; what an earlier run fetched is not fetched again.

    Raises as transfer.download does, and ValueError for credentials that cannot be used.
    """
    name, path = f"kaggle {handle}, version {version}", WORK / f"{handle.replace('/', '.')}.v{version}.zip"
    if path.exists():
        print(f"{name}: {path} is there from an earlier run")
    else:
        transfer.download(path, name, lambda start: opened(handle, version, start), lambda status: refusal(handle, status), unpacks=True)
    return path


@contextmanager
def opened(handle: str, version: int, start: int) -> Iterator[requests.Response]:
    """Kaggle's answer with the archive's bytes from `start` on. Raises requests.RequestException."""
    from kagglesdk.datasets.types.dataset_api_service import ApiDownloadDatasetRequest

    request = ApiDownloadDatasetRequest()
    request.owner_slug, request.dataset_slug = handle.split("/")
    request.dataset_version_number = version
    with client(start) as kaggle, kaggle.datasets.dataset_api_client.download_dataset(request) as response:
        yield response


@contextmanager
def client(start: int) -> Iterator[Any]:
    """kagglehub's client with the user's credentials where there are any; files are asked for from byte `start` on.

    Raises ValueError where the credentials fit in no HTTP header; no message tells them.
    """
    from kagglehub.clients import build_kaggle_client
    from kagglehub.config import get_kaggle_credentials

    try:
        found = get_kaggle_credentials()
    except OSError:  # it looks whether the token is a file, and a long one makes a bad name, which the error would tell
        raise ValueError("KAGGLE_API_TOKEN: is neither a token nor a file; set it again, or unset it: public datasets need none") from None
    secrets = [] if found is None else [secret for secret in (found.api_key, found.username, found.key) if secret]
    if not all(re.fullmatch(r"[!-~]+", secret) for secret in secrets):
        raise ValueError("the Kaggle credentials hold a space, a line break or a character that is not ASCII; set them again")
    with build_kaggle_client() as kaggle:
        for scheme in ("https://", "http://"):
            kaggle.http_client()._session.mount(scheme, transfer.Patient(start))  # kagglesdk has no other door to its time limits
        yield kaggle


def refusal(handle: str, status: int) -> str | None:
    """What HTTP 401, 403 or 404 means here, and the way out; None for another state."""
    page = f"https://www.kaggle.com/datasets/{handle}"
    if status == 401:
        return f"Kaggle answers 401; renew KAGGLE_API_TOKEN ({TOKENS}), or unset it: public datasets need none"
    if status == 403:
        return f"Kaggle answers 403; open {page}, accept its terms if it asks, and set KAGGLE_API_TOKEN ({TOKENS})"
    if status != 404:
        return None
    if current := current_version(handle):
        return f"not there (404); Kaggle holds version {current}; set `version: {current}` in params.yaml"
    return f"Kaggle knows no such dataset (404); correct `handle` in params.yaml, its page would be {page}"


def current_version(handle: str) -> int | None:
    """The newest version of a dataset; None where Kaggle does not say."""
    from kagglesdk.datasets.types.dataset_api_service import ApiGetDatasetRequest

    request = ApiGetDatasetRequest()
    request.owner_slug, request.dataset_slug = handle.split("/")
    try:
        with client(0) as kaggle:
            return int(kaggle.datasets.dataset_api_client.get_dataset(request).current_version_number) or None
    except requests.RequestException:
        return None


def patient(stem: str) -> str | None:
    """Whose image it is by its file's name: person3_virus_16 -> person3, NORMAL2-IM-0030-0001 -> NORMAL2-IM-0030; None for other names."""
    found = PATIENT.fullmatch(stem)
    return None if found is None else found[1] or found[2]


def article(stem: str) -> str:
    """Where an image of CoronaHack's others was published: what of the article's images is whose patient's, their names do not tell.

    1-s2.0-S0929664620300449-gr2_lrg-a -> 1-s2.0-S0929664620300449. Two patients in one group cost nothing; one patient in two would leak.
    """
    return "sirm" if RANDOM.fullmatch(stem) else FIGURE.sub("", stem)


def pneumonia(root: Path) -> Iterator[tuple[str, tuple[Path, str]]]:
    """(split/label/name, (file, label)): the images of {train,val,test}/{NORMAL,PNEUMONIA}, the archive's second copy of them left out."""
    copies, kept, others = 0, dict[str, Path](), list[Path]()
    for file in sorted(files(root), key=lambda file: (len(file.parts), file)):
        if not is_image(file) or file.parent.name not in LABELS or file.parent.parent.name not in ("train", "val", "test"):
            others.append(file)
            continue
        path = "/".join(file.parts[-3:])
        if path not in kept:
            kept[path] = file
            yield path, (file, LABELS[file.parent.name])
        elif filecmp.cmp(file, kept[path], shallow=False):
            copies += 1
        else:
            raise ValueError(f"{file}: differs from {kept[path]}, which has the same name; name another `version` in params.yaml")
    sources.tell_left_out(root, others, "are no images of {train,val,test}/{NORMAL,PNEUMONIA}")
    if copies:
        print(f"{root.name}: {copies} files lie in the archive twice; each is taken once")


def coronahack(root: Path) -> Iterator[tuple[str, tuple[Path, str | None]]]:
    """(split/name, (file, label)): every image, labelled by the set's metadata table where that lists it."""
    tables = sorted(root.rglob(TABLE))
    if not tables:
        raise ValueError(f"{root}: has no {TABLE}; it is not CoronaHack, or its layout changed: correct `rule` or `version` in params.yaml")
    labels = dict(read_labels(tables[0]))
    found: dict[str, tuple[Path, str | None]] = {}
    for file in filter(is_image, files(root)):
        known = found.setdefault(f"{file.parent.name}/{file.name}", (file, labels.get(text.composed(file.name))))[0]
        if known != file and not filecmp.cmp(file, known, shallow=False):
            raise ValueError(f"{file}: differs from {known}, which has the same name; the archive contradicts itself")
    sources.tell_left_out(root, [file for file in files(root) if not is_image(file) and file.suffix != ".csv"], "are no images")
    absent = len(set(labels) - {text.composed(file.name) for file, _ in found.values()})
    unlisted = sum(label is None for _, label in found.values())
    if absent or unlisted:
        print(f"{TABLE}: {absent} listed images are not in the archive, {unlisted} images have no label in it")
    yield from found.items()


def read_labels(table: Path) -> Iterator[tuple[str, str]]:
    """Each listed image that has a label, and this. Raises ValueError naming the table, the line and the value."""
    with table.open(encoding="utf-8-sig", newline="") as lines:
        reader = csv.DictReader(lines)
        if missing := {NAME, LABEL} - set(reader.fieldnames or ()):
            raise ValueError(f"{table}: has no column {', '.join(sorted(missing))}; correct `rule` or `version` in params.yaml")
        for row in reader:
            label = text.known(row[LABEL] or "")
            if label is not None and label not in LABELS:
                known = ", ".join(sorted(set(LABELS)))
                raise ValueError(f"{table}: line {reader.line_num}: {LABEL} {row[LABEL]!r} is unknown, expected one of {known}")
            if label is not None:
                yield text.composed(row[NAME] or ""), LABELS[label]


def files(root: Path) -> Iterator[Path]:
    """The files below `root`, without what macOS leaves in archives."""
    for file in sorted(root.rglob("*")):
        inner = file.relative_to(root).parts
        if file.is_file() and not any(part.startswith(".") or part == "__MACOSX" for part in inner):
            yield file


def is_image(file: Path) -> bool:
    return file.suffix.lower() in SUFFIXES
