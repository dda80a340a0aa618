from collections import Counter

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xraydenoise.data import splits

SHARES = {"train": 0.6, "val": 0.2, "test": 0.2}
MANY = [f"nih:{number:08d}" for number in range(1000)]


@settings(max_examples=60)
@given(patients=st.sets(st.text(min_size=1, max_size=8), min_size=3, max_size=12), seed=st.integers(0, 2**32 - 1))
def test_every_patient_has_one_split_and_no_split_is_empty(patients: set[str], seed: int) -> None:
    chosen = splits.assign(patients, seed, SHARES)
    assert set(chosen) == patients
    assert set(chosen.values()) == {"train", "val", "test"}
    assert chosen == splits.assign(sorted(patients, reverse=True), seed, SHARES)


def test_shares_are_met_within_chance() -> None:
    counts = Counter(splits.assign(MANY, 7, SHARES).values())
    assert abs(counts["train"] - 600) < 60
    assert abs(counts["val"] - 200) < 50


@settings(max_examples=30)
@given(old=st.integers(30, 400), seed=st.integers(0, 1000))
def test_new_patients_never_move_old_ones(old: int, seed: int) -> None:
    before, after = splits.assign(MANY[:old], seed, SHARES), splits.assign(MANY, seed, SHARES)
    assert all(after[patient] == split for patient, split in before.items())


def test_another_seed_gives_other_splits() -> None:
    assert splits.assign(MANY, 1, SHARES) != splits.assign(MANY, 2, SHARES)


@pytest.mark.parametrize("patients", [[], ["a"], ["a", "b", "a"]])
def test_fewer_than_three_patients_are_refused_with_a_way_out(patients: list[str]) -> None:
    with pytest.raises(ValueError, match=r"at least 3.*images\.csv"):
        splits.assign(patients, 7, SHARES)


def test_patients_who_share_pictures_become_one_group_named_by_the_first() -> None:
    group = splits.join([("d", "c"), ("b", "c"), ("x", "y"), ("z", "z")])
    assert group == {"b": "b", "c": "b", "d": "b", "x": "x", "y": "x", "z": "z"}


@given(pairs=st.lists(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from("abcdefgh"))))
def test_both_of_every_pair_end_in_one_group_whatever_the_order(pairs: list[tuple[str, str]]) -> None:
    group = splits.join(pairs)
    assert all(group[one] == group[other] for one, other in pairs)
    assert group == splits.join(pairs[::-1])


def test_by_turns_every_patient_comes_once_before_one_comes_twice() -> None:
    rows = pd.DataFrame({"patient": ["a", "a", "a", "b", "c", "c"], "image": ["1", "2", "3", "4", "5", "6"]})
    assert list(splits.by_turns(rows, ["image"])["image"]) == ["1", "4", "5", "2", "6", "3"]
    assert list(splits.by_turns(rows.iloc[::-1], ["image"])["image"]) == ["1", "4", "5", "2", "6", "3"]
