import json
from pathlib import Path

import pandas as pd
import pytest
import yaml

from xraydenoise import contracts
from xraydenoise.data import splits
from xraydenoise.params import Params
from xraydenoise.stages import compare, scoring

pytestmark = pytest.mark.usefixtures("described")


def test_everything_that_is_promised_is_written(scored: Params) -> None:
    compare.run(scored)
    found = sorted(path.name for path in Path("artifacts/compare").iterdir())
    figures = ["gain-enhanced.png", "gain-noise.png"]
    figures += ["pictures-enhanced-quantum_1000.png", "pictures-noise-gaussian_05.png", "pictures-noise-gaussian_20.png"]
    figures += ["curves-gaussian.png", "curves-quantum.png"]
    tables = ["cost", "curves", "detectability", "differences", "gain", "groups", "ranking", "spectra"]
    files = ["ranking.md", "ranking.parquet", "report.html", "report.md", *(f"{name}.csv" for name in tables)]
    assert found == sorted([*figures, *files])
    report = Path("artifacts/compare/report.md").read_text(encoding="utf-8")
    assert all(f"({name})" in report for name in figures)
    assert "| clinic | CC BY 4.0 |" in report
    contracts.read(Path("artifacts/compare/ranking.parquet"), contracts.Ranking)


def test_the_metrics_are_those_of_test_over_all_conditions(scored: Params) -> None:
    compare.run(scored)
    found = json.loads(Path("artifacts/metrics.json").read_text(encoding="utf-8"))
    noise = next(name for name, model in scored.models.items() if model.track == "noise")
    assert found["chosen"] == noise
    assert found["chosen_gain_psnr"] == found["noise"][noise]["gain_psnr"]
    assert set(found["enhanced"]) == {*scored.baselines, *(name for name, model in scored.models.items() if model.track == "enhanced")}
    scores = contracts.read(Path(f"artifacts/evaluate/{noise}/scores.parquet"), contracts.Scores)
    assert found["noise"][noise]["psnr"] == pytest.approx(scores[scores["split"] == "test"]["psnr"].mean(), abs=1e-5)
    gains = pd.read_csv("artifacts/compare/gain.csv")
    assert list(gains.columns) == ["method", "gain_psnr", "low", "high"]


def test_the_chart_of_gains_holds_track_noise_alone(scored: Params) -> None:
    compare.run(scored)
    gains = pd.read_csv("artifacts/compare/gain.csv").set_index("method")["gain_psnr"]
    metrics = json.loads(Path("artifacts/metrics.json").read_text(encoding="utf-8"))
    assert gains.to_dict() == {method: pytest.approx(row["gain_psnr"]) for method, row in metrics["noise"].items()}
    (plot,) = yaml.safe_load((Path(__file__).parents[2] / "dvc.yaml").read_text(encoding="utf-8"))["plots"]
    chart = plot["artifacts/compare/gain.csv"]
    assert (chart["x"], chart["y"]) == ("gain_psnr", "method")
    assert "track noise" in chart["title"]


def test_the_same_bytes_come_out_again(scored: Params) -> None:
    def files() -> dict[str, bytes]:
        compare.run(scored)
        return {path.name: path.read_bytes() for path in [*Path("artifacts/compare").iterdir(), Path("artifacts/metrics.json")]}

    assert files() == files()


def test_methods_that_are_no_longer_in_params_are_named_and_left_out(scored: Params, capsys: pytest.CaptureFixture[str]) -> None:
    scoring.score("retired", [scoring.Track("noise")], lambda _track, _condition, noisy: noisy, {}, 2, 2, "cpu")
    compare.run(scored)
    assert "retired not in params" in capsys.readouterr().out
    assert "retired" not in Path("artifacts/compare/ranking.csv").read_text(encoding="utf-8")


def test_the_table_is_printed_with_the_timings_of_this_machine(scored: Params, capsys: pytest.CaptureFixture[str]) -> None:
    compare.run(scored)
    text = capsys.readouterr().out
    assert "track noise: tested on 12 pictures of 6 patients" in text
    assert "agreement with Real-ESRGAN's labels, not quality" in text
    assert "* chosen on val" in text
    assert "seconds" not in Path("artifacts/compare/report.md").read_text(encoding="utf-8")


def test_a_track_without_a_model_is_compared_by_its_baselines(scored: Params) -> None:
    models = {name: model for name, model in scored.models.items() if model.track == "noise"}
    compare.run(scored.model_copy(update={"models": models}))
    assert Path("artifacts/compare/pictures-enhanced-quantum_1000.png").exists()


def test_methods_scored_on_other_pictures_are_refused(scored: Params) -> None:
    path = Path("artifacts/evaluate/median/scores.parquet")
    contracts.write(contracts.read(path, contracts.Scores).iloc[1:], path, contracts.Scores)
    with pytest.raises(ValueError, match="it was scored on the test set"):
        compare.run(scored)


def test_a_method_that_was_not_scored_is_an_error_that_tells_what_to_run(scored: Params) -> None:
    Path("artifacts/evaluate/noisy/scores.parquet").unlink()
    with pytest.raises(FileNotFoundError, match=r"noisy.*dvc repro"):
        compare.run(scored)


def test_a_method_that_was_scored_on_another_test_set_stops_the_comparison(scored: Params) -> None:
    path = Path("artifacts/ingest/manifest.parquet")
    images = contracts.read(path, contracts.Images)
    identity = splits.identity(images.loc[images["split"] == "test", "image"])
    compare.run(scored)
    assert json.loads(Path("artifacts/metrics.json").read_text())["test_set"] == identity
    contracts.write(images[images["image"] != images.loc[images["split"] == "test", "image"].iloc[0]], path, contracts.Images)
    with pytest.raises(ValueError, match=rf"artifacts/evaluate/.*: under gaussian_05 it was scored on the test set {identity}, not "):
        compare.run(scored)


def test_the_page_shows_the_ranking_the_cases_the_labels_and_the_proof(scored: Params) -> None:
    compare.run(scored)
    page = Path("artifacts/compare/report.html").read_text(encoding="utf-8")
    noise = next(name for name, model in scored.models.items() if model.track == "noise")
    identity = json.loads(Path("artifacts/metrics.json").read_text())["test_set"]
    assert all(text in page for text in (noise, identity, "added .05 is over .035", "CC BY 4.0", "Not for diagnostic use"))
    assert all(text in page for text in ("Protocol C", "0.8200 (0.8825)"))
    assert '"kind": "worst"' in page
    assert "http://" not in page.replace("http://www.w3.org/", "")


def test_the_report_says_what_can_be_told_apart_and_what_discs_are_found(scored: Params) -> None:
    compare.run(scored)
    text = Path("artifacts/compare/report.md").read_text(encoding="utf-8")
    assert all(f"## {title}" in text for title in ("What can be told apart", "Faint discs, bias and residual noise", "Cost"))
    groups = contracts.read(Path("artifacts/compare/groups.csv"), contracts.Groups)
    assert set(groups.loc[groups["track"] == "noise", "method"]) >= {"median", "total_variation"}
    curves = contracts.read(Path("artifacts/compare/curves.csv"), contracts.Curves)
    assert sorted(curves.loc[curves["family"] == "quantum", "level"].unique()) == [10.0, 100.0]  # % of the full dose
