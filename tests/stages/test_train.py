import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from pydantic import TypeAdapter
from safetensors.torch import load_file

from xraydenoise import contracts, models, params
from xraydenoise.stages import classifier, train
from xraydenoise.stages.tracks import Track as TrackOnDisk
from xraydenoise.training.classifier import ClassifierConfig
from xraydenoise.training.objectives import ObjectiveConfig

SAMPLE = Path(__file__).parents[2] / "profiles/sample.yaml"
SHORT = {"batch": 4, "patch": 16, "warmup": 4, "validate_every": 10, "checkpoint_every": 0.001}


@pytest.fixture
def short(tracks: Path) -> Callable[..., params.Params]:
    """The profile `sample` with small models that train for 20 steps on the CPU; keywords replace entries of `train`."""
    sample = params.load(SAMPLE)

    def short(**entries: object) -> params.Params:
        machine = sample.machine.model_copy(update={"device": "cpu", "threads": 1})
        network = sample.models["dncnn"].network.model_copy(update={"channels": 8, "depth": 3})
        models = {name: model.model_copy(update={"steps": 20, "network": network}) for name, model in sample.models.items()}
        settings = sample.train.model_copy(update=SHORT | entries)
        return sample.model_copy(update={"machine": machine, "models": models, "train": settings})

    return short


def outputs(name: str, root: Path = Path()) -> list[bytes]:
    files = [f"train/{name}/weights.safetensors", f"train/{name}/config.json", f"curves/{name}.csv"]
    return [(root / "artifacts" / file).read_bytes() for file in files]


@pytest.mark.parametrize("name", ["dncnn", "dncnn_enhanced"])
def test_it_leaves_a_model_that_loads_its_curve_and_its_facts(name, short) -> None:
    train.run(short(), name)
    network = models.load(Path("artifacts/train", name), torch.device("cpu"))
    facts = json.loads(Path("artifacts/train", name, "config.json").read_text())
    curve = contracts.read(Path("artifacts/curves", f"{name}.csv"), contracts.History)
    assert facts["parameters"] == models.parameters(network)
    assert curve["step"].tolist() == [10, 20]
    assert facts["best_val_target_psnr"] == pytest.approx(curve["val_target_psnr"].max())
    assert facts["best_step"] == int(curve["step"][curve["val_target_psnr"].idxmax()])
    assert {key: facts[key] for key in ("name", "steps_run", "stopped", "reproducible")} == {
        "name": name,
        "steps_run": 20,
        "stopped": "budget",
        "reproducible": True,
    }
    assert facts["objective"] == {"kind": "mse"}
    assert list(facts) == sorted(facts)


def begun(chosen: params.Params, untrained_of_stages, steps: int) -> params.Params:
    """The same, with a model that begins from weights which stage start has fetched."""
    entry = chosen.models["dncnn"].model_copy(update={"start": "starts/mine", "steps": steps})
    untrained_of_stages(Path("artifacts/start/dncnn"), entry.network, seed=1)
    return chosen.model_copy(update={"models": {"dncnn": entry}})


def test_a_model_that_begins_from_weights_and_has_no_steps_is_these_weights_with_their_val_psnr(short, untrained_of_stages) -> None:
    train.run(begun(short(), untrained_of_stages, steps=0), "dncnn")
    ours, theirs = (load_file(f"artifacts/{folder}/dncnn/weights.safetensors") for folder in ("train", "start"))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    curve = contracts.read(Path("artifacts/curves/dncnn.csv"), contracts.History)
    assert curve["step"].tolist() == [0]
    facts = json.loads(Path("artifacts/train/dncnn/config.json").read_text())
    assert (facts["start"], facts["steps_run"], facts["best_step"]) == ("starts/mine", 0, 0)
    assert facts["best_val_target_psnr"] == pytest.approx(curve["val_target_psnr"][0])


def test_a_model_that_goes_on_from_weights_is_never_worse_on_val_than_they_are(short, untrained_of_stages) -> None:
    train.run(begun(short(), untrained_of_stages, steps=20), "dncnn")
    curve = contracts.read(Path("artifacts/curves/dncnn.csv"), contracts.History)
    assert curve["step"].tolist() == [0, 10, 20]
    facts = json.loads(Path("artifacts/train/dncnn/config.json").read_text())
    assert facts["best_val_target_psnr"] == pytest.approx(curve["val_target_psnr"].max())


def test_other_weights_to_begin_from_are_another_recipe(short, untrained_of_stages) -> None:
    chosen = begun(short(), untrained_of_stages, steps=20)
    train.run(chosen, "dncnn")
    first = outputs("dncnn")
    untrained_of_stages(Path("artifacts/start/dncnn"), chosen.models["dncnn"].network, seed=2)
    train.run(chosen, "dncnn")
    assert outputs("dncnn")[0] != first[0]


