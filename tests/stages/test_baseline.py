from collections.abc import Callable
from pathlib import Path

import pytest

from xraydenoise import contracts
from xraydenoise.evaluation import metrics
from xraydenoise.evaluation.baselines import TotalVariation
from xraydenoise.params import Params
from xraydenoise.stages import baseline, scoring

Small = Callable[..., Params]


def settings(name: str) -> dict[tuple[str, str], str]:
    scores = contracts.read(Path(f"artifacts/evaluate/{name}/scores.parquet"), contracts.Scores)
    chosen = scores.groupby(["track", "condition"])["setting"].unique()
    assert (chosen.map(len) == 1).all()
    return {key: values[0] for key, values in chosen.items()}


def test_the_median_filter_is_tuned_for_each_condition_of_both_tracks(small: Small) -> None:
    baseline.run(small(), "median")
    chosen = settings("median")
    assert set(chosen) == {("noise", "gaussian_05"), ("noise", "gaussian_20"), ("enhanced", "quantum_1000")}
    assert chosen["noise", "gaussian_05"] < chosen["noise", "gaussian_20"]  # less noise, smaller window


def test_what_was_fitted_is_read_back_to_the_last_bit(small: Small) -> None:
    chosen = small()
    assert chosen.baselines["total_variation"].calibrate
    for name in ("noisy", "median", "total_variation"):
        baseline.run(chosen, name)
        for track in ("noise", "enhanced"):
            fitted = baseline.read(chosen, name, track)
            stored = scoring.Track(track)
            found = contracts.read(Path(f"artifacts/evaluate/{name}/scores.parquet"), contracts.Scores)
            scores = found[found["track"] == track].set_index(["condition", "image"])
            assert set(fitted) == set(stored.noisy)
            for row in stored.rows.iloc[::7].to_dict("records"):
                noisy, target = stored.pair(row)
                told = scores.loc[(row["condition"], row["image"])]
                assert fitted[row["condition"]].setting == told["setting"]
                assert metrics.score(fitted[row["condition"]].denoise(noisy), target).psnr == told["psnr"]


def test_tuning_never_looks_at_test(small: Small) -> None:
    baseline.run(small(), "median")
    before = settings("median")
    for track in ("noise", "enhanced"):
        path = Path(f"artifacts/tracks/{track}/targets.npy")
        with path.open("r+b") as file:  # the test half of the truths
            file.seek(-12 * 40 * 32 * 2, 2)
            file.write(b"\0" * (12 * 40 * 32 * 2))
    baseline.run(small(), "median")
    assert settings("median") == before


def test_doing_nothing_has_no_setting_and_loses_to_the_median_filter(small: Small) -> None:
    for name in ("noisy", "median"):
        baseline.run(small(), name)
    assert set(settings("noisy").values()) == {""}
    noisy, median = (contracts.read(Path(f"artifacts/evaluate/{name}/scores.parquet"), contracts.Scores) for name in ("noisy", "median"))
    assert (median["image"] == noisy["image"]).all()
    assert (median["psnr"] > noisy["psnr"]).all()


def test_a_weight_at_the_end_of_its_range_is_warned_of(small: Small, capsys: pytest.CaptureFixture[str]) -> None:
    narrow = TotalVariation(kind="total_variation", weights=(0.001, 0.002))
    baseline.run(small(baselines={"total_variation": narrow}), "total_variation")
    warnings = capsys.readouterr().out.splitlines()
    assert len(warnings) == 3
    assert all("weight=0.002 is best on val" in line for line in warnings)
