"""The README's promises about `dvc repro`, kept by the real one."""

import hashlib
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


def test_a_flow_killed_in_label_in_train_and_in_a_protocol_goes_on_and_ends_with_the_lock_of_dvc_repro(reproduced, fresh):
    for half_done in ("work/label/*.npy", "work/train/dncnn/checkpoint.safetensors", "work/reproduce/c_dncnn/all/checkpoint.safetensors"):
        fresh.kill_when("python", "-m", "pipeline", appears=half_done)
    said = fresh.run("python", "-m", "pipeline")
    assert "total_variation" in said
    assert fresh.read("dvc.lock", "data.dvc") == reproduced.read("dvc.lock", "data.dvc")
    assert "Nothing has changed" in fresh.run("python", "-m", "pipeline")


def test_a_lock_that_a_kill_cut_off_is_mended_and_nothing_is_made_again(project):
    before = project.read("dvc.lock")[0]
    cut = before.index(b"  md5:", len(before) // 2) + len(b"  md")  # within a key, as a cut between two stages leaves a shorter lock
    (project.root / "dvc.lock").write_bytes(before[:cut])
    said = project.run("python", "-m", "pipeline")
    assert "dvc.lock was cut off: put aside as .prefect/dvc.lock.cut" in said
    assert "PSNR to the target" not in said  # what train prints
    assert project.read("dvc.lock") == [before]
    assert "Nothing has changed" in project.run("python", "-m", "pipeline")


def test_a_damaged_record_and_damaged_times_are_told_and_cost_no_more_than_registering_again(project):
    before = project.read("mlruns/registered.json", "dvc.lock")
    (project.root / "mlruns/registered.json").write_bytes(b"")
    (project.root / "logs/evaluate-fast.json").write_bytes(b"")
    assert "`dvc repro register` writes it again" in project.run("python", "-m", "xraydenoise", "verdict", fails=True)
    said = project.run("python", "-m", "pipeline")
    assert "1 of 23 stages to run: register\n" in said
    assert "logs/evaluate-fast.json: is damaged" in said
    assert project.read("mlruns/registered.json", "dvc.lock") == before


def damage(project, name: str) -> str:
    """Flip a bit in the object of DVC's cache that holds this output, and take the output away; the object's name."""
    oid = hashlib.md5((project.root / name).read_bytes()).hexdigest()
    stored = project.root / ".dvc/cache/files/md5" / oid[:2] / oid[2:]
    content = bytearray(stored.read_bytes())
    content[-100] ^= 4
    stored.chmod(0o644)
    stored.write_bytes(content)
    stored.chmod(0o444)
    (project.root / name).unlink()
    return oid


def test_weights_that_are_damaged_in_dvcs_cache_are_put_aside_and_learnt_again(project):
    name, evaluated = "artifacts/train/dncnn/weights.safetensors", "artifacts/evaluate/dncnn/scores.parquet"
    before = project.read(name, "dvc.lock", evaluated)
    oid = damage(project, name)
    said = project.run("python", "-m", "pipeline")
    (line,) = [line for line in said.splitlines() if line.startswith(name)]
    assert line.endswith(f"recorded {oid}), put aside as .dvc/cache/files/md5/damaged/{oid}")
    assert project.read(name, "dvc.lock", evaluated) == before
    assert "All is as DVC recorded it." in project.run("python", "-m", "pipeline", "--verify")
    assert "Nothing has changed" in project.run("python", "-m", "pipeline")


def test_weights_that_plain_dvc_took_out_of_a_damaged_cache_are_noticed_by_verify(project):
    name = "artifacts/train/dncnn/weights.safetensors"
    before = project.read(name, "dvc.lock")
    damage(project, name)
    project.repro()
    assert project.repro() == set()
    assert project.read(name) != before[:1]
    said = project.run("python", "-m", "pipeline", "--verify", fails=True)
    assert "damaged in DVC's cache" in said
    project.repro()
    assert project.read(name, "dvc.lock") == before


def test_stages_that_fail_say_so_in_a_line_each_and_the_lock_ends_as_that_of_dvc_repro(project):
    before = project.read("dvc.lock")
    (project.root / "dvc.lock").unlink()
    code = project.root / "src/xraydenoise/stages/reproduce.py"
    text = code.read_text()
    code.write_text('raise SystemExit("error: no such luck")\n' + text)
    said = project.run("python", "-m", "pipeline", fails=True)
    assert "Traceback" not in said
    assert "\nerror: stage reproduce@c_dncnn: ended with exit code 1: no such luck\n" in said
    assert len(said.splitlines()) < 90  # of which Prefect's own about 60: begun, finished
    code.write_text(text)
    project.run("python", "-m", "pipeline")
    assert project.read("dvc.lock") == before
    assert "Nothing has changed" in project.run("python", "-m", "pipeline")


def test_a_cut_data_dvc_is_mended_and_new_images_arrive(project):
    whole = project.read("data.dvc")[0]
    (project.root / "data.dvc").write_bytes(whole[: whole.index(b"outs:") - 20])
    image = project.root / "inbox/images/hand.png"
    image.parent.mkdir()
    image.write_bytes(b"pixels")
    said = project.run("python", "-m", "pipeline", "--plan")
    assert "data.dvc was cut off: put aside as .prefect/data.dvc.cut" in said
    assert "stages to run: download@inbox, data.dvc, ingest, " in said
    project.repro("data.dvc")  # and the download, which it depends on
    assert image.name in {file.name for file in (project.root / "data/inbox").rglob("*")}
    assert project.read("data.dvc")[0].splitlines()[:2] == whole.splitlines()[:2]


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
