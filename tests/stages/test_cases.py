"""The cases that report.html shows, on the small project of this folder: twelve test pictures, of which scoring keeps two."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from xraydenoise import contracts
from xraydenoise.evaluation import metrics, page, ranking
from xraydenoise.params import Params
from xraydenoise.stages import cases, scoring


def shown(params: Params, track: str = "noise", scores: pd.DataFrame | None = None) -> list[page.Case]:
    scores = read(params) if scores is None else scores
    ranked = ranking.rank(scores, params.compare, params.seed, {})
    return list(cases.cases(track, model(params, track), ranked, scores, params))


def model(params: Params, track: str = "noise") -> str:
    return next(name for name, one in params.models.items() if one.track == track)


def read(params: Params) -> pd.DataFrame:
    paths = [Path("artifacts/evaluate", method, "scores.parquet") for method in (*params.models, *params.baselines)]
    return pd.concat([contracts.read(path, contracts.Scores) for path in paths], ignore_index=True)


def gains(params: Params, condition: str) -> pd.Series:
    scores = read(params)
    scores = scores[(scores["track"] == "noise") & (scores["split"] == "test") & (scores["condition"] == condition)]
    psnr = scores.pivot(index="image", columns="method", values="psnr")
    return (psnr[model(params)] - psnr["median"]).sort_values()


def test_the_cases_are_the_best_the_median_and_the_worst_of_all_test_pictures(scored: Params) -> None:
    found = {(case.condition, case.kind): case.image for case in shown(scored)}
    outside = 0
    for condition in ("gaussian_05", "gaussian_20"):
        ordered = list(gains(scored, condition).index)
        assert len(ordered) == 12
        expected = {"best": ordered[-1], "median": ordered[6], "worst": ordered[0]}
        assert {kind: found[condition, kind] for kind in expected} == expected
        outside += len({*expected.values()} - {image for one, image in scoring.kept(model(scored), "noise") if one == condition})
    assert len(found) == 6
    assert outside  # pictures that scoring did not keep


def test_every_layer_is_the_picture_that_was_scored(scored: Params) -> None:
    scores = read(scored).set_index(["track", "method", "condition", "image"])["psnr"]
    for track in contracts.TRACKS:
        for case in shown(scored, track):
            *layers, (last, truth) = case.layers.items()
            assert last == cases.TRUTH
            if track == "enhanced":
                name, label = layers.pop()
                assert name == cases.LABEL
                assert case.psnr[name] == pytest.approx(metrics.psnr(label, truth))
            assert [name for name, _ in layers] == ["noisy", "median", "total_variation", model(scored, track)]
            for name, pixels in layers:
                assert metrics.psnr(pixels, truth) == pytest.approx(scores[track, name, case.condition, case.image], abs=1e-6)
                assert case.psnr[name] == scores[track, name, case.condition, case.image]


def test_a_kept_picture_is_denoised_again_to_the_same_pixels(scored: Params) -> None:
    for name in ("median", "total_variation", model(scored)):
        kept = scoring.kept(name, "noise")
        again = {(case.condition, case.image): case.layers[name] for case in shown(scored)}
        for key in kept.keys() & again.keys():
            np.testing.assert_allclose(again[key], kept[key], atol=1 / 65535)


@pytest.mark.parametrize(("pictures", "kinds"), [(1, ["only"]), (2, ["best", "worst"]), (3, ["best", "median", "worst"])])
def test_one_picture_is_one_case_and_two_have_no_median(scored: Params, pictures: int, kinds: list[str]) -> None:
    scores = read(scored)
    test = scores.loc[(scores["track"] == "noise") & (scores["split"] == "test"), "image"].unique()
    few = scores[~scores["image"].isin(test[pictures:])]
    found = [case for case in shown(scored, scores=few) if case.condition == "gaussian_20"]
    assert [case.kind for case in found] == kinds
    assert len({case.image for case in found}) == pictures


def test_a_model_that_changed_since_it_was_scored_is_refused(scored: Params, untrained_of_stages: Callable[..., None]) -> None:
    name = model(scored)
    untrained_of_stages(Path("artifacts/train", name), scored.models[name].network, seed=1)
    with pytest.raises(
        ValueError, match=rf"evaluate/{name}: track noise, condition gaussian_05, image .* denoised again it has .*`dvc repro`"
    ):
        shown(scored)


def test_a_baseline_whose_fit_is_not_there_is_an_error_that_tells_what_to_run(scored: Params) -> None:
    Path("artifacts/evaluate/median/fitted.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"median/fitted.json: not there.*dvc repro"):
        shown(scored)
