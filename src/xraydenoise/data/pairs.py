"""Which files belong together whatever their names: the same picture, DICOM patient or study."""

from collections.abc import Iterator, Sequence

import pandas as pd

from xraydenoise.data import duplicates
from xraydenoise.data.journal import Journal
from xraydenoise.data.leakage import PATIENT_ID, STUDY, Pair

DUPLICATE = "duplicate"  # reason of a picture that is there already: left out, but not bad
FIRST = ["view", "spacing", "dicom_patient", "dicom_study"]  # of exact copies the first that is known counts
ANY = ["named", "burned_in"]  # true where one of them says so
TOLD = ["image", "label", *FIRST, *ANY]


def copies(journal: Journal) -> Iterator[Pair]:
    """Files whose pixels are, to the last bit, those of an earlier one."""
    kept = {}
    for row in journal.read():
        where = f"{row['source']}/{row['file']}"
        if "offset" in row:
            kept[row["image"]] = where
        elif row["reason"] == DUPLICATE:
            yield Pair("exact", 1.0, "upright", kept[row["image"]], where, row["first_patient"], row["patient"])


def alike(images: pd.DataFrame, found: Sequence[duplicates.Pair]) -> Iterator[Pair]:
    """Pictures of the store that are one picture re-encoded, resized or turned."""
    for pair in found:
        first, second = images.iloc[pair.first], images.iloc[pair.second]
        names = f"{first['source']}/{first['file']}", f"{second['source']}/{second['file']}"
        yield Pair("perceptual", pair.similarity, pair.turn, *names, first["patient"], second["patient"])


def namesakes(journal: Journal) -> Iterator[Pair]:
    """Files of one PatientID, or of one study, that have two patients, as a table or another ID names them: the first of each patient."""
    first: dict[str, dict[str, str]] = {}  # PatientID or study -> patient -> file
    for row in journal.read():
        for how, told in ((PATIENT_ID, row.get("dicom_patient")), (STUDY, row.get("dicom_study"))):
            if told is None:
                continue
            where, patients = f"{row['source']}/{row['file']}", first.setdefault(told, {})
            if patients and row["patient"] not in patients:
                patient, file = next(iter(patients.items()))
                yield Pair(how, None, None, file, where, patient, row["patient"])
            patients.setdefault(row["patient"], where)


def agreed(told: pd.DataFrame) -> tuple[pd.DataFrame, "pd.Series[str]"]:
    """What the exact copies of each picture say together, and the labels of those that contradict each other: both by `image`.

    `told`: columns `TOLD` of every copy in order. A label counts unless a copy has another.
    """
    copies_of = told.groupby("image", sort=False)
    together = copies_of[FIRST].first().join(copies_of[ANY].any())
    labels = told.dropna(subset="label").drop_duplicates(["image", "label"])
    several = labels["image"].duplicated(keep=False)
    together["label"] = labels[~several].set_index("image")["label"]
    return together, labels[several].sort_values("label").groupby("image")["label"].agg(", ".join)
