from pathlib import Path

import pandas as pd
import pytest

from xraydenoise.data import pairs
from xraydenoise.data.journal import Journal


def test_copies_complete_each_other_and_labels_that_contradict_each_other_are_none() -> None:
    rows = [
        ("lone", None, None, False),
        ("filled", None, None, False),
        ("filled", "chest PA", "clear", True),
        ("torn", "chest AP", "opacity", True),
        ("torn", "chest PA", "clear", True),
        ("torn", None, "clear", True),
    ]
    together, contradicted = pairs.agreed(pd.DataFrame(rows, columns=["image", "view", "label", "named"]))
    assert together.loc["filled"].to_dict() == {"view": "chest PA", "named": True, "label": "clear"}
    assert together.loc["lone"].isna().to_list() == [True, False, True]
    assert (together.loc["torn", "view"], pd.isna(together.loc["torn", "label"])) == ("chest AP", True)
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
