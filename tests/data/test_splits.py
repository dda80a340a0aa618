import re
from collections import Counter
from collections.abc import Iterable

import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from xraydenoise.data import splits

SHARES = {"train": 0.6, "val": 0.2, "test": 0.2}
MANY = [f"nih:{number:08d}" for number in range(1000)]


def alone(patients: Iterable[str]) -> dict[str, str]:
    """Every patient a group of its own."""
    return {patient: patient for patient in patients}


@settings(max_examples=60)
@given(patients=st.sets(st.text(min_size=1, max_size=8), min_size=3, max_size=12), seed=st.integers(0, 2**32 - 1))
def test_every_patient_has_one_split_or_the_few_are_refused_with_seeds_that_fit(patients: set[str], seed: int) -> None:
    try:
        chosen = splits.assign(alone(patients), seed, SHARES)
    except ValueError as error:
        fitting = re.search(r"would have no patient: .* fills all three: (\d+)", str(error))
        chosen = splits.assign(alone(patients), int(fitting[1]), SHARES)
    else:
        assert chosen == splits.assign(alone(sorted(patients, reverse=True)), seed, SHARES)
    assert set(chosen) == patients
    assert set(chosen.values()) == {"train", "val", "test"}


def test_shares_are_met_within_chance() -> None:
    counts = Counter(splits.assign(alone(MANY), 7, SHARES).values())
    assert abs(counts["train"] - 600) < 60
    assert abs(counts["val"] - 200) < 50


@settings(max_examples=60)
@given(
    few=st.sets(st.sampled_from(MANY), min_size=3, max_size=30), more=st.sets(st.sampled_from(MANY), max_size=30), seed=st.integers(0, 99)
)
def test_a_patient_never_moves_when_others_come(few: set[str], more: set[str], seed: int) -> None:
    try:
        before = splits.assign(alone(few), seed, SHARES)
    except ValueError:
        assume(False)
    after = splits.assign(alone(few | more), seed, SHARES)
    assert all(after[patient] == split for patient, split in before.items())


@settings(max_examples=60)
@given(pairs=st.lists(st.tuples(st.sampled_from(MANY[:60]), st.sampled_from(MANY[:60])), max_size=20), seed=st.integers(0, 99))
def test_a_shared_picture_moves_nobody_towards_test(pairs: list[tuple[str, str]], seed: int) -> None:
    before = splits.assign(alone(MANY), seed, SHARES)
    groups = alone(MANY) | splits.join(pairs)
    after = splits.assign(groups, seed, SHARES)
    order = ["train", "val", "test"]
    for patient, split in before.items():
        assert order.index(after[groups[patient]]) <= order.index(split)
    assert all(after[groups[one]] == after[groups[other]] for one, other in pairs)


def test_another_seed_gives_other_splits() -> None:
    assert splits.assign(alone(MANY), 1, SHARES) != splits.assign(alone(MANY), 2, SHARES)


@pytest.mark.parametrize("patients", [[], ["a"], ["a", "b", "a"]])
def test_fewer_than_three_patients_are_refused_with_a_way_out(patients: list[str]) -> None:
    with pytest.raises(ValueError, match=r"at least 3.*images\.csv"):
        splits.assign(alone(patients), 7, SHARES)


def test_an_identity_names_a_set_whatever_its_order() -> None:
    assert splits.identity(["b", "a"]) == splits.identity(["a", "b"]) != splits.identity(["a"])
    assert splits.identity(["ab"]) != splits.identity(["a", "b"])


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
