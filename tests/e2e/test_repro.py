"""The README's promises about `dvc repro`, kept by the real one."""

import json
import shutil
import subprocess
import time

import pytest
import yaml

pytestmark = pytest.mark.e2e


def test_every_stage_leaves_what_the_readme_names(reproduced):
    for name in (
        "artifacts/tracks/noise/targets.npy",
        "artifacts/tracks/enhanced/targets.npy",
        "artifacts/train/dncnn/weights.safetensors",
        "artifacts/compare/ranking.csv",
        "artifacts/compare/report.md",
        "artifacts/classifier/config.json",
        "artifacts/protocols/c.md",
        "artifacts/protocols/c.csv",
        "mlruns/mlflow.db",
    ):
        assert (reproduced.root / name).stat().st_size > 0
    metrics = json.loads((reproduced.root / "artifacts/metrics.json").read_text())
    assert set(metrics["noise"]) == {"fast", "dncnn", "noisy", "median", "total_variation"}
    assert set(metrics["enhanced"]) == {"dncnn_enhanced", "noisy", "median", "total_variation"}


def test_a_second_repro_runs_nothing(project):
    assert project.repro() == set()


def test_one_changed_model_reruns_its_own_stages_and_what_compares_them(project):
    project.params({"models.dncnn.steps": 21})
    assert project.repro() == {"start", "train@dncnn", "evaluate@dncnn", "compare", "register"}


def test_changed_noise_settings_download_and_label_nothing_again(project):
    project.params({"conditions.noise.gaussian_10.sigma": 0.12})
    ran = project.repro()
    assert "degrade@noise" in ran
    assert not any(stage.startswith(("download", "ingest", "enhance", "label", "train")) for stage in ran)


def test_a_new_model_is_one_file_and_one_entry_and_runs_nothing_else(project):
    source = (project.root / "src/xraydenoise/models/autoencoder.py").read_text()
    (project.root / "src/xraydenoise/models/mirror.py").write_text(
        source.replace('Literal["autoencoder"]', 'Literal["mirror"]').replace('"autoencoder"', '"mirror"')
    )
    entry = yaml.safe_load((project.root / "profiles/sample.yaml").read_text())["models"]["autoencoder"]
    project.params({"models.mirror": entry | {"steps": 10, "network": entry["network"] | {"kind": "mirror"}}})
    assert project.repro() == {"start", "train@mirror", "evaluate@mirror", "compare", "register"}


def test_a_model_goes_on_from_the_registered_one_and_runs_nothing_else(project):
    alias = json.loads((project.root / "mlruns/registered.json").read_text())["alias"]
    entry = yaml.safe_load((project.root / "params.yaml").read_text())["models"]["fast"]
    project.params({"models.further": entry | {"start": f"models:/xraydenoise@{alias}", "steps": 3}})
    assert project.repro() == {"start", "train@further", "evaluate@further", "compare", "register"}
    assert json.loads((project.root / "artifacts/train/further/config.json").read_text())["start"] == f"models:/xraydenoise@{alias}"


def test_an_entry_that_is_edited_while_its_training_runs_is_not_recorded_as_what_was_trained(project):
    project.params({"models.dncnn.steps": 600})
    checkpoint = project.root / "work/train/dncnn/checkpoint.safetensors"
    repro = subprocess.Popen(["dvc", "repro"], cwd=project.root, env=project.env, stderr=subprocess.PIPE, text=True)
    while not checkpoint.exists():
        assert repro.poll() is None
        time.sleep(0.02)
    project.params({"models.dncnn.steps": 10})
    assert "error: train dncnn: models.dncnn in params.yaml changed while it ran" in repro.communicate()[1]
    assert project.repro() >= {"train@dncnn", "evaluate@dncnn"}
    assert json.loads((project.root / "artifacts/train/dncnn/config.json").read_text())["steps_run"] == 10


def test_lost_outputs_come_back_from_the_cache_and_mlflow_is_filled_again(project):
    shutil.rmtree(project.root / "artifacts")
    for path in (project.root / "mlruns").glob("*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    before = project.read("dvc.lock")
    assert project.repro() == {"register"}
    assert project.read("dvc.lock") == before


def test_a_store_that_is_chosen_when_all_is_up_to_date_is_filled_by_the_next_run(project):
    project.env["MLFLOW_TRACKING_URI"] = f"sqlite:///{project.root}/other.db"
    planned = project.run("python", "-m", "pipeline", "--plan")
    assert "`dvc repro --single-item --force register` puts it there" in planned
    assert "Nothing has changed" in planned
    record = project.read("mlruns/registered.json")
    assert "stages to run: register\n" in project.run("python", "-m", "pipeline")
    assert project.read("mlruns/registered.json") == record
    assert "Nothing has changed" in project.run("python", "-m", "pipeline")


def test_the_champion_or_challenger_loads_from_the_registry_and_denoises(reproduced):
    alias = json.loads((reproduced.root / "mlruns/registered.json").read_text())["alias"]
    script = (
        "import os, numpy as np, mlflow\n"
        "mlflow.set_tracking_uri('sqlite:///mlruns/mlflow.db')\n"
        f"model = mlflow.pyfunc.load_model('models:/xraydenoise@{alias}')\n"
        "noisy = np.random.default_rng(0).random((1, 1, 40, 33), dtype=np.float32)\n"
        "out = np.asarray(model.predict(noisy))\n"
        "assert out.shape == noisy.shape and np.isfinite(out).all(), out.shape\n"
    )
    reproduced.run("python", "-c", script)


def test_a_wrong_key_stops_before_any_compute(project):
    project.params({"train.batchsize": 3})
    said = project.run("python", "-m", "pipeline", fails=True)
    assert said.strip() == "error: params.yaml: train.batchsize: Extra inputs are not permitted, found 3"


def test_weights_that_are_not_the_pinned_ones_stop_before_any_compute(project):
    (project.root / "weights.pth").write_bytes(b"not the official file")
    project.params({"label.weights": "weights.pth"})
    said = project.run("python", "-m", "pipeline", fails=True)
    assert len(said.splitlines()) == 1
    assert "sha256" in said
    assert "weights.pth" in said


def test_weights_behind_a_url_that_leads_nowhere_stop_before_any_compute(project):
    project.params({"label.weights": "http://127.0.0.1:9/x4plus.pth"})
    said = project.run("python", "-m", "pipeline", fails=True)
    assert len(said.splitlines()) == 1
    assert said.startswith("error: label.weights: http://127.0.0.1:9/x4plus.pth: ")
    assert said.endswith("; fetch it elsewhere and give its path\n")
    assert said == project.run("python", "-m", "xraydenoise", "check", fails=True)


def test_an_inbox_image_that_its_table_lists_and_nobody_put_there_is_named(project):
    images = project.root / "inbox" / "images"
    images.mkdir()
    (images / "images.csv").write_text("file,patient_id\nhand.png,p1\n")
    said = project.run("python", "-m", "pipeline", fails=True)
    assert len(said.splitlines()) == 1
    assert "'hand.png' is not there" in said
