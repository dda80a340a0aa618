import json
import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xraydenoise.evaluation.audits import Audit, AuditConfig
from xraydenoise.evaluation.gate import Contender, GateConfig, decide
from xraydenoise.evaluation.ranking import CompareConfig
from xraydenoise.evaluation.verdict import Verdict

CONFIG = GateConfig(
    tracks=("noise",), margin_psnr=0.1, margin_ssim=0.005, audits=AuditConfig(added_detail=0.03, fixed_pattern=0.01, noise_gain=2)
)
COMPARE = CompareConfig(resamples=500, confidence=0.95)
PASSED = Audit("finite", True, 0.0, 0.0, "pixels that are not finite")
CANDIDATE, CHAMPION = Contender("unet", "d1", 0), Contender("champion", "d0", 0)
BASELINES = ("median", "wavelet")
CONDITIONS = ("gaussian_10", "gaussian_20", "quantum_30")
Lifts = dict[str, float]


def scores(
    candidate: float | Lifts,
    champion: float | Lifts = 3.0,
    patients: int = 10,
    spread: float = 0.1,
    seed: int = 0,
    wavelet: float | Lifts = -1.0,
) -> pd.DataFrame:
    """Two pictures a patient; the candidate, the champion and a baseline so many dB (and hundredths of SSIM) above the median filter."""
    rng = np.random.default_rng(seed)
    rows = []
    for condition in CONDITIONS:
        for number in range(2 * patients):
            base = rng.normal(25, 2)
            for method, lift in (("median", 0.0), ("unet", candidate), ("champion", champion), ("wavelet", wavelet)):
                own = lift[condition] if isinstance(lift, dict) else lift
                more = own + (spread * rng.standard_normal() if method in ("unet", "champion") else 0)
                rows.append((method, "noise", condition, "test", f"i{number}", f"p{number // 2}", "", base + more, 0.6 + more / 100, 0.01))
    columns = ["method", "track", "condition", "split", "image", "patient", "setting", "psnr", "ssim", "mse"]
    return pd.DataFrame(rows, columns=columns)


def gate(
    frame: pd.DataFrame, champion: Contender | None = CHAMPION, audits: tuple[Audit, ...] = (PASSED,), candidate: Contender = CANDIDATE
) -> Verdict:
    return decide(frame, candidate, champion, BASELINES, audits, CONFIG, COMPARE, 0)


def failed(verdict: Verdict) -> set[tuple[str, str]]:
    return {(check.check, check.condition) for check in verdict.checks if not check.passed}


def test_a_candidate_better_than_median_and_champion_everywhere_is_promoted() -> None:
    verdict = gate(scores(4.0))
    assert verdict.promoted
    assert verdict.alias == "champion"
    assert not failed(verdict)
    assert not verdict.warnings
    assert any("is better than the champion in" in reason and "Holm's p" in reason for reason in verdict.reasons)


def test_a_candidate_better_in_one_condition_and_equal_in_the_others_is_promoted() -> None:
    verdict = gate(scores({"gaussian_10": 3.0, "gaussian_20": 3.5, "quantum_30": 3.0}))
    assert verdict.promoted
    assert next(check for check in verdict.checks if check.check == "better").condition == "gaussian_20"


def test_a_candidate_worse_by_less_than_the_margin_and_better_elsewhere_is_promoted() -> None:
    assert gate(scores({"gaussian_10": 2.98, "gaussian_20": 3.5, "quantum_30": 3.0}, spread=0.02)).promoted


def test_without_a_champion_the_median_and_the_audits_decide() -> None:
    verdict = gate(scores(0.5), champion=None)
    assert verdict.promoted
    assert verdict.champion is None
    assert "There is no champion yet." in verdict.reasons
    assert {check.check for check in verdict.checks} == {"gain", "baseline", "finite"}


def test_a_single_test_picture_bounds_nothing_and_promotes_nobody() -> None:
    frame = scores(4.0, patients=1)
    verdict = gate(frame[frame["image"] == "i0"], champion=None)
    assert not verdict.promoted
    assert ("gain", "gaussian_10") in failed(verdict)
    assert all(check["low"] is None for check in verdict.as_json()["checks"] if check["check"] == "gain")


def test_thirteen_presets_of_a_single_picture_are_no_more_than_that_picture() -> None:
    frame = scores(4.0, patients=7).query("image != 'i13'")
    presets = frame.assign(track="enhanced", patient="p", image=frame["image"].str.replace("i", "picture-"))
    verdict = gate(presets, champion=None)
    assert not verdict.promoted
    assert {("gain", condition) for condition in CONDITIONS} <= failed(verdict)


