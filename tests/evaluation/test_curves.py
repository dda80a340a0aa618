import numpy as np
import pandas as pd
import pytest

from xraydenoise.evaluation.curves import curves
from xraydenoise.evaluation.ranking import CompareConfig

CONFIG = CompareConfig(resamples=500, confidence=0.95)
FULL = 200.0  # photons
LEVELS = {"gaussian": (0.2, 0.05, 0.1), "quantum": (200.0, 50.0)}


@pytest.fixture
def sweep() -> pd.DataFrame:
    """Two methods 2 dB apart, eight patients of two pictures each; 20 pictures differ by 3 dB."""
    rng = np.random.default_rng(0)
    own = rng.normal(0, 3, 16)
    rows = []
    for family, levels in LEVELS.items():
        for level in levels:
            base = -20 * np.log10(level) if family == "gaussian" else 10 * np.log10(level)
            for method, lift in (("median", 0.0), ("dncnn", 2.0)):
                for number in range(16):
                    psnr = base + lift + own[number] + 0.05 * rng.standard_normal()
                    rows.append((method, family, level, f"image-{number}", f"patient-{number // 2}", psnr, psnr / 100))
    return pd.DataFrame(rows, columns=["method", "family", "level", "image", "patient", "psnr", "ssim"])


def test_a_curve_has_a_point_with_its_interval_at_each_level_in_rising_order(sweep: pd.DataFrame) -> None:
    found = curves(sweep, FULL, CONFIG, 0)
    assert len(found) == 2 * (3 + 2)
    line = found[(found["family"] == "gaussian") & (found["method"] == "dncnn")]
    assert list(line["level"]) == [0.05, 0.1, 0.2]
    assert list(line["psnr"]) == sorted(line["psnr"], reverse=True)
    for name in ("psnr", "ssim", "gain_psnr", "gain_ssim"):
        assert (line[f"{name}_low"] < line[name]).all()
        assert (line[name] < line[f"{name}_high"]).all()
    rows = sweep[(sweep["method"] == "dncnn") & (sweep["level"] == 0.1)]
    assert line["psnr"].iloc[1] == pytest.approx(rows["psnr"].mean(), abs=1e-5)
    assert set(found["patients"]) == {8}


def test_gains_are_paired_and_those_of_the_median_filter_are_none(sweep: pd.DataFrame) -> None:
    found = curves(sweep, FULL, CONFIG, 0).set_index("method")
    assert found.loc["dncnn", "gain_psnr"].to_numpy() == pytest.approx(2, abs=0.1)
    wide, narrow = (found.loc["dncnn", f"{name}_high"] - found.loc["dncnn", f"{name}_low"] for name in ("psnr", "gain_psnr"))
    assert (wide > 10 * narrow).all()
    assert (found.loc["median", ["gain_psnr", "gain_psnr_low", "gain_ssim_high"]].to_numpy() == 0).all()


def test_photons_become_a_dose_in_percent_of_full(sweep: pd.DataFrame) -> None:
    found = curves(sweep, FULL, CONFIG, 0)
    assert sorted(set(found["level"][found["family"] == "quantum"])) == [25, 100]


def test_the_order_of_the_scores_changes_nothing(sweep: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(curves(sweep, FULL, CONFIG, 0), curves(sweep.sample(frac=1, random_state=1), FULL, CONFIG, 0))


def test_a_missing_score_a_double_one_an_unknown_family_and_no_reference_are_refused(sweep: pd.DataFrame) -> None:
    gone = (sweep["method"] == "dncnn") & (sweep["level"] == 0.1) & (sweep["image"] == "image-3")
    with pytest.raises(ValueError, match=r"gaussian: 1 scores are missing, the first at level 0.1 of dncnn"):
        curves(sweep[~gone], FULL, CONFIG, 0)
    with pytest.raises(ValueError, match="scored twice"):
        curves(pd.concat([sweep, sweep.head(1)]), FULL, CONFIG, 0)
    with pytest.raises(ValueError, match=r"\['speckle'\]"):
        curves(sweep.replace({"family": {"gaussian": "speckle"}}), FULL, CONFIG, 0)
    with pytest.raises(ValueError, match="median was not scored"):
        curves(sweep[sweep["method"] != "median"], FULL, CONFIG, 0)
