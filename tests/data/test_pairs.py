from pathlib import Path

import pandas as pd
import pytest

from xraydenoise.data import pairs
from xraydenoise.data.journal import Journal


def test_copies_complete_each_other_and_labels_that_contradict_each_other_are_none() -> None:
    none = {"view": None, "label": None, "named": False, "spacing": None, "burned_in": False, "dicom_patient": None, "dicom_study": None}
    known = {"named": True, "spacing": 0.2, "burned_in": True, "dicom_patient": "dicom-a", "dicom_study": "study-a"}
    rows = [
        {"image": "lone"},
        {"image": "filled"},
        {"image": "filled", "view": "chest PA", "label": "clear", **known},
        {"image": "torn", "view": "chest AP", "label": "opacity", **known},
        {"image": "torn", "view": "chest PA", "label": "clear", "spacing": 0.3, "dicom_patient": "dicom-b"},
        {"image": "torn", "label": "clear"},
    ]
    together, contradicted = pairs.agreed(pd.DataFrame([none | row for row in rows]))
    assert together.loc["filled"].to_dict() == {"view": "chest PA", "label": "clear", **known}
    lone = together.loc["lone"]
    assert (lone[["view", "label", "spacing", "dicom_patient", "dicom_study"]].isna().all(), lone["named"], lone["burned_in"]) == (
        True,
        False,
        False,
    )
    torn = together.loc["torn"]
    assert (torn["view"], torn["spacing"], torn["dicom_patient"], pd.isna(torn["label"])) == ("chest AP", 0.2, "dicom-a", True)
    assert contradicted.to_dict() == {"torn": "clear, opacity"}


@pytest.mark.parametrize(("how", "column"), [("patient_id", "dicom_patient"), ("study", "dicom_study")])
def test_each_patient_of_one_patient_id_or_study_is_paired_with_the_first_once(tmp_path: Path, how: str, column: str) -> None:
    none = {"dicom_patient": None, "dicom_study": None}
    with Journal(tmp_path / "journal", "key") as journal:
        for file, patient, header in [
            ("1", "a", "x"),
            ("2", "b", "x"),
            ("3", "a", "x"),
            ("4", "c", "y"),
            ("5", "b", "x"),
            ("6", "d", None),
        ]:
            journal.append({"source": "s", "file": file, "reason": "duplicate", "patient": patient, **none, column: header})
        journal.append({"source": "s", "file": "7", "reason": "empty"})
    assert list(pairs.namesakes(journal)) == [pairs.Pair(how, None, None, "s/1", "s/2", "a", "b")]
