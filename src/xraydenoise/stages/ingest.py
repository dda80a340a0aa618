"""Stage `ingest`: decode at full depth, scale by area, split by patient, write the pixel store, prove that nothing leaks.

What is refused is told, never lost; a run that was killed goes on where it was.
"""

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xxhash

from xraydenoise import contracts, disk
from xraydenoise.data import card, duplicates, leakage, pairs, prepare, quarantine, splits, store, workers
from xraydenoise.data.journal import Journal
from xraydenoise.data.leakage import Near, Pair
from xraydenoise.data.pairs import DUPLICATE
from xraydenoise.data.picture import Refused
from xraydenoise.params import Params
from xraydenoise.progress import progress

DATA = Path("data")
OUT = Path("artifacts/ingest")
TRACK = Path("artifacts/tracks/noise")
WORK = Path("work/ingest")  # the journal; survives a kill, removed at the end
CODE = Path(prepare.__file__).parent  # what decides, besides params and files, what becomes of a file
CODECS = ("numpy", "opencv-python-headless", "pydicom", "pyjpegls", "pylibjpeg", "pylibjpeg-openjpeg", "python-gdcm", "simplejpeg")
TABLE = [column for column in contracts.Images.to_schema().columns if column != "split"]


def run(params: Params) -> None:
    """Read data/<dataset>/manifest.parquet of every dataset; write the store, its manifests, the quarantine, the card and the proof.

    Raises ValueError when there is no image, when more than ingest.max_bad of a dataset's files are bad or none of them is left, for too
    few patients, and for a leak.
    """
    for folder in (OUT, TRACK):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    files = listed(params)
    journal = Journal(WORK, key(files, params))
    decode_missing(files, journal, params)

    together, contradicted = pairs.agreed(journal.table(pairs.TOLD, having="image"))
    refused = quarantine.table(journal, contradicted)
    contracts.write(refused, OUT / "quarantine.parquet", contracts.Quarantine)
    page = OUT / "quarantine.md"
    disk.write(page, quarantine.readable(refused, len(files)))
    quarantine.tell(refused, len(files), page)
    quarantine.check(refused, files["source"], params.ingest.max_bad, page)

    images = journal.table(TABLE, having="offset").astype({"spacing": float})
    for column in together:
        images[column] = images["image"].map(together[column]).astype(images[column].dtype)
    signatures = store.open_store(journal.signatures).reshape(-1, duplicates.LENGTH)
    found = [*pairs.copies(journal), *pairs.alike(images, duplicates.pairs(signatures)), *pairs.namesakes(journal)]
    own = [(patient, patient) for patient in images["patient"]]
    groups = splits.join([*own, *((pair.first_patient, pair.second_patient) for pair in found)])
    warn(found)
    split = splits.assign(deciding(journal, groups, params), params.seed, params.ingest.split.model_dump())
    images["patient"] = images["patient"].map(groups)
    images["split"] = images["patient"].map(split)
    contracts.write(images, OUT / "manifest.parquet", contracts.Images)
    contracts.write(images.assign(teaches=True)[list(contracts.Track.to_schema().columns)], TRACK / "manifest.parquet", contracts.Track)
    prove(groups, found, signatures)
    describe(files, refused, store.open_store(journal.pixels), params)
    disk.write(TRACK / duplicates.FILE, store.npy(signatures.astype(np.float16)))
    shutil.move(journal.pixels, TRACK / "targets.npy")
    shutil.rmtree(WORK)


def listed(params: Params) -> pd.DataFrame:
    """Every downloaded file (contracts.Downloads and `source`), datasets in the order of their names: the first of two copies is kept."""
    for folder in sorted(DATA.iterdir()) if DATA.is_dir() else []:
        if folder.is_dir() and folder.name not in params.datasets:
            print(f"ingest: {folder} is ignored: no dataset in params.yaml has this name (an earlier profile's?)")
    parts = [contracts.read(DATA / name / "manifest.parquet", contracts.Downloads).assign(source=name) for name in sorted(params.datasets)]
    files = pd.concat([part for part in parts if len(part)] or parts, ignore_index=True)
    if files.empty:
        names = ", ".join(sorted(params.datasets))
        raise ValueError(f"{DATA}: no image in {names}; put images into inbox/images, or name another dataset in params.yaml")
    return files


