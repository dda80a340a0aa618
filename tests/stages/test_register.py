"""The stage register on a small compared project: the gate, the champion, MLflow."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from xraydenoise import checksums, contracts
from xraydenoise.__main__ import main
from xraydenoise.data import learnt, splits
from xraydenoise.params import Params
from xraydenoise.registry import champion, fetch, rollback, runs, store, versions
from xraydenoise.stages import evaluate, gate, register, sync

MODEL, OTHER = "dncnn", "dncnn_enhanced"  # of track noise, of track enhanced


def differences(track: str = "noise") -> pd.DataFrame:
    return pd.read_csv(register.files(track).differences)


def verdict(track: str = "noise") -> dict:
    return json.loads(register.files(track).verdict.read_text(encoding="utf-8"))


def aliases(name: str = "xraydenoise") -> dict[str, str]:
    with store.opened("xraydenoise") as opened:
        return {alias: str(version) for alias, version in opened.client.get_registered_model(name).aliases.items()}


def another(chosen: Params, untrained_of_stages, model: str = MODEL) -> None:
    """The model trained again, to other weights, and scored."""
    untrained_of_stages(Path("artifacts/train", model), chosen.models[model].network, seed=1)
    evaluate.run(chosen, model)


def test_a_first_model_that_beats_the_median_everywhere_becomes_champion_and_the_verdict_is_told(ready, capfd):
    register.run(ready)
    printed = capfd.readouterr().out
    assert f"{MODEL} is promoted to champion" in printed
    assert "mlflow.pyfunc.load_model('models:/xraydenoise@champion')" in printed
    assert (verdict()["promoted"], verdict()["alias"], verdict()["champion"]) == (True, "champion", None)
    conditions = {(check["check"], check["condition"], check["metric"]) for check in verdict()["checks"]}
    assert {("gain", condition, metric) for condition in ("gaussian_05", "gaussian_20") for metric in ("psnr", "ssim")} <= conditions
    assert {"finite", "deterministic", "added_detail", "fixed_pattern", "noise_gain"} <= {check["check"] for check in verdict()["checks"]}
    assert register.files("noise").table.read_text() in printed
    assert "Not for diagnostic use" in Path("artifacts/register/model_card.md").read_text()
    identity = json.loads(Path("artifacts/metrics.json").read_text())["test_set"]
    assert json.loads(register.RECORD.read_text())["test_set"] == identity
    assert main(["verdict"]) == 0


@pytest.mark.parametrize("content", [b"", b'{"name": ', b"[]", b"null", b"\xff\xfe", b'{"name": "xraydenoise"}'])
def test_a_record_that_is_damaged_is_named_with_the_way_out(content, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    register.RECORD.parent.mkdir()
    register.RECORD.write_bytes(content)
    with pytest.raises(ValueError, match=r"^mlruns/registered\.json: is damaged \(.*\); `dvc repro register` writes it again$"):
        register.record("noise")


def test_registering_again_writes_the_same_record_and_registers_nothing(ready):
    register.run(ready)
    record = register.RECORD.read_bytes()
    register.run(ready)
    assert register.RECORD.read_bytes() == record
    assert verdict()["reasons"][0].startswith(f"{MODEL} is the champion already")
    assert len(list(Path("mlruns/artifacts/models").iterdir())) == 1


def test_a_model_that_loses_to_the_median_somewhere_becomes_challenger_with_the_reason(ready, capfd):
    path = Path("artifacts/evaluate/median/scores.parquet")
    scores = contracts.read(path, contracts.Scores)
    scores.loc[scores["condition"] == "gaussian_20", "psnr"] += 30
    contracts.write(scores, path, contracts.Scores)
    register.run(ready)
    assert json.loads(register.RECORD.read_text())["alias"] == "challenger"
    assert f"{MODEL} against the median filter in gaussian_20: PSNR" in capfd.readouterr().out
    assert main(["verdict"]) == 2


def test_a_model_that_fails_an_audit_becomes_challenger(ready):
    audits = ready.gate.audits.model_copy(update={"noise_gain": 1.0, "fixed_pattern": 1e-9})
    register.run(ready.model_copy(update={"gate": ready.gate.model_copy(update={"audits": audits})}))
    assert verdict()["alias"] == "challenger"
    assert any("fails the audit fixed_pattern" in reason for reason in verdict()["reasons"])


def test_the_standing_champion_is_scored_again_on_the_same_pictures_and_stays_unless_beaten(ready, untrained_of_stages):
    register.run(ready)
    first = aliases()["champion"]
    another(ready, untrained_of_stages)
    register.run(ready)
    assert (verdict()["promoted"], verdict()["champion"]) == (False, gate.CHAMPION)
    assert {"not_worse", "better"} <= {check["check"] for check in verdict()["checks"]}
    assert aliases() == {"champion": first, "challenger": str(int(first) + 1)}
    assert main(["verdict"]) == 2


def rewrite(track: str, column: str, values: Callable[[pd.Series], pd.Series]) -> None:
    """Change a column of every table that names images of a track."""
    tables = {f"tracks/{track}/manifest": contracts.Track, f"degrade/{track}/manifest": contracts.Degraded}
    if track == "enhanced":
        tables[f"tracks/{track}/regions"] = contracts.Regions
    for method in Path("artifacts/evaluate").iterdir():
        tables |= {f"evaluate/{method.name}/scores": contracts.Scores, f"evaluate/{method.name}/pictures": contracts.Pictures}
    for name, schema in tables.items():
        path = Path("artifacts", f"{name}.parquet")
        frame = contracts.read(path, schema)
        if column in frame:
            own = frame["track"] == track if "track" in frame else frame[column].notna()
            frame.loc[own, column] = values(frame.loc[own, column])
            contracts.write(frame, path, schema)


def resplit(track: str = "noise") -> None:
    """What val and test would be had the patients of both changed places: the champion was chosen by today's test pictures."""
    rewrite(track, "split", lambda splits: splits.map({"val": "test", "test": "val"}))


