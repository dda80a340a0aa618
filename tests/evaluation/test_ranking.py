from collections.abc import Callable

import pandas as pd
import pytest
from pydantic import ValidationError

from xraydenoise import contracts
from xraydenoise.evaluation import ranking
from xraydenoise.evaluation.ranking import CompareConfig

Scores = Callable[..., pd.DataFrame]
CONFIG = CompareConfig(resamples=500, confidence=0.95)
MODELS = ("small", "large", "large_enhanced")


def one(ranked: pd.DataFrame, method: str, track: str = "noise", split: str = "test", condition: str = "all") -> pd.Series:
    match = {"method": method, "track": track, "split": split, "condition": condition}
    rows = ranked[(ranked[list(match)] == pd.Series(match)).all(axis=1)]
    assert len(rows) == 1
    return rows.iloc[0]


def test_the_ranking_keeps_its_contract_and_its_order(make_scores: Scores) -> None:
    ranked = contracts.Ranking.validate(ranking.rank(make_scores(), CONFIG, 0, {}))
    assert len(ranked) == 2 * 3 * (4 + 3)
    for _, rows in ranked.groupby(["track", "split", "condition"]):
        assert rows["psnr"].is_monotonic_decreasing
    assert list(ranked["track"].unique()) == ["noise", "enhanced"]


def test_gains_are_paired_with_the_median_filter(make_scores: Scores) -> None:
    ranked = ranking.rank(make_scores(), CONFIG, 0, {})
    large = one(ranked, "large")
    assert large["gain_psnr"] == pytest.approx(3.0, abs=0.2)
    assert large["gain_psnr_low"] < large["gain_psnr"] < large["gain_psnr_high"]
    # Pictures differ by 1 dB and methods by 0.2 dB: an unpaired interval of 12 pictures would be about 1.6 dB wide
    assert large["gain_psnr_high"] - large["gain_psnr_low"] < 0.4
    assert large["gain_ssim"] == pytest.approx(large["gain_psnr"] / 50, abs=1e-5)
    median = one(ranked, "median")
    assert list(median[["gain_psnr", "gain_psnr_low", "gain_psnr_high"]]) == [0, 0, 0]


def test_scores_have_intervals_of_their_own_which_pairing_does_not_narrow(make_scores: Scores) -> None:
    ranked = ranking.rank(make_scores(), CONFIG, 0, {})
    for _, row in ranked.iterrows():
        for name in ("psnr", "ssim"):
            assert row[f"{name}_low"] < row[name] < row[f"{name}_high"]
    large = one(ranked, "large")
    assert large["psnr_high"] - large["psnr_low"] > 2 * (large["gain_psnr_high"] - large["gain_psnr_low"])


def test_all_is_the_mean_over_conditions_and_counts_each_picture_once(make_scores: Scores) -> None:
    ranked = ranking.rank(make_scores(), CONFIG, 0, {})
    parts = [one(ranked, "small", condition=condition)["psnr"] for condition in ("gaussian_10", "gaussian_20")]
    overall = one(ranked, "small")
    assert overall["psnr"] == pytest.approx(sum(parts) / 2, abs=1e-5)
    assert (overall["images"], overall["patients"]) == (12, 6)


def test_tracks_are_never_mixed(make_scores: Scores) -> None:
    scores = make_scores()
    both, alone = ranking.rank(scores, CONFIG, 0, {}), ranking.rank(scores[scores["track"] == "noise"], CONFIG, 0, {})
    pd.testing.assert_frame_equal(both[both["track"] == "noise"], alone)
    assert one(both, "median", "noise")["psnr"] != one(both, "median", "enhanced")["psnr"]


def test_the_order_of_the_scores_changes_nothing(make_scores: Scores) -> None:
    scores = make_scores()
    pd.testing.assert_frame_equal(ranking.rank(scores, CONFIG, 0, {}), ranking.rank(scores.sample(frac=1, random_state=1), CONFIG, 0, {}))


def test_another_seed_moves_the_intervals_alone(make_scores: Scores) -> None:
    first, second = (one(ranking.rank(make_scores(), CONFIG, seed, {}), "large") for seed in (0, 1))
    assert first["gain_psnr"] == second["gain_psnr"]
    assert first["gain_psnr_low"] != second["gain_psnr_low"]


def test_the_model_is_chosen_on_val_even_if_test_says_otherwise(make_scores: Scores) -> None:
    scores = make_scores()
    scores.loc[(scores["method"] == "small") & (scores["split"] == "test"), "psnr"] += 20
    ranked = ranking.rank(scores, CONFIG, 0, {})
    assert one(ranked, "small")["psnr"] > one(ranked, "large")["psnr"]
    assert ranking.choose(ranked, MODELS) == "large"
    assert ranking.best(ranked, MODELS) == {"noise": "large", "enhanced": "large_enhanced"}


def test_no_baseline_is_chosen_as_a_model(make_scores: Scores) -> None:
    scores = make_scores()
    scores.loc[scores["method"] == "median", "psnr"] += 20
    assert ranking.choose(ranking.rank(scores, CONFIG, 0, {}), MODELS) == "large"


def test_a_track_without_a_model_has_none_to_choose(make_scores: Scores) -> None:
    ranked = ranking.rank(make_scores(), CONFIG, 0, {})
    with pytest.raises(ValueError, match=r"track noise: none of \['large_enhanced'\]"):
        ranking.choose(ranked, ["large_enhanced"])
    assert ranking.best(ranked, ["small"]) == {"noise": "small"}


