"""What MLflow is told while trainings run, and which entry of params.yaml makes a run another one."""

import shutil
from pathlib import Path

import pytest

from xraydenoise import params
from xraydenoise.params import Params
from xraydenoise.stages import sync

MODEL = "dncnn"  # of track noise


def test_sync_is_quiet_unless_it_logs_something(ready, capfd):
    chosen = ready
    sync.run(chosen)
    assert capfd.readouterr() == ("", "")
    shutil.rmtree(Path("artifacts/train", MODEL))  # as DVC does before it trains
    Path("work/train", MODEL).mkdir(parents=True)
    Path("work/train", MODEL, "history.csv").write_text("step,loss,learning_rate,val_target_psnr\n100,0.01,0.001,25.0\n")
    sync.run(chosen)
    assert capfd.readouterr() == (f"MLflow: {MODEL}: 1 points of its curve\n", "")
    sync.run(chosen)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "content", [b"", b"\x00" * 90 + b"\n", b"\xff\xfe\n\n", b"step,loss\nten,0.5\n", b"loss,rate\n1,2\n", b"step,loss\n1\n"]
)
def test_a_history_that_a_kill_left_damaged_keeps_no_other_training_from_being_mirrored(content, ready, capfd):
    shutil.rmtree(Path("artifacts/train", MODEL))
    Path("work/train", MODEL).mkdir(parents=True)
    Path("work/train", MODEL, "history.csv").write_bytes(content)
    sync.run(ready)
    assert "point" not in capfd.readouterr().out


@pytest.fixture
def sample(compared: Path) -> Params:
    """The whole profile, in the compared project."""
    return params.load(Path(__file__).parents[2] / "profiles/sample.yaml")


def test_a_changed_entry_changes_the_recipe_of_its_model_alone(sample):
    plain = sample.model_dump(mode="json", serialize_as_any=True)
    plain["models"]["dncnn"]["steps"] += 1
    before = {method.title: method.recipe() for method in sync.methods(sample)}
    after = {method.title: method.recipe() for method in sync.methods(params.Params.model_validate(plain))}
    assert {title for title in before if before[title] != after[title]} == {"dncnn"}


def test_every_number_of_a_network_and_of_its_noise_stands_in_its_params(sample):
    (dncnn,) = [method for method in sync.methods(sample) if method.title == "dncnn"]
    assert dncnn.params["model"]["network"]["channels"] == sample.models["dncnn"].network.channels
    assert [part["noise"]["kind"] for part in dncnn.params["mixture"]] == ["gaussian", "quantum", "additive_poisson"]