def test_a_start_that_was_not_fetched_is_named_with_the_way_out(short) -> None:
    entry = short().models["dncnn"].model_copy(update={"start": "best"})
    with pytest.raises(FileNotFoundError, match=r"artifacts/start/dncnn/weights\.safetensors: not there, .*`dvc repro start` fetches it"):
        train.run(short().model_copy(update={"models": {"dncnn": entry}}), "dncnn")


def test_a_second_run_writes_the_same_bytes_and_leaves_no_work(short) -> None:
    train.run(short(), "dncnn")
    first = outputs("dncnn")
    train.run(short(), "dncnn")
    assert outputs("dncnn") == first
    assert not Path("work/train/dncnn").exists()


def test_timings_go_to_the_log_and_nowhere_else(short) -> None:
    train.run(short(), "dncnn")
    log = json.loads(Path("logs/train-dncnn.json").read_text())
    assert log.keys() == {"seconds", "steps", "steps_per_second", "device", "resumed", "system"}
    assert 0 < log["system"]["system_memory_usage_megabytes"] < 1e5
    assert log["system"]["cpu_utilization_percentage"] > 0
    assert log["steps"] == 20
    assert not log["resumed"]


def test_a_run_that_the_clock_ends_is_marked_as_not_reproducible(short) -> None:
    train.run(short(max_minutes=1e-9), "dncnn")
    facts = json.loads(Path("artifacts/train/dncnn/config.json").read_text())
    assert facts["stopped"] == "max_minutes"
    assert not facts["reproducible"]


def test_val_takes_every_patient_once_before_one_a_second_time(tracks) -> None:
    _, val = train.pictures(Path("artifacts/tracks/noise"), torch.device("cpu"), [])
    patients = contracts.read(Path("artifacts/tracks/noise/manifest.parquet"), contracts.Track).set_index("image")["patient"]
    assert len(set(patients[list(val.images)][:2])) == 2
    assert len(val.images) == 4


def test_pictures_smaller_than_a_crop_are_learnt_from(short) -> None:
    train.run(short(patch=64), "dncnn")
    assert Path("artifacts/train/dncnn/weights.safetensors").exists()


def digest(whole: params.Params) -> str:
    model = whole.models["dncnn"]
    return train.recipe(whole, model, whole.mixtures[model.mixture], torch.device("cpu"), Path("artifacts/tracks", model.track))


def with_objective(whole: params.Params, **entry: object) -> params.Params:
    """The same with another objective of the model `dncnn`."""
    objective = TypeAdapter(ObjectiveConfig).validate_python(entry)
    model = whole.models["dncnn"].model_copy(update={"objective": objective})
    return whole.model_copy(update={"models": whole.models | {"dncnn": model}})


@pytest.mark.parametrize("change", ["seed", "mixture", "augment", "objective", "pixels"])
def test_a_checkpoint_of_another_recipe_is_not_taken(change, short) -> None:
    whole = short()
    before = digest(whole)
    assert digest(whole) == before
    if change == "seed":
        whole = whole.model_copy(update={"seed": 8})
    elif change == "mixture":
        whole = whole.model_copy(update={"mixtures": whole.mixtures | {"blind": whole.mixtures["low_dose"]}})
    elif change == "augment":
        whole = short(augment=None)
    elif change == "objective":
        whole = with_objective(whole, kind="l1")
    else:
        with Path("artifacts/tracks/noise/targets.npy").open("r+b") as file:
            file.seek(-1, 2)
            file.write(b"\x07")
    assert digest(whole) != before


def test_another_classifier_is_another_recipe_for_the_objectives_that_ask_it_alone(short) -> None:
    alone, judged = short(), with_objective(short(), kind="joint", pretrain=0.5, task=0.1)
    train.CLASSIFIER.mkdir(parents=True)
    before, facts = [], train.CLASSIFIER / "config.json"
    for content in ("one", "other"):
        facts.write_text(content)
        before.append((digest(alone), digest(judged)))
    assert before[0][0] == before[1][0]
    assert before[0][1] != before[1][1]


def test_with_a_classifier_the_model_says_which_classes_it_was_asked_for(short) -> None:
    joint = with_objective(short(), kind="joint", pretrain=0.5, task=0.1)
    joint = joint.model_copy(update={"classifier": ClassifierConfig(channels=2, steps=2, learning_rate=0.01)})
    classifier.run(joint)
    train.run(joint, "dncnn")
    judged = outputs("dncnn")
    assert json.loads(judged[1])["classes"] == ["clear", "opacity"]
    train.run(with_objective(short(), kind="mse"), "dncnn")
    assert outputs("dncnn")[0] != judged[0]


def test_where_the_dataset_has_no_labels_the_denoiser_is_trained_alone_and_this_is_said(short, capsys) -> None:
    train.CLASSIFIER.mkdir(parents=True)
    (train.CLASSIFIER / "config.json").write_text(json.dumps({"classes": [], "channels": 2}))
    train.run(with_objective(short(augment=None), kind="joint", pretrain=0.0, task=0.1), "dncnn")
    assert "train dncnn: the dataset has no labels to classify, so the denoiser is trained alone" in capsys.readouterr().out
    alone = outputs("dncnn")
    assert json.loads(alone[1])["classes"] == []
    train.run(short(augment=None), "dncnn")
    assert outputs("dncnn")[0] == alone[0]


