"""The proof that no patient and no picture stands on both sides of a split: made from what was written, not from how it was made."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from xraydenoise.contracts import SPLITS
from xraydenoise.data.splits import identity

PATIENT_ID, STUDY = "patient_id", "study"
SAME = {PATIENT_ID: "are of one DICOM patient", STUDY: "are of one DICOM study"}
UNDIVIDED = {"patient": "patient", "DICOM patient": "dicom_patient", "DICOM study": "dicom_study"}  # columns that stand in one split each
NEAREST = 5  # pairs of pictures in different splits that the proof shows


class Pair(NamedTuple):
    """Two files that hold the same picture or name the same DICOM patient or study, and whose they are."""

    how: str  # exact: the same pixels; perceptual: changed, turned or inverted; patient_id, study: one of these, but two patients
    similarity: float | None  # cosine of their signatures, where pictures were compared
    turn: str | None  # how the second lies against the first
    first: str  # dataset/path
    second: str
    first_patient: str
    second_patient: str


class Near(NamedTuple):
    """Two pictures in different splits, and how alike they are: what the threshold keeps apart."""

    similarity: float
    first: str  # dataset/path
    second: str
    splits: str  # "train, test"


def prove(images: pd.DataFrame, groups: Mapping[str, str], pairs: Sequence[Pair], near: Sequence[Near], threshold: float) -> dict[str, Any]:
    """What leakage.json holds; `leaks` is empty where nothing leaks.

    `images` is the written manifest (contracts.Images), whose `patient` is the group; `groups` names the group of every patient.
    """
    standing = {kind: images.groupby(column)["split"].agg(lambda splits: sorted(set(splits))) for kind, column in UNDIVIDED.items()}
    leaks = [
        f"{kind} {name} stands in {' and '.join(splits)}"
        for kind, found in standing.items()
        for name, splits in found.items()
        if len(splits) > 1
    ]
    split_of = standing["patient"]
    leaks += [f"picture {image} stands in the store more than once" for image in images["image"][images["image"].duplicated()]]
    for pair in pairs:
        sides = [set(split_of.get(groups[patient], [])) for patient in (pair.first_patient, pair.second_patient)]
        if sides[0] != sides[1]:
            told = " and ".join(", ".join(sorted(side)) or "no split" for side in sides)
            same = SAME.get(pair.how, f"are the same picture ({pair.how})")
            leaks.append(f"{pair.first} and {pair.second} {same} and stand in {told}")
    leaks += [
        f"{pair.first} and {pair.second} are alike by {pair.similarity:.4f} and stand in {pair.splits}"
        for pair in near
        if pair.similarity >= threshold
    ]
    members: dict[str, list[str]] = {}
    for patient, group in sorted(groups.items()):
        members.setdefault(group, []).append(patient)
    counted = {
        split: {"pictures": len(part), "patients": int(part["patient"].nunique()), "identity": identity(part["image"])}
        for split in SPLITS
        for part in [images[images["split"] == split]]
    }
    return {
        "leaks": leaks,
        "splits": counted,
        "threshold": threshold,
        "nearest_across_splits": [_readable(pair) for pair in near],
        "joined": [
            {"group": group, "split": ", ".join(split_of.get(group, [])), "patients": patients}
            for group, patients in members.items()
            if len(patients) > 1
        ],
        "pairs": [_readable(pair) for pair in pairs],
    }


def _readable(pair: Pair | Near) -> dict[str, Any]:
    """As JSON takes it; rounded here and not before, so that rounding never lifts a pair over the threshold."""
    return pair._asdict() | {"similarity": None if pair.similarity is None else round(pair.similarity, 4)}