def test_no_gain_over_the_median_in_a_single_condition_makes_it_challenger() -> None:
    verdict = gate(scores({"gaussian_10": 4.0, "gaussian_20": 0.0, "quantum_30": 4.0}), champion=None)
    assert not verdict.promoted
    assert verdict.alias == "challenger"
    assert failed(verdict) == {("gain", "gaussian_20")}
    assert verdict.reasons[0].startswith("unet against the median filter in gaussian_20: PSNR ")
    assert "(must be above +0.000 dB)" in verdict.reasons[0]


def test_a_gain_in_psnr_bought_with_ssim_makes_it_challenger() -> None:
    frame = scores(4.0)
    frame.loc[(frame["method"] == "unet") & (frame["condition"] == "quantum_30"), "ssim"] -= 0.1
    failures = [(check.check, check.metric, check.condition) for check in gate(frame, champion=None).checks if not check.passed]
    assert failures == [("gain", "ssim", "quantum_30"), ("baseline", "ssim", "quantum_30")]


def test_a_gain_that_is_not_certain_makes_it_challenger() -> None:
    verdict = gate(scores(0.1, spread=2.0), champion=None)
    assert not verdict.promoted
    assert ("gain", "gaussian_10") in failed(verdict)


def test_worse_than_the_champion_by_more_than_the_margin_in_one_condition_makes_it_challenger() -> None:
    verdict = gate(scores({"gaussian_10": 2.8, "gaussian_20": 6.0, "quantum_30": 6.0}, spread=0.02))
    assert not verdict.promoted
    assert failed(verdict) == {("not_worse", "gaussian_10")}
    assert "unet against the champion in gaussian_10: PSNR -0.2" in verdict.reasons[0]
    assert "must be above -0.100 dB" in verdict.reasons[0]


def test_worse_than_the_champion_in_ssim_by_more_than_the_margin_makes_it_challenger() -> None:
    frame = scores(4.0)
    frame.loc[(frame["method"] == "unet") & (frame["condition"] == "quantum_30"), "ssim"] -= 0.02
    failures = [(check.check, check.metric, check.condition) for check in gate(frame).checks if not check.passed]
    assert failures == [("not_worse", "ssim", "quantum_30")]


def test_as_good_as_the_champion_everywhere_makes_it_challenger() -> None:
    verdict = gate(scores(3.0, spread=0.02))
    assert not verdict.promoted
    assert {check for check, _ in failed(verdict)} == {"better"}
    assert "nowhere shown to be better than the champion" in verdict.reasons[0]


def test_a_lone_success_among_many_tests_does_not_survive_holm() -> None:
    """Seven of eight patients are better in one condition and one is a little worse: p = 4 / 256, and 6 / 64 after Holm over six tests."""
    frame = scores(3.0, patients=8, spread=0)
    lead = np.where(frame["patient"] == "p3", -0.01, 1.0)
    frame["psnr"] += lead * ((frame["method"] == "unet") & (frame["condition"] == "gaussian_20"))
    verdict = gate(frame)
    nearest = verdict.frame().query("check == 'better'").iloc[0]
    assert (nearest["condition"], nearest["metric"]) == ("gaussian_20", "psnr")
    assert nearest["low"] > 0
    assert nearest["p"] == pytest.approx(6 / 64)
    assert not verdict.promoted


def test_a_failed_audit_makes_it_challenger() -> None:
    audit = Audit("added_detail", False, 0.2, 0.03, "rms contrast added to a clean picture")
    verdict = gate(scores(4.0), audits=(PASSED, audit))
    assert not verdict.promoted
    assert verdict.reasons == ("unet fails the audit added_detail: 0.2, limit 0.03 (rms contrast added to a clean picture).",)


def test_the_champion_itself_stays_and_nothing_changes() -> None:
    itself = Contender("champion", CANDIDATE.digest, None)
    verdict = gate(scores(4.0), itself)
    assert (verdict.promoted, verdict.alias) == (False, "champion")
    assert verdict.reasons == ("unet is the champion already (digest d1), so nothing changes.",)


def test_the_champion_itself_is_told_what_it_no_longer_holds() -> None:
    verdict = gate(scores(-1.0), Contender("unet", CANDIDATE.digest, 0))
    assert (verdict.promoted, verdict.alias) == (False, "champion")
    assert "nothing changes" in verdict.reasons[0]
    assert len([told for told in verdict.reasons if "against the median filter" in told]) == 2 * len(CONDITIONS)


