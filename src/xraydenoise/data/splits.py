"""Which patients train, which validate, which test: told by a hash, so that new patients never move old ones."""

import hashlib
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from itertools import accumulate, islice

import pandas as pd

from xraydenoise.contracts import SPLITS

TRIED = 1000  # seeds that are tried for one that leaves no split empty


def assign(groups: Mapping[str, str], seed: int, shares: Mapping[str, float]) -> dict[str, str]:
    """Group -> split, where `groups` names the group of each patient (`join`); `shares` (train, val, test) sum to 1.

    sha256 of (seed, patient) gives each patient a position in [0, 1), which the shares cut into train, val and test: nothing that is
    added can move a patient. Only where two patients are shown to be one can that differ: then the group stands in the first of
    train, val and test that one of its patients has, so what was once trained on never comes to test by what is added; taking away
    what joined the two can bring it back.
    Raises ValueError for fewer than three groups, and where a split stays empty, naming seeds under which none does.
    """
    if len(set(groups.values())) < len(SPLITS):
        raise ValueError(
            f"found {len(set(groups.values()))} patients; train, val and test need one each, so at least 3: "
            "add pictures of other patients (inbox/images), or name the patients apart in images.csv (DICOM files of one PatientID "
            "or StudyInstanceUID stay one patient: remove one that is a placeholder)"
        )
    chosen = _chosen(groups, seed, shares)
    if empty := [split for split in SPLITS if split not in chosen.values()]:
        fitting = (other for other in range(TRIED) if set(_chosen(groups, other, shares).values()) == set(SPLITS))
        seeds = ", ".join(str(other) for other in islice(fitting, 3))
        raise ValueError(
            f"{' and '.join(empty)} would have no patient: {len(chosen)} are few, and each is placed by a hash of seed {seed} and its "
            "name, so that it never moves when others come; add patients, or set `seed` in params.yaml"
            + (f" to one that fills all three: {seeds}" if seeds else ", or larger shares in ingest.split")
        )
    return chosen


def _chosen(groups: Mapping[str, str], seed: int, shares: Mapping[str, float]) -> dict[str, str]:
    ends = list(accumulate(shares[split] for split in SPLITS[:-1]))
    chosen: dict[str, int] = {}
    for patient, group in sorted(groups.items()):
        place = bisect_right(ends, position(patient, seed))  # 0, 1, 2: train, val, test
        chosen[group] = min(place, chosen.get(group, place))
    return {group: SPLITS[place] for group, place in chosen.items()}


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


def identity(images: Iterable[str]) -> str:
    """32 hex digits that name a set of pictures by their ids: two runs whose test sets have the same identity scored the same pictures."""
    return hashlib.sha256("\n".join(sorted(images)).encode()).hexdigest()[:32]
