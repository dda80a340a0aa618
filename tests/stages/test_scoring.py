from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from xraydenoise import contracts
from xraydenoise.evaluation import metrics
from xraydenoise.stages import scoring


def blur(_track: str, _condition: str, noisy: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(noisy, (5, 5), 1.0)


def score(method: str = "blur", denoise: scoring.Denoise = blur, pictures: int = 3) -> pd.DataFrame:
    scoring.score(method, [scoring.Track("noise")], denoise, {("noise", "gaussian_20"): "width=1"}, pictures, 2, "cpu")
    return contracts.read(Path(f"artifacts/evaluate/{method}/scores.parquet"), contracts.Scores)


def test_every_picture_is_scored_once_under_every_condition(degraded: Path) -> None:
    scores = score()
    assert len(scores) == 24 * 2
    assert not scores.duplicated(["condition", "image"]).any()
    assert set(scores["split"]) == {"val", "test"}
    assert set(scores["setting"][scores["condition"] == "gaussian_20"]) == {"width=1"}
    assert set(scores["setting"][scores["condition"] == "gaussian_05"]) == {""}


def test_the_scores_are_those_of_the_stored_pictures(degraded: Path) -> None:
    scores = score().set_index(["condition", "image"])
    track = scoring.Track("noise")
    for row in track.rows.iloc[::7].to_dict("records"):
        noisy, target = track.pair(row)
        expected = metrics.score(blur("", "", noisy), target)
        assert scores.loc[(row["condition"], row["image"]), "psnr"] == pytest.approx(expected.psnr)


def test_on_track_enhanced_scores_are_against_the_truth_and_agreement_against_the_label(degraded: Path) -> None:
    scoring.score("same", [scoring.Track("enhanced")], lambda _track, _condition, noisy: noisy, {}, 2, 2, "cpu")
    scores = contracts.read(Path("artifacts/evaluate/same/scores.parquet"), contracts.Scores).set_index(["condition", "image"])
    track = scoring.Track("enhanced")
    for row in track.rows.iloc[::7].to_dict("records"):
        noisy, truth = track.pair(row)
        label = track.label(row)
        found = scores.loc[(row["condition"], row["image"])]
        assert np.abs(label - (0.9 * truth + 0.05)).max() < 1e-4  # as the fixture made it
        assert found["psnr"] == pytest.approx(metrics.psnr(noisy, truth))
        assert found["label_psnr"] == pytest.approx(metrics.psnr(noisy, label))
        assert found["label_ssim"] == pytest.approx(metrics.ssim(noisy, label))


def test_a_picture_whose_label_was_vetoed_is_scored_against_its_truth_alone(degraded: Path) -> None:
    path = Path("artifacts/tracks/enhanced/manifest.parquet")
    manifest = contracts.read(path, contracts.Track)
    contracts.write(manifest.assign(teaches=manifest["image"] != "noise0003-0"), path, contracts.Track)
    scoring.score("same", [scoring.Track("enhanced")], lambda _track, _condition, noisy: noisy, {}, 2, 2, "cpu")
    scores = contracts.read(Path("artifacts/evaluate/same/scores.parquet"), contracts.Scores).set_index("image")
    assert scores["psnr"].notna().all()
    assert list(scores.index[scores["label_psnr"].isna()]) == ["noise0003-0"]


def test_on_track_noise_there_is_no_label_to_agree_with(degraded: Path) -> None:
    assert score()[["label_psnr", "label_ssim"]].isna().all(axis=None)


def test_kept_pictures_show_different_patients_and_are_the_same_for_every_method(degraded: Path) -> None:
    score()
    score("same", lambda _track, _condition, noisy: noisy)
    rows = contracts.read(Path("artifacts/evaluate/blur/pictures.parquet"), contracts.Pictures)
    assert list(rows.groupby("condition")["patient"].nunique()) == [3, 3]
    blurred, same = scoring.kept("blur", "noise"), scoring.kept("same", "noise")
    assert list(blurred) == list(same)
    track = scoring.Track("noise")
    for row in track.rows.to_dict("records"):
        if (key := (row["condition"], row["image"])) in same:
            assert row["split"] == "test"
            np.testing.assert_allclose(same[key], track.pair(row)[0], atol=1e-4)
            assert blurred[key].std() < same[key].std()


def test_no_picture_is_kept_where_none_is_asked_for(degraded: Path) -> None:
    score(pictures=0)
    assert scoring.kept("blur", "noise") == {}


def test_the_same_bytes_come_out_again(degraded: Path) -> None:
    def files() -> dict[str, bytes]:
        score()
        return {path.name: path.read_bytes() for path in Path("artifacts/evaluate/blur").iterdir()}

    assert files() == files()


def test_what_an_earlier_run_left_is_gone(degraded: Path) -> None:
    Path("artifacts/evaluate/blur").mkdir(parents=True)
    Path("artifacts/evaluate/blur/old.txt").touch()
    score()
    assert sorted(path.name for path in Path("artifacts/evaluate/blur").iterdir()) == [
        "pictures.npy",
        "pictures.parquet",
        "scores.parquet",
        "spectra.parquet",
    ]


def test_timings_lie_in_the_log_alone(degraded: Path) -> None:
    score()
    seconds = scoring.seconds_an_image(["blur", "never_timed"])
    assert list(seconds) == ["blur"]
    assert 0 < seconds["blur"] < 1


def test_a_prediction_that_is_not_finite_names_method_condition_and_picture(degraded: Path) -> None:
    with pytest.raises(ValueError, match="broken, track noise, condition gaussian_05, image noise0012: prediction has NaN"):
        score("broken", lambda _track, _condition, noisy: noisy * np.nan)


def test_a_noisy_picture_without_its_truth_is_an_error(degraded: Path) -> None:
    manifest = Path("artifacts/tracks/noise/manifest.parquet")
    contracts.write(contracts.read(manifest, contracts.Track).iloc[:-1], manifest, contracts.Track)
    with pytest.raises(ValueError, match="image noise0023 is not in"):
        scoring.Track("noise")