@pytest.mark.parametrize(
    ("knows", "said"), [(3, "learnt from 3 of 20 test pictures"), (None, "does not tell from which pictures it learnt")]
)
def test_a_champion_that_may_know_test_pictures_is_not_compared(knows: int | None, said: str) -> None:
    verdict = gate(scores(9.0), CHAMPION._replace(knows=knows))
    assert not verdict.promoted
    assert {check for check, _ in failed(verdict)} == {"comparable"}
    assert verdict.reasons[0].startswith(f"The champion {said}, so it cannot be compared on them; to start anew, take the alias")
    assert verdict.as_json()["checks"][-2]["value"] == knows
    assert not any(check.check in ("not_worse", "better") for check in verdict.checks)


def test_a_candidate_that_loses_to_a_baseline_somewhere_becomes_challenger_and_the_baseline_is_named() -> None:
    verdict = gate(scores(4.0, wavelet={"gaussian_10": 3.0, "gaussian_20": 4.45, "quantum_30": -1.0}, spread=0.02))
    assert (verdict.promoted, verdict.alias) == (False, "challenger")
    assert failed(verdict) == {("baseline", "gaussian_20")}
    assert verdict.reasons[0].startswith("unet against the baseline wavelet in gaussian_20: PSNR -0.4")
    assert "(must be above -0.100 dB)" in verdict.reasons[0]
    assert {check.against for check in verdict.checks if check.check == "baseline"} == {"wavelet", "median"}


def test_a_baseline_that_is_better_by_less_than_the_margin_costs_nothing_and_is_named() -> None:
    verdict = gate(scores(4.0, wavelet={"gaussian_10": 3.0, "gaussian_20": 4.05, "quantum_30": -1.0}, spread=0.01), champion=None)
    assert verdict.promoted
    assert any("nowhere worse than a baseline by the margin, nearest to wavelet in gaussian_20" in told for told in verdict.reasons)


def test_a_candidate_that_loses_in_ssim_to_a_baseline_that_is_behind_in_psnr_becomes_challenger() -> None:
    frame = scores(4.0, wavelet=1.0)
    frame["ssim"] += 0.1 * ((frame["method"] == "wavelet") & (frame["condition"] == "quantum_30"))
    failures = [(check.check, check.metric, check.against) for check in gate(frame, champion=None).checks if not check.passed]
    assert failures == [("baseline", "ssim", "wavelet")]


def test_no_baseline_is_refused() -> None:
    with pytest.raises(ValueError, match="no baseline is named"):
        decide(scores(4.0), CANDIDATE, None, (), (PASSED,), CONFIG, COMPARE, 0)


@pytest.mark.parametrize(
    ("knows", "said"), [(3, "has seen 3 of 20 test pictures, or copies of them, where its weights come from"), (None, "do not tell")]
)
def test_a_candidate_that_may_have_seen_test_pictures_becomes_challenger(knows: int | None, said: str) -> None:
    verdict = gate(scores(4.0), champion=None, candidate=CANDIDATE._replace(knows=knows))
    assert (verdict.promoted, verdict.alias) == (False, "challenger")
    assert {check for check, _ in failed(verdict)} == {"unseen"}
    assert said in verdict.reasons[0]
    assert "begin from other weights" in verdict.reasons[0]
    assert verdict.as_json()["checks"][0]["value"] == knows


def test_a_champion_that_cannot_be_scored_is_not_compared() -> None:
    frame = scores(9.0)
    verdict = gate(frame[frame["method"] != "champion"], CHAMPION._replace(fault="models:/x/1: its kind is gone"))
    assert (verdict.promoted, verdict.alias) == (False, "challenger")
    assert {check for check, _ in failed(verdict)} == {"loads"}
    assert verdict.reasons[0].startswith(
        "The champion cannot be scored (models:/x/1: its kind is gone), so it cannot be compared; mend that, or, "
    )
    assert verdict.reasons[0].endswith("take the alias champion from it in MLflow's pages, then `dvc repro -fs register`.")


@pytest.mark.parametrize("patients", [1, 4])
def test_few_patients_are_warned_of_and_never_replace_a_champion(patients: int) -> None:
    verdict = gate(scores(9.0, patients=patients))
    assert not verdict.promoted
    assert {check for check, _ in failed(verdict)} == {"better"}
    assert "on test say nothing about other patients: intervals are by picture" in verdict.warnings[0]
    assert "so test needs more patients" in verdict.reasons[0]
    first = gate(scores(9.0, patients=patients), champion=None)
    assert first.promoted
    assert first.warnings == verdict.warnings