def test_a_champion_that_learnt_from_test_pictures_is_not_compared(ready, untrained_of_stages):
    register.run(ready)
    another(ready, untrained_of_stages)
    resplit()
    register.run(ready)
    assert (verdict()["promoted"], verdict()["alias"]) == (False, "challenger")
    assert "The champion learnt from 12 of 12 test pictures, so it cannot be compared" in verdict()["reasons"][0]
    assert differences().empty


def test_a_champion_that_knows_no_test_picture_is_compared_whatever_the_seed(ready, untrained_of_stages):
    register.run(ready)
    another(ready, untrained_of_stages)
    register.run(ready.model_copy(update={"seed": ready.seed + 1}))
    assert {"not_worse", "better"} <= {check["check"] for check in verdict()["checks"]}


def test_a_champion_that_does_not_tell_what_it_learnt_from_is_not_compared(ready, untrained_of_stages):
    register.run(ready)
    first = aliases()["champion"]
    with store.opened("xraydenoise") as opened:
        opened.client.delete_model_version_tag("xraydenoise", first, fetch.LEARNT)
    another(ready, untrained_of_stages)
    register.run(ready)
    assert verdict()["alias"] == "challenger"
    assert "The champion does not tell from which pictures it learnt" in verdict()["reasons"][0]


def outdate(version: str) -> None:
    """The network of a version becomes of a kind that is no more, as if the kind's file had been renamed since."""
    (config,) = Path("mlruns/artifacts/models").rglob(f"{MODEL}/config.json")
    (sums,) = Path("mlruns/artifacts/models").rglob(checksums.FILE)
    before = hashlib.sha256(config.read_bytes()).hexdigest()
    config.write_text(config.read_text().replace('"dncnn"', '"yesterday"'))
    sums.write_text(sums.read_text().replace(before, hashlib.sha256(config.read_bytes()).hexdigest()))
    with store.opened("xraydenoise") as opened:
        opened.client.set_model_version_tag("xraydenoise", version, versions.DIGEST, runs.identity(config.parent))


def test_a_champion_that_todays_code_cannot_build_is_not_compared_and_all_else_is_registered(ready, untrained_of_stages):
    register.run(ready)
    first = aliases()["champion"]
    outdate(first)
    another(ready, untrained_of_stages)
    register.run(ready)
    assert aliases() == {"champion": first, "challenger": str(int(first) + 1)}
    reason = verdict()["reasons"][0]
    assert f"cannot be scored (models:/xraydenoise/{first}: " in reason
    assert "config.json: today's code does not build this network: kind: unknown; expected one of autoencoder" in reason
    assert "\n" not in reason
    assert json.loads(register.RECORD.read_text())["alias"] == "challenger"
    assert differences().empty