def test_a_method_scored_on_other_pictures_is_refused(make_scores: Scores) -> None:
    scores = make_scores()
    gone = (scores["method"] == "small") & (scores["image"] == "test_0_1") & (scores["condition"] == "gaussian_20")
    with pytest.raises(ValueError, match="small was scored on 47 noisy pictures and median on 48, of which 1 are not shared"):
        ranking.rank(scores[~gone], CONFIG, 0, {})


def test_scores_without_the_median_filter_are_refused(make_scores: Scores) -> None:
    scores = make_scores()
    with pytest.raises(ValueError, match="median was not scored"):
        ranking.rank(scores[scores["method"] != "median"], CONFIG, 0, {})


def test_scores_without_a_test_split_are_refused(make_scores: Scores) -> None:
    scores = make_scores()
    with pytest.raises(ValueError, match="no picture of test was scored"):
        ranking.rank(scores[scores["split"] == "val"], CONFIG, 0, {})


def test_the_table_fits_a_terminal_and_stars_the_chosen(make_scores: Scores) -> None:
    text = ranking.table(ranking.rank(make_scores(), CONFIG, 0, {}), MODELS, {"large": 0.25, "median": 0.001})
    lines = text.splitlines()
    assert max(map(len, lines)) <= 100
    assert [line.split()[1] for line in lines if line.lstrip().startswith("* ") and "dB" not in line] == [
        "large",
        "large_enhanced",
        "chosen",
    ]
    assert "track noise: tested on 12 pictures of 6 patients, mean over conditions\n" in text
    before, enhanced = text.split("track enhanced: ")
    assert "not quality" not in before
    assert "agreement with Real-ESRGAN's labels, not quality" in enhanced.splitlines()[1]
    assert enhanced.splitlines()[2].endswith("label, dB")
    assert next(line for line in lines if " large " in line).endswith("0.250")
    assert [line.split()[0] for line in lines[2:6]] == ["*", "small", "median", "noisy"]


def test_the_table_tells_when_patients_are_few(make_scores: Scores) -> None:
    text = ranking.table(ranking.rank(make_scores(patients=1), CONFIG, 0, {}), MODELS, {})
    assert "tested on 2 pictures of 1 patient, mean over conditions; intervals by picture, as patients are few" in text


def test_the_table_tells_when_an_interval_is_but_a_point(make_scores: Scores) -> None:
    scores = make_scores()
    lone = scores[(scores["split"] == "val") | (scores["image"] == "test_0_0")]
    assert "tested on 1 picture of 1 patient, mean over conditions; a single picture has no interval" in ranking.table(
        ranking.rank(lone, CONFIG, 0, {}), MODELS, {}
    )


@pytest.mark.parametrize("entry", [{"resamples": 99, "confidence": 0.9}, {"resamples": 100, "confidence": 1.0}])
def test_a_comparison_that_can_not_be_sure_is_refused(entry: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        CompareConfig.model_validate(entry)


def test_the_table_names_what_can_not_be_told_apart_from_the_chosen(make_scores: Scores) -> None:
    ties = {"noise": [f"another_method_{number}" for number in range(9)], "enhanced": []}
    text = ranking.table(ranking.rank(make_scores(), CONFIG, 0, {}), MODELS, {}, ties)
    assert "  not told apart from large on test: another_method_0, another_method_1" in text
    assert "  not told apart from large_enhanced on test: none" in text
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize(("patients", "few"), [(6, True), (7, True), (8, False), (60, False)])
def test_test_has_too_few_patients_where_no_pair_of_methods_could_be_told_apart(make_scores: Scores, patients: int, few: bool) -> None:
    """Four methods make six pairs: 6 / 64 with seven patients, 6 / 128 with eight."""
    rows = ranking.on_test(ranking.rank(make_scores(patients), CONFIG, 0, {}))
    assert ranking.none_apart(rows[rows["track"] == "noise"], CONFIG.confidence) is few


def test_the_table_blames_few_patients_only_where_they_are_few(make_scores: Scores) -> None:
    ranked = ranking.rank(make_scores(), CONFIG, 0, {})
    ties = {"noise": ["small", "median", "noisy"], "enhanced": ["median", "noisy"]}
    text = ranking.table(ranked, MODELS, {}, ties, small=["enhanced"])
    assert "  not told apart from large on test: all others\n" in text
    assert "  not told apart from large_enhanced on test: all others, as test has too few patients\n" in text


def test_agreement_with_labels_stands_beside_the_rest_and_ranks_nothing(make_scores: Scores) -> None:
    scores = make_scores()
    enhanced = scores["track"] == "enhanced"
    flattered = scores.assign(label_psnr=scores["label_psnr"].where(scores["method"] != "noisy", 90.0).where(enhanced))
    ranked = ranking.rank(flattered, CONFIG, 0, {})
    assert ranked.loc[ranked["track"] == "noise", ["label_psnr", "label_ssim"]].isna().all(axis=None)
    rows = ranking.on_test(ranked).query("track == 'enhanced'").set_index("method")
    assert rows.loc["noisy", "label_psnr"] == 90
    assert list(rows.index) == ["large_enhanced", "median", "noisy"]
    assert rows["label_ssim"].eq(0.5).all()
    pd.testing.assert_frame_equal(
        ranked.drop(columns=["label_psnr", "label_ssim"]), ranking.rank(scores, CONFIG, 0, {}).drop(columns=["label_psnr", "label_ssim"])
    )