def key(files: pd.DataFrame, params: Params) -> str:
    """Digest of all that decides what becomes of the files: a journal under another key is of no use."""
    digest = hashlib.sha256(params.ingest.model_dump_json(exclude={"max_bad", "split"}).encode())
    for path in [Path(__file__), *sorted(path for path in CODE.rglob("*.py") if "sources" not in path.parts)]:
        digest.update(path.read_bytes())
    for package in CODECS:
        digest.update(version(package).encode())
    for file in records(files):
        digest.update(repr(sorted(file.items())).encode())
        if file["reason"] is None:
            with path_of(file).open("rb") as content:  # what it holds, as DVC sees it: a date may be any
                digest.update(hashlib.file_digest(content, xxhash.xxh3_128).digest())
    return digest.hexdigest()


def records(files: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """The rows one by one, missing values as None; all of them at once would be many times the table's size."""
    for start in range(0, len(files), 1000):
        part = files.iloc[start : start + 1000].astype(object)
        for row in part.where(part.notna(), None).to_dict("records"):
            yield {str(column): value for column, value in row.items()}


def path_of(file: dict[str, Any]) -> Path:
    return DATA.joinpath(file["source"], file["path"])


def decode_missing(files: pd.DataFrame, journal: Journal, params: Params) -> None:
    """Write a row of the journal for each file that has none: a picture, or why there is none."""
    first = {row["image"]: {key: row[key] for key in ("source", "file", "patient")} for row in journal.read() if "offset" in row}
    rest = files.iloc[journal.done :]
    if journal.done:
        print(f"ingest: goes on after {journal.done} of {len(files)} files")
    fetched = (path_of(file) for file in records(rest[rest["reason"].isna()]))
    results = prepare.stream(fetched, params.ingest, workers.cores())  # nothing else runs now, and their number changes no result
    with journal:
        for file in progress(records(rest), "ingest", total=len(files), done=journal.done):
            where = {"source": file["source"], "file": file["path"]}
            result = next(results) if file["reason"] is None else Refused(file["reason"], file["detail"])
            if isinstance(result, Refused):
                journal.append({**where, "reason": result.reason, "detail": result.detail})
                continue
            patient = patient_of(file, result)
            if known := first.get(result.image):
                detail = f"the same picture as {known['file']} of {known['source']}"
                same = entry(file, result, patient) | {"first_patient": known["patient"]}
                journal.append({**same, "reason": DUPLICATE, "detail": detail})
                continue
            first[result.image] = {**where, "patient": patient}
            journal.append(entry(file, result, patient), result.pixels, result.signature)


def entry(file: dict[str, Any], found: prepare.Prepared, patient: str) -> dict[str, Any]:
    """The row of contracts.Images, without what the journal and the split add."""
    native = found.spacing or file["spacing"]
    return {
        "source": file["source"],
        "file": file["path"],
        "image": found.image,
        "patient": patient,
        "view": file["view"] or found.view,
        "label": file["label"],
        "licence": file["licence"],
        "bits": found.bits,
        "native_height": found.native_height,
        "native_width": found.native_width,
        "spacing": None if native is None else native * max(found.native_height, found.native_width) / max(found.pixels.shape),
        "burned_in": found.burned_in,
        "dicom_patient": found.patient,
        "dicom_study": found.study,
        "named": any(name is not None for name in (file["patient"], found.patient, found.study)),
    }


def patient_of(file: dict[str, Any], result: prepare.Prepared) -> str:
    """The manifest's patient, else DICOM's or else its study, else the picture itself: its path may change."""
    return file["patient"] or result.patient or result.study or f"picture-{result.image}"


def deciding(journal: Journal, groups: dict[str, str], params: Params) -> dict[str, str]:
    """Name -> group, of the names whose hashes decide where each group stands (splits.assign): one a file.

    In a folder it is the PatientID where there is one, as an images.csv that comes later must not move who is trained on towards test.
    Datasets whose source names the patients have named them so from the start.
    """
    folders = {name for name, source in params.datasets.items() if source.kind == "folder"}
    told = (row for row in journal.read() if "patient" in row)
    return {(row["source"] in folders and row["dicom_patient"]) or row["patient"]: groups[row["patient"]] for row in told}


def warn(found: list[Pair]) -> None:
    """Tell which patients were joined though they are named apart: what joined them may be a placeholder."""
    for how, entry, other in (
        (leakage.PATIENT_ID, "PatientID", "images.csv names"),
        (leakage.STUDY, "StudyInstanceUID", "images.csv or PatientID names"),
    ):
        if apart := [pair for pair in found if pair.how == how]:
            print(
                f"ingest: {len(apart)} patients are joined to others of the same DICOM {entry}, though {other} them apart "
                f"(the first: {apart[0].first}, {apart[0].second}); where that {entry} is a placeholder, remove it from the files"
            )


def prove(groups: dict[str, str], found: list[Pair], signatures: Any) -> None:
    """Write leakage.json from the manifest as it was written. Raises ValueError where a patient or a picture stands in two splits."""
    images = contracts.read(OUT / "manifest.parquet", contracts.Images)
    where = (images["source"] + "/" + images["file"]).to_list()
    split = images["split"].to_list()
    near = [
        Near(pair.similarity, where[pair.first], where[pair.second], f"{split[pair.first]}, {split[pair.second]}")
        for pair in duplicates.nearest(signatures, split, leakage.NEAREST)
    ]
    proof = leakage.prove(images, groups, found, near, duplicates.THRESHOLD) | {"too_flat_to_compare": duplicates.flat(signatures)}
    disk.write(OUT / "leakage.json", json.dumps(proof, indent=1) + "\n")
    if proof["leaks"]:
        raise ValueError(f"ingest: {len(proof['leaks'])} leaks between splits, the first: {proof['leaks'][0]}; all: {OUT / 'leakage.json'}")
    counts = proof["splits"]
    told = ", ".join(f"{name} {counts[name]['pictures']} of {counts[name]['patients']}" for name in contracts.SPLITS)
    kinds = Counter(pair.how for pair in found)
    print(f"ingest: {len(images)} pictures of {images['patient'].nunique()} patients ({told})")
    print(
        f"ingest: no patient and no picture stands in two splits: {kinds['exact']} exact copies left out, {kinds['perceptual']} altered "
        f"ones joined, {len(proof['joined'])} groups of several patients; the most alike pair across splits: "
        f"{near[0].similarity if near else 0:.3f}, one picture from {duplicates.THRESHOLD:g}"
    )


def describe(files: pd.DataFrame, refused: pd.DataFrame, pixels: Any, params: Params) -> None:
    """Write the dataset card, and warn of text in the pixels and of files that name no patient."""
    images = contracts.read(OUT / "manifest.parquet", contracts.Images)
    kinds = files["source"].map({name: source.kind for name, source in params.datasets.items()})
    told = card.describe(images, refused, files[["source", "origin", "licence"]].assign(kind=kinds), pixels)
    disk.write(OUT / "card.json", json.dumps(told, indent=1) + "\n")
    disk.write(OUT / "card.md", card.readable(told))
    if unnamed := int((~images["named"]).sum()):
        print(f"ingest: {unnamed} files name no patient, so each counts as its own; an images.csv beside them can name patients")
    if burned := int(images["burned_in"].sum()):
        print(
            f"ingest: {burned} pictures have text in their pixels (BurnedInAnnotation), which may name the patient; see {OUT / 'card.md'}"
        )