def test_without_a_clean_picture_the_last_weights_are_kept_and_patience_does_not_end_it(short, monkeypatch) -> None:
    falling = count(30, -1)
    monkeypatch.setattr(train.loop, "psnr", lambda *_: float(next(falling)))
    blind = with_objective(short(patience=1, validate_every=2), kind="neighbor2neighbor", weight=2.0)
    train.run(blind, "dncnn")
    facts = json.loads(Path("artifacts/train/dncnn/config.json").read_text())
    assert (facts["best_step"], facts["steps_run"], facts["stopped"]) == (20, 20, "budget")
    assert "classes" not in facts


def test_a_run_killed_half_way_ends_with_the_very_bytes_of_an_uninterrupted_one(
    tracks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = yaml.safe_load(SAMPLE.read_text())
    content["machine"] = {"device": "cpu", "threads": 1}
    content["train"] |= SHORT | {"checkpoint_every": 0.2}
    model = content["models"]["dncnn"]
    content["protocols"] = {"c_dncnn": content["protocols"]["c_dncnn"]}  # the patches of others are larger than these crops
    content["models"] = {"dncnn": model | {"steps": 300, "network": model["network"] | {"channels": 8, "depth": 3}}}
    (tracks / "params.yaml").write_text(yaml.safe_dump(content))
    shutil.copytree(tracks, tmp_path / "uninterrupted")
    command = [sys.executable, "-m", "xraydenoise", "train", "dncnn"]

    with subprocess.Popen(command, cwd=tracks, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as killed:
        while not (tracks / "work/train/dncnn/checkpoint.safetensors").exists():
            assert killed.poll() is None
            time.sleep(0.005)
        killed.send_signal(signal.SIGKILL)
    assert killed.returncode == -signal.SIGKILL
    assert not (tracks / "artifacts/train/dncnn/weights.safetensors").exists()

    subprocess.run(command, cwd=tracks, check=True, capture_output=True)
    assert json.loads((tracks / "logs/train-dncnn.json").read_text())["resumed"]
    monkeypatch.chdir(tmp_path / "uninterrupted")
    train.run(params.load(), "dncnn")
    assert outputs("dncnn", tracks) == outputs("dncnn")


def test_a_damaged_checkpoint_and_history_cost_the_work_and_change_no_byte(short, damage, monkeypatch, capsys) -> None:
    train.run(short(), "dncnn")
    whole = outputs("dncnn")
    with monkeypatch.context() as patch:
        patch.setattr(train.shutil, "rmtree", lambda *_, **__: None)  # the run dies before it clears its work
        train.run(short(), "dncnn")
    for name in ("checkpoint.safetensors", "history.csv"):
        damage(Path("work/train/dncnn", name))
    capsys.readouterr()
    train.run(short(), "dncnn")
    said = capsys.readouterr().out
    assert "work/train/dncnn/checkpoint.safetensors: is not as it was written" in said
    assert "is of other params" not in said
    assert outputs("dncnn") == whole


def test_the_input_of_each_enhanced_picture_is_its_own_through_its_own_curve(tracks: Path) -> None:
    folder = Path("artifacts/tracks/enhanced")
    regions = contracts.read(folder / "regions.parquet", contracts.Regions)
    levels = np.linspace(0.2, 0.8, len(regions))  # another curve for each, and two presets in turn
    changed = regions.assign(level=levels, preset=[0, 7] * (len(regions) // 2)).sample(frac=1, random_state=0)
    contracts.write(changed, folder / "regions.parquet", contracts.Regions)
    on_disk = TrackOnDisk(folder)
    rows = on_disk.rows.set_index("image", drop=False).to_dict("index")
    for pictures in train.pictures(folder, torch.device("cpu"), []):
        for number, image in enumerate(pictures.images):
            for noise in (lambda clean: clean, lambda clean: clean**2):
                index = pictures.whole(number)
                found = pictures.noisy(torch.tensor([number]), index, pictures.target(index), noise)[0, 0].numpy()
                np.testing.assert_allclose(found, on_disk.noisy(rows[image], noise), atol=1e-5)


def test_a_vetoed_label_teaches_nobody_and_chooses_nobody(tracks: Path) -> None:
    folder = Path("artifacts/tracks/enhanced")
    manifest = contracts.read(folder / "manifest.parquet", contracts.Track)
    vetoed = ["noise0001-0", "noise0007-0"]  # one of train, one of val
    contracts.write(manifest.assign(teaches=~manifest["image"].isin(vetoed)), folder / "manifest.parquet", contracts.Track)
    learnt, val = train.pictures(folder, torch.device("cpu"), [])
    assert sorted(learnt.images) == ["noise0000-0", "noise0002-0", "noise0003-0", "noise0004-0", "noise0005-0"]
    assert sorted(val.images) == ["noise0006-0", "noise0008-0", "noise0009-0"]
