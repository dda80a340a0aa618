"""Stage `ingest`: decode at full depth, scale by area, split by patient, write the pixel store; what is refused is told, never lost."""

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd

from xraydenoise import contracts
from xraydenoise.data import prepare, splits
from xraydenoise.data.picture import Refused
from xraydenoise.data.store import Writer
from xraydenoise.params import Params
from xraydenoise.progress import progress
from xraydenoise.tables import markdown

DATA = Path("data")
OUT = Path("artifacts/ingest")
TRACK = Path("artifacts/tracks/noise")
DUPLICATE = "duplicate"  # a picture that is there already: left out, but not bad


def run(params: Params) -> None:
    """Read data/<dataset>/manifest.parquet of every dataset; write the store, its manifests and the quarantine.

    Raises ValueError when there is no image, when more than ingest.max_bad of the files are bad, and for fewer than three patients.
    """
    for folder in (OUT, TRACK):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    files = listed(params)
    images, refused, pairs = store(files, params)
    contracts.write(refused, OUT / "quarantine.parquet", contracts.Quarantine)
    (OUT / "quarantine.md").write_text(readable(refused, len(files)), encoding="utf-8")
    tell(refused, len(files), params.ingest.max_bad)

    group = splits.join(pairs)
    images["patient"] = [group.get(patient, patient) for patient in images["patient"]]
    split = splits.assign(images["patient"], params.seed, params.ingest.split.model_dump())
    images["split"] = images["patient"].map(split)
    contracts.write(images, OUT / "manifest.parquet", contracts.Images)
    contracts.write(images[list(contracts.Track.to_schema().columns)], TRACK / "manifest.parquet", contracts.Track)
    counts = Counter(images["split"]), Counter(split.values())
    told = ", ".join(f"{name} {counts[0][name]} of {counts[1][name]}" for name in contracts.SPLITS)
    print(f"ingest: {len(images)} pictures of {len(split)} patients ({told}), longer side at most {params.ingest.size} px")


def listed(params: Params) -> list[dict[Any, Any]]:
    """Every downloaded file (contracts.Downloads and `source`), datasets in the order of their names: the first of two copies is kept."""
    for folder in sorted(DATA.iterdir()) if DATA.is_dir() else []:
        if folder.is_dir() and folder.name not in params.datasets:
            print(f"ingest: {folder} is ignored: no dataset in params.yaml has this name (an earlier profile's?)")
    files = []
    for name in sorted(params.datasets):
        part = contracts.read(DATA / name / "manifest.parquet", contracts.Downloads)
        files += part.astype(object).where(part.notna(), None).assign(source=name).to_dict("records")
    if not files:
        names = ", ".join(sorted(params.datasets))
        raise ValueError(f"{DATA}: no image in {names}; put images into inbox/images, or name another dataset in params.yaml")
    return files


def store(files: list[dict[Any, Any]], params: Params) -> tuple[pd.DataFrame, pd.DataFrame, list[tuple[str, str]]]:
    """Write targets.npy. Returns the table of images (without `split`), the quarantine, and the pairs of patients that share a picture."""
    paths = [DATA / file["source"] / file["path"] for file in files]
    results = prepare.stream(paths, params.ingest.size, params.ingest.max_megapixels, params.machine.threads)
    images: dict[str, dict[str, Any]] = {}
    refused: list[tuple[str, str, str, str]] = []
    pairs: list[tuple[str, str]] = []
    unnamed = 0
    with Writer(TRACK / "targets.npy") as writer:
        for file, result in zip(files, progress(results, "ingest", total=len(files)), strict=True):
            if isinstance(result, Refused):
                refused.append((file["source"], file["path"], result.reason, result.detail))
                continue
            unnamed += file["patient"] is None and result.patient is None
            patient = patient_of(file, result)
            if first := images.get(result.image):
                refused.append((file["source"], file["path"], DUPLICATE, f"the same picture as {first['file']} of {first['source']}"))
                pairs.append((first["patient"], patient))
                continue
            images[result.image] = {
                "image": result.image,
                "patient": patient,
                "source": file["source"],
                "file": file["path"],
                "view": file["view"] or result.view,
                "label": file["label"],
                "licence": file["licence"],
                "bits": result.bits,
                "native_height": result.native_height,
                "native_width": result.native_width,
                "spacing": result.spacing,
                "offset": writer.append(result.pixels),
                "height": result.pixels.shape[0],
                "width": result.pixels.shape[1],
            }
    if unnamed:
        print(f"ingest: {unnamed} files name no patient, so each counts as its own; an images.csv beside them can name patients")
    quarantine = pd.DataFrame(refused, columns=list(contracts.Quarantine.to_schema().columns), dtype="str")
    return pd.DataFrame(images.values()).astype({"spacing": float} if images else {}), quarantine, pairs


def patient_of(file: dict[Any, Any], result: prepare.Prepared) -> str:
    """The manifest's patient, else DICOM's, else the file itself: its path without the suffix."""
    if file["patient"] is not None:
        return str(file["patient"])
    # A hashed PatientID is the same person in every dataset; a file's name is not.
    return result.patient or f"{file['source']}:{Path(file['path']).with_suffix('').as_posix()}"


def tell(refused: pd.DataFrame, total: int, max_bad: float) -> None:
    """Print what was refused. Raises ValueError where too much of it is bad, or nothing is left."""
    if refused.empty:
        return
    reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(Counter(refused["reason"]).items()))
    print(f"ingest: {len(refused)} of {total} files are in quarantine ({reasons}); see {OUT / 'quarantine.md'}")
    bad = refused[refused["reason"] != DUPLICATE]
    if len(bad) == total or len(bad) / total > max_bad:
        first = bad.iloc[0]
        raise ValueError(
            f"ingest: {len(bad)} of {total} files are unusable, ingest.max_bad allows a share of {max_bad:g}; "
            f"the first is {first['file']} of {first['source']} ({first['reason']}: {first['detail']}); all: {OUT / 'quarantine.md'}"
        )


def readable(refused: pd.DataFrame, total: int) -> str:
    """The quarantine as a Markdown page."""
    lines = ["# Quarantine", "", f"{len(refused)} of {total} files are not in the pixel store.", ""]
    if not refused.empty:
        lines.append(markdown(refused))
    return "\n".join(lines) + "\n"