def test_a_candidate_that_is_worse_is_not_told_to_find_more_patients() -> None:
    reason = gate(scores(2.95, patients=4, spread=0.02)).reasons[0]
    assert "unet is nowhere better than the champion; nearest in" in reason
    assert "more patients" not in reason


def test_what_comes_nearest_to_better_is_a_gain_however_uncertain_and_no_certain_loss() -> None:
    frame = scores({"gaussian_10": 2.5, "gaussian_20": 2.0, "quantum_30": 2.8}, spread=0.02)
    candidate = frame["method"] == "unet"
    frame["ssim"] -= 0.01 * candidate
    nearest = gate(frame).frame().query("check == 'better'").iloc[0]
    assert (nearest["condition"], nearest["metric"]) == ("quantum_30", "psnr")
    lucky = candidate & (frame["condition"] == "gaussian_20") & (frame["patient"] == "p0")
    frame["psnr"] += 11 * lucky
    verdict = gate(frame)
    nearest = verdict.frame().query("check == 'better'").iloc[0]
    assert (nearest["condition"], nearest["metric"]) == ("gaussian_20", "psnr")
    assert nearest["low"] < 0 < nearest["value"]
    assert any("nowhere shown to be better than the champion; nearest in gaussian_20" in reason for reason in verdict.reasons)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda frame: frame.assign(split="val"), r"test scores of one track, found splits \['val'\]"),
        (lambda frame: pd.concat([frame, frame.assign(track="enhanced")]), r"tracks \['enhanced', 'noise'\]"),
        (lambda frame: frame[frame["method"] != "median"], "gaussian_10: median was not scored on 20 of 20"),
        (lambda frame: frame[frame["method"] != "unet"], "gaussian_10: unet was not scored on 20 of 20"),
        (lambda frame: frame[(frame["method"] != "champion") | (frame["image"] != "i3")], "champion was not scored on 1 of 20"),
    ],
)
def test_scores_that_do_not_belong_together_are_refused(spoil: Callable[[pd.DataFrame], pd.DataFrame], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        gate(spoil(scores(4.0)))


def test_no_audit_and_a_champion_of_the_same_name_are_refused() -> None:
    with pytest.raises(ValueError, match="not audited"):
        gate(scores(4.0), audits=())
    with pytest.raises(ValueError, match="own name"):
        gate(scores(4.0), CHAMPION._replace(method="unet"))


def test_the_verdict_is_json_and_a_table_that_fits_a_terminal() -> None:
    broken = Audit("added_detail", False, math.nan, 0.03, "rms contrast")
    verdict = gate(scores(2.0), audits=(PASSED, broken))
    read = json.loads(json.dumps(verdict.as_json(), allow_nan=False))
    assert (read["candidate"], read["promoted"], read["alias"]) == ("unet", False, "challenger")
    assert len(read["checks"]) == len(verdict.checks) == len(verdict.frame())
    assert read["checks"][-1]["value"] is None
    lines = verdict.table().splitlines()
    assert lines[0] == "unet is challenger of track noise"
    rows = lines[2 : 2 + len(verdict.checks)]
    assert max(map(len, rows)) <= 100
    assert [row.split()[0] == "ok" for row in rows] == [check.passed for check in verdict.checks]
    assert lines[2 + len(verdict.checks) :] == list(verdict.reasons)


@given(st.floats(-5, -0.3), st.integers(1, 8), st.integers(0, 100), st.booleans())
@settings(max_examples=25, deadline=None)
def test_a_candidate_worse_everywhere_is_never_promoted(lift: float, patients: int, seed: int, first: bool) -> None:
    below_median = scores(lift, 3.0, patients=patients, seed=seed)
    assert not gate(below_median, None if first else CHAMPION).promoted
    below_champion = scores(3.0 + lift, 3.0, patients=patients, seed=seed)
    assert not gate(below_champion).promoted


@given(st.floats(0, 1), st.floats(0.001, 3), st.integers(0, 100), st.booleans())
@settings(max_examples=25, deadline=None)
def test_a_gain_that_only_grows_never_costs_the_promotion(lead: float, more: float, seed: int, first: bool) -> None:
    frame = scores(3.0 + lead, 3.0, spread=0.5, seed=seed)
    better = frame.assign(
        psnr=frame["psnr"] + more * (frame["method"] == "unet"), ssim=frame["ssim"] + more / 100 * (frame["method"] == "unet")
    )
    champion = None if first else CHAMPION
    assert gate(better, champion).promoted or not gate(frame, champion).promoted
