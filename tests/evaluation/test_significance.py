from collections.abc import Callable
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xraydenoise.evaluation import significance
from xraydenoise.evaluation.ranking import CompareConfig
from xraydenoise.evaluation.statistics import holm

Scores = Callable[..., pd.DataFrame]
CONFIG = CompareConfig(resamples=2000, confidence=0.95)


def one(frame: pd.DataFrame, **match: object) -> pd.Series:
    rows = frame[(frame[list(match)] == pd.Series(match)).all(axis=1)]
    assert len(rows) == 1
    return rows.iloc[0]


def test_differences_are_paired_and_significant_where_they_are_large(make_scores: Scores) -> None:
    found = significance.differences(make_scores(patients=12), "median", CONFIG, 0)
    row = one(found, track="noise", condition="gaussian_20", metric="psnr", method="large")
    assert row["difference"] == pytest.approx(3.0, abs=0.2)
    assert 2.5 < row["low"] < row["difference"] < row["high"] < 3.5
    assert row["p"] < 0.002
    assert row["p_holm"] < 0.05
    assert one(found, track="noise", condition="all", metric="psnr", method="noisy")["difference"] == pytest.approx(-8)
    assert len(found) == (3 + 2) * 3 * 2  # methods of both tracks, three conditions, two metrics


def test_holm_is_over_the_methods_and_conditions_of_a_track_and_metric(make_scores: Scores) -> None:
    scores = make_scores()
    scores["psnr"] += np.random.default_rng(1).normal(0, 4, len(scores))
    found = significance.differences(scores, "median", CONFIG, 0)
    family = found[(found["track"] == "noise") & (found["metric"] == "psnr") & (found["condition"] != "all")]
    assert len(family) == 3 * 2
    np.testing.assert_allclose(family["p_holm"], holm(family["p"].to_numpy()), atol=1e-5)
    assert not np.allclose(family["p_holm"], family["p"])


def test_differences_to_a_champion_need_it_on_its_own_track_and_on_test_alone(make_scores: Scores) -> None:
    scores = make_scores()
    standing = scores[(scores["method"] == "small") & (scores["split"] == "test")].assign(method="champion")
    found = significance.differences(pd.concat([scores, standing]), "champion", CONFIG, 0)
    assert set(found["track"]) == {"noise"}
    assert one(found, condition="all", metric="psnr", method="small")[["difference", "p"]].tolist() == [0, 1]


def test_a_reference_that_was_not_scored_is_refused(make_scores: Scores) -> None:
    with pytest.raises(ValueError, match="champion: was not scored"):
        significance.differences(make_scores(), "champion", CONFIG, 0)


@pytest.mark.parametrize(
    "compare", [lambda scores: significance.differences(scores, "median", CONFIG, 0), lambda scores: significance.pairs(scores, CONFIG, 0)]
)
def test_methods_scored_on_other_pictures_are_refused(make_scores: Scores, compare: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    scores = make_scores()
    gone = (scores["method"] == "small") & (scores["image"] == "test_0_1")
    with pytest.raises(ValueError, match="track noise, all: small was not scored on 1 of 12 test pictures"):
        compare(scores[~gone])


def test_methods_a_hair_apart_share_a_letter_and_others_do_not(make_scores: Scores) -> None:
    scores = make_scores(patients=12)
    twin = scores[scores["method"] == "large"].assign(method="twin")
    twin["psnr"] += np.random.default_rng(1).normal(0, 0.1, len(twin))
    pairs = significance.pairs(pd.concat([scores, twin]), CONFIG, 0)
    found = significance.groups(pairs, CONFIG.confidence)
    noise = found[(found["track"] == "noise") & (found["condition"] == "all")].set_index("method")["letters"]
    assert list(noise.items())[2:] == [("small", "b"), ("median", "c"), ("noisy", "d")]
    assert dict(noise[:2]) == {"large": "a", "twin": "a"}
    assert significance.tied(pairs, "large", "noise", CONFIG.confidence) == ["twin"]
    assert significance.tied(pairs, "median", "noise", CONFIG.confidence) == []


@pytest.mark.parametrize("patients", [1, 3, 4])
def test_few_patients_tell_nothing_apart_however_far_methods_lie(make_scores: Scores, patients: int) -> None:
    pairs = significance.pairs(make_scores(patients), CONFIG, 0)
    assert set(significance.groups(pairs, CONFIG.confidence)["letters"]) == {"a"}
    assert f"no p-value can be below {2 ** (1 - patients):g}" in significance.warning(patients)


def test_enough_patients_are_not_warned_of() -> None:
    assert significance.warning(5) == ""


def test_a_lone_method_has_no_pairs(make_scores: Scores) -> None:
    scores = make_scores()
    pairs = significance.pairs(scores[scores["method"] == "median"], CONFIG, 0)
    assert pairs.empty
    assert significance.groups(pairs, 0.95).empty


def test_the_order_of_the_scores_changes_nothing(make_scores: Scores) -> None:
    scores = make_scores()
    shuffled = scores.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(significance.pairs(scores, CONFIG, 0), significance.pairs(shuffled, CONFIG, 0))
    pd.testing.assert_frame_equal(
        significance.differences(scores, "median", CONFIG, 0), significance.differences(shuffled, "median", CONFIG, 0)
    )


def test_letters_of_piephos_kind_by_hand() -> None:
    # b lies between a and c, which alone can be told apart
    assert significance.letters(["a", "b", "c"], {("a", "c")}) == {"a": "a", "b": "ab", "c": "b"}
    assert significance.letters(["a", "b", "c"], set()) == {"a": "a", "b": "a", "c": "a"}
    assert significance.letters(["a", "b"], {("b", "a")}) == {"a": "a", "b": "b"}


@given(st.sets(st.sampled_from(list(combinations("abcdefg", 2)))))
def test_two_methods_share_a_letter_exactly_where_they_can_not_be_told_apart(apart: set[tuple[str, str]]) -> None:
    found = significance.letters(list("abcdefg"), apart)
    for first, second in combinations("abcdefg", 2):
        assert bool(set(found[first]) & set(found[second])) == ((first, second) not in apart)
