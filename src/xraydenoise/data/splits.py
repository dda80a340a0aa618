"""Which patients train, which validate, which test: told by a hash, so that new patients never move old ones."""

import hashlib
from collections.abc import Iterable

import pandas as pd

from xraydenoise.contracts import SPLITS


def assign(patients: Iterable[str], seed: int, shares: dict[str, float]) -> dict[str, str]:
    """Patient -> split; `shares` (train, val, test) sum to 1.

    sha256 of (seed, patient) gives a position in [0, 1), and the shares cut [0, 1) into train, val and test. Where that leaves a split
    empty (few patients), it takes the patient whose position is nearest to its interval from a split that has two or more; such a
    patient goes back once others fill the split. Raises ValueError for fewer than three patients.
    """
    positions = {patient: position(patient, seed) for patient in sorted(set(patients))}
    if len(positions) < len(SPLITS):
        raise ValueError(
            f"found {len(positions)} patients; train, val and test need one each, so at least 3: "
            "add pictures of other patients (inbox/images), or name the patients apart in images.csv"
        )
    bounds, end = {}, 0.0
    for split in SPLITS:
        bounds[split] = (end, end + shares[split])
        end += shares[split]
    chosen = {patient: next((split for split in SPLITS if at < bounds[split][1]), SPLITS[-1]) for patient, at in positions.items()}
    for split in SPLITS:
        members = list(chosen.values())
        if split in members:
            continue
        low, high = bounds[split]
        spare = [patient for patient in positions if members.count(chosen[patient]) > 1]
        nearest = min(spare, key=lambda patient: (max(low - positions[patient], positions[patient] - high), patient))
        chosen[nearest] = split
    return chosen


def position(patient: str, seed: int) -> float:
    """Where in [0, 1) the patient stands; uniform over patients, and the same for ever."""
    digest = hashlib.sha256(f"{seed}:{patient}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def by_turns(pictures: pd.DataFrame, order: list[str]) -> pd.DataFrame:
    """Rows so ordered that every `patient` comes once before one comes a second time; `order` are the columns that decide the rest."""
    ordered = pictures.sort_values(order)
    turn = ordered.groupby("patient").cumcount()
    return ordered.assign(turn=turn).sort_values(["turn", *order]).drop(columns="turn")


def join(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Patients that share a picture are one group: patient -> the group's first name in the alphabet, for every patient in `pairs`."""
    parent: dict[str, str] = {}

    def root(patient: str) -> str:
        while parent.setdefault(patient, patient) != patient:
            patient = parent[patient]
        return patient

    for one, other in pairs:
        first, second = sorted((root(one), root(other)))
        parent[second] = first
    return {patient: root(patient) for patient in parent}
