import pandas as pd
import pytest

from xraydenoise.data.leakage import Near, Pair, prove

SPLIT = {"a": "train", "b": "val", "c": "test", "d": "train"}
GROUPS = {"a": "a", "b": "b", "c": "c", "d": "d", "e": "d"}
SAME = Pair("patient_id", None, None, "x/1", "x/2", "c", "d")
COPY = Pair("perceptual", 0.99, "upright", "x/1", "x/2", "d", "e")


def images(**changed: str) -> pd.DataFrame:
    """A picture of each patient, and a second one of patient a."""
    rows = [{"image": f"image{patient}", "patient": patient, "split": split} for patient, split in SPLIT.items()]
    rows.append({"image": "second", "patient": "a", "split": "train"} | changed)
    return pd.DataFrame(rows, columns=["image", "patient", "split", "dicom_patient", "dicom_study"])


def test_a_clean_split_has_no_leak_and_the_proof_says_what_was_looked_at() -> None:
    proof = prove(images(), GROUPS, [COPY], [Near(0.8, "x/1", "x/3", "train, test")], 0.95)
    assert proof["leaks"] == []
    assert {split: (part["pictures"], part["patients"]) for split, part in proof["splits"].items()} == {
        "train": (3, 2),
        "val": (1, 1),
        "test": (1, 1),
    }
    assert proof["joined"] == [{"group": "d", "split": "train", "patients": ["d", "e"]}]
    assert proof["pairs"] == [COPY._asdict()]
    assert proof["nearest_across_splits"][0]["similarity"] == 0.8


def test_the_identity_of_the_test_set_changes_with_its_pictures_alone() -> None:
    before, after = (prove(images(image=name), GROUPS, [], [], 0.95)["splits"] for name in ("second", "other"))
    assert before["test"]["identity"] == after["test"]["identity"]
    assert before["train"]["identity"] != after["train"]["identity"]


@pytest.mark.parametrize(
    ("changed", "pairs", "near", "leak"),
    [
        ({"split": "test"}, [], [], "patient a stands in test and train"),
        ({}, [SAME], [], "x/1 and x/2 are of one DICOM patient and stand in test and train"),
        ({}, [SAME._replace(how="study")], [], "x/1 and x/2 are of one DICOM study and stand in test and train"),
        ({"image": "imagec"}, [], [], "picture imagec stands in the store more than once"),
        ({}, [COPY._replace(first_patient="c")], [], "x/1 and x/2 are the same picture (perceptual) and stand in test and train"),
        ({}, [], [Near(0.97, "x/1", "x/3", "train, test")], "x/1 and x/3 are alike by 0.9700 and stand in train, test"),
    ],
)
def test_a_planted_leak_is_found(changed: dict[str, str], pairs: list[Pair], near: list[Near], leak: str) -> None:
    assert prove(images(**changed), GROUPS, pairs, near, 0.95)["leaks"] == [leak]


@pytest.mark.parametrize(("column", "kind"), [("dicom_patient", "DICOM patient"), ("dicom_study", "DICOM study")])
def test_a_dicom_patient_or_study_in_two_splits_is_a_leak_whoever_the_table_says_it_is(column: str, kind: str) -> None:
    found = images().assign(**{column: ["one", None, "one", None, None]})
    assert prove(found, GROUPS, [], [], 0.95)["leaks"] == [f"{kind} one stands in test and train"]