def test_the_same_weights_trained_by_another_recipe_stay_champion(ready):
    register.run(ready)
    first, path = aliases(), Path("artifacts/train", MODEL, "config.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"steps_run": 2, "stopped": "seconds"}))
    register.run(ready)
    assert aliases() == first
    assert verdict()["reasons"][0].startswith(f"{MODEL} is the champion already")


def test_a_champion_that_was_made_while_the_gate_weighed_stays_and_nothing_is_told(ready, untrained_of_stages, monkeypatch):
    register.run(ready)
    another(ready, untrained_of_stages)
    weigh = gate.weigh

    def and_meanwhile(*arguments):
        weighed = weigh(*arguments)
        with store.opened("xraydenoise") as opened:
            source = opened.client.get_model_version("xraydenoise", "1")
            tags = {**source.tags, "model": "unet"}
            opened.client.create_model_version("xraydenoise", source.source, tags=tags)
            opened.client.set_registered_model_alias("xraydenoise", "champion", "2")
        return weighed

    monkeypatch.setattr(gate, "weigh", and_meanwhile)
    before = register.files("noise").verdict.read_bytes()
    with pytest.raises(ValueError, match=r"version 1 \(dncnn\) was champion when the candidate was weighed, version 2 \(unet\) is today"):
        register.run(ready)
    assert aliases() == {"champion": "2"}
    assert register.files("noise").verdict.read_bytes() == before


def test_models_are_told_how_they_differ_from_the_champion(ready, untrained_of_stages):
    register.run(ready)
    assert differences().empty  # there was none
    another(ready, untrained_of_stages)
    register.run(ready)
    found = differences()
    assert set(found["method"]) == {MODEL}
    assert set(found["reference"]) == {gate.CHAMPION}
    assert set(found["condition"]) == {"all", "gaussian_05", "gaussian_20"}
    weighed = {(check["condition"], check["metric"]): check["value"] for check in verdict()["checks"] if check["check"] == "not_worse"}
    for row in found[found["condition"] != "all"].to_dict("records"):
        assert row["difference"] == pytest.approx(weighed[row["condition"], row["metric"]], abs=1e-4)


def test_other_models_differ_from_a_candidate_that_is_the_champion(ready):
    register.run(ready)
    scores = contracts.read(Path("artifacts/evaluate", MODEL, "scores.parquet"), contracts.Scores)
    Path("artifacts/evaluate/unet").mkdir()
    worse = scores.assign(method="unet", psnr=scores["psnr"] - 1.5)
    contracts.write(worse, Path("artifacts/evaluate/unet/scores.parquet"), contracts.Scores)
    chosen = ready.model_copy(update={"models": ready.models | {"unet": ready.models[MODEL]}})
    weights = Path("artifacts/train", MODEL)
    digest = runs.identity(weights)
    _, found = gate.weigh(chosen, MODEL, digest, gate.Standing("models:/xraydenoise/1", digest, None, weights))
    assert set(found["method"]) == {"unet"}
    assert found.loc[found["metric"] == "psnr", "difference"].tolist() == pytest.approx([-1.5] * 3)


def test_a_rolled_back_champion_gives_its_place_to_the_one_before_with_tags_that_say_why(ready, untrained_of_stages, capsys):
    lenient = ready.gate.model_copy(update={"margin_psnr": 99.0, "margin_ssim": 1.0})
    register.run(ready)
    first = aliases()["champion"]
    another(ready, untrained_of_stages)
    path = Path("artifacts/evaluate", MODEL, "scores.parquet")
    scores = contracts.read(path, contracts.Scores)
    better = scores.assign(psnr=scores["psnr"] + 3, ssim=scores["ssim"] + (1 - scores["ssim"]) / 2)
    contracts.write(better, path, contracts.Scores)
    patients = ready.compare.model_copy(update={"confidence": 0.6})  # six patients allow no smaller p
    register.run(ready.model_copy(update={"gate": lenient, "compare": patients}))
    assert verdict()["promoted"], verdict()["reasons"]
    second = aliases()["champion"]
    assert first != second
    assert main(["rollback", "--reason", "blurs calcifications"]) == 0
    assert f"(version {first}) again, instead of {MODEL} (version {second}): blurs calcifications" in capsys.readouterr().out
    assert aliases()["champion"] == first
    assert main(["verdict"]) == 2
    assert f"is champion no more: version {first} is, which has other weights" in capsys.readouterr().out
    with store.opened("xraydenoise") as opened:
        assert opened.client.get_model_version("xraydenoise", second).tags["rolled_back_because"] == "blurs calcifications"
        with pytest.raises(ValueError, match="no version was champion before it"):
            rollback.rollback(opened, "xraydenoise", "again")


@pytest.fixture
def both(ready: Params) -> Params:
    """The same where the best model of each track may become champion."""
    return ready.model_copy(update={"gate": ready.gate.model_copy(update={"tracks": ("enhanced", "noise")})})


def test_by_default_one_model_is_registered_that_of_track_noise(ready):
    register.run(ready)
    with store.opened("xraydenoise") as opened:
        assert [model.name for model in opened.client.search_registered_models()] == ["xraydenoise"]
    assert register.found() == ["noise"]
    assert [path.read_text() for path in Path("artifacts/register/enhanced").iterdir()] == [
        "gate.tracks does not name enhanced, so its best model was not weighed\n"
    ]


def test_each_track_that_the_gate_names_has_a_candidate_a_verdict_and_a_registered_model_of_its_own(both, capsys):
    path = Path("artifacts/evaluate/median/scores.parquet")
    scores = contracts.read(path, contracts.Scores)
    scores.loc[scores["track"] == "enhanced", "psnr"] += 50  # its own median filter beats the model of track enhanced
    contracts.write(scores, path, contracts.Scores)
    register.run(both)
    assert (aliases(), aliases("xraydenoise_enhanced")) == ({"champion": "1"}, {"challenger": "1"})
    assert [verdict(track)["candidate"] for track in ("noise", "enhanced")] == [MODEL, OTHER]
    assert {check["condition"] for check in verdict()["checks"]} == {"", "gaussian_05", "gaussian_20"}
    assert {check["condition"] for check in verdict("enhanced")["checks"]} == {"", "quantum_1000"}
    assert f"{OTHER} against the median filter in quantum_1000: PSNR" in verdict("enhanced")["reasons"][0]
    record = register.record("enhanced")
    assert (record["name"], record["alias"], record["model"], record["track"]) == ("xraydenoise_enhanced", "challenger", OTHER, "enhanced")
    assert register.record("noise")["model"] == MODEL
    card = register.files("enhanced").card.read_text()
    regions = contracts.read(Path("artifacts/tracks/enhanced/manifest.parquet"), contracts.Track)
    identity = splits.identity(regions.loc[regions["split"] == "test", "image"])
    assert record["test_set"] == identity != register.record("noise")["test_set"]
    assert f"Means over 12 pictures of 6 patients, test set `{identity}`" in card
    assert "`models:/xraydenoise_enhanced@champion` denoises radiographs that one of the presets" in card
    with store.opened("xraydenoise") as opened:
        assert opened.client.get_model_version("xraydenoise_enhanced", "1").tags["track"] == "enhanced"
    capsys.readouterr()
    assert main(["verdict"]) == 2
    said = capsys.readouterr().out
    assert said.index(f"{MODEL} is promoted to champion of track noise") < said.index(f"{OTHER} is challenger of track enhanced")


def test_a_champion_of_a_track_is_weighed_and_rolled_back_in_that_track_alone(both, untrained_of_stages, capsys):
    register.run(both)
    assert main(["verdict"]) == 0
    another(both, untrained_of_stages, OTHER)
    register.run(both)
    assert verdict()["reasons"][0].startswith(f"{MODEL} is the champion already")
    assert {"not_worse", "better"} <= {check["check"] for check in verdict("enhanced")["checks"]}
    assert set(differences("enhanced")["track"]) == {"enhanced"}
    assert set(differences("enhanced")["method"]) == {OTHER}
    assert (aliases(), aliases("xraydenoise_enhanced")) == ({"champion": "1"}, {"champion": "1", "challenger": "2"})
    with store.opened("xraydenoise") as opened:
        opened.client.set_registered_model_alias("xraydenoise_enhanced", "champion", "2")
        opened.client.set_model_version_tag("xraydenoise_enhanced", "2", versions.BEFORE, "1")
    assert main(["rollback", "--model", "xraydenoise_enhanced", "--reason", "blurs ribs"]) == 0
    assert f"xraydenoise_enhanced@champion is {OTHER} (version 1) again" in capsys.readouterr().out
    assert aliases() == {"champion": "1"}
    assert aliases("xraydenoise_enhanced")["champion"] == "1"


def test_a_champion_that_saw_a_test_picture_with_another_preset_has_seen_it(both, untrained_of_stages):
    rewrite("enhanced", "image", lambda images: images.str.replace("-0", "-1"))
    register.run(both)
    with store.opened("xraydenoise") as opened:
        folder = fetch.download(opened.client, champion.current(opened, "xraydenoise_enhanced"))
    found = learnt.load(folder)
    assert found is not None
    assert set(found.images) == {f"noise{number:04d}" for number in range(12)}  # of val, whatever the preset
    rewrite("enhanced", "image", lambda images: images.str.replace("-1", "-2"))
    another(both, untrained_of_stages, OTHER)
    resplit("enhanced")
    register.run(both)
    assert "The champion learnt from 12 of 12 test pictures" in verdict("enhanced")["reasons"][0]
    assert verdict()["reasons"][0].startswith(f"{MODEL} is the champion already")


def test_a_verdict_whose_model_is_not_in_this_store_says_how_to_fill_it(ready, tmp_path, monkeypatch, capsys):
    register.run(ready)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/other.db")
    assert main(["verdict"]) == 2
    said = capsys.readouterr().out.splitlines()[-1]
    assert said.startswith(f"{MODEL} is not registered in sqlite:///{tmp_path}/other.db (another MLFLOW_TRACKING_URI?)")
    assert "no more" not in said
    assert said.endswith("`dvc repro -fs register`")


def test_a_verdict_whose_model_lost_its_alias_says_that_nothing_is_champion(ready, capsys):
    register.run(ready)
    with store.opened("xraydenoise") as opened:
        opened.client.delete_registered_model_alias("xraydenoise", "champion")
    assert main(["verdict"]) == 2
    assert capsys.readouterr().out.endswith(f"{MODEL} is champion no more: no version is\n")


def test_a_verdict_that_was_not_reached_yet_says_what_to_type(ready, capsys):
    assert main(["verdict"]) == 1
    assert "verdict.txt: not there yet; `make run` writes it" in capsys.readouterr().err
    register.files("noise").table.parent.mkdir()
    register.files("noise").table.write_text("as DVC's cache has it in a clone without its MLflow")
    assert main(["verdict"]) == 1
    assert "registered.json: not there yet; `make run` writes it" in capsys.readouterr().err


def test_every_method_shows_the_same_pictures_under_the_same_numbers(ready):
    shown = register.shown(sync.methods(ready))
    places = {
        title: [(one.condition, one.number) for one in each] for title, each in shown.items() if title.endswith("(noise)") or title == MODEL
    }
    assert len(places) == 4
    assert len({tuple(each) for each in places.values()}) == 1
    for model, median in zip(shown[MODEL], shown["median (noise)"], strict=True):
        assert set(model.layers) == {"noisy", "median", "denoised", "truth", "residual"}
        assert (model.layers["median"] == median.layers["denoised"]).all()
        assert (model.layers["median"] != model.layers["denoised"]).any()


def test_mlflow_tells_d_prime_cost_and_settings_of_methods_and_the_data_of_the_pipeline(ready):
    register.run(ready)
    with store.opened("xraydenoise") as opened:
        found = {run.info.run_name: run.data for run in opened.client.search_runs([opened.experiment])}
    model, filtered, over = found[MODEL], found["total_variation (noise)"], found["pipeline"]
    discs = pd.read_csv("artifacts/compare/detectability.csv").set_index(["method", "condition"])["dprime"]
    for condition in ("gaussian_05", "gaussian_20"):
        assert model.metrics[f"test/{condition}/dprime"] == discs[MODEL, condition]
        assert filtered.params[f"setting.{condition}"].startswith("weight=")
    assert model.metrics["cost/parameters"] > 1000
    enhanced = found["total_variation (enhanced)"]
    learner = found[OTHER]
    assert set(enhanced.params) & {"setting.quantum_1000", "setting.gaussian_05"} == {"setting.quantum_1000"}
    assert learner.metrics["test/all/label_psnr"] < learner.metrics["test/all/psnr"]  # the fixture's labels are paler than the truth
    assert not [name for name in filtered.metrics if "label" in name]
    assert (over.params["seed"], over.params["ingest.size"], over.params["chosen"]) == (str(ready.seed), "256", MODEL)
    assert over.params["data.test.patients"] == "6"
    assert over.metrics["test/all/gain_psnr"] == model.metrics["test/all/gain_psnr"]
