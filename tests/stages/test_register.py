"""The stages register and sync on a small project with the params of the sample profile."""

import json
from pathlib import Path

import pandas as pd
import pytest
from safetensors.torch import save_file

from xraydenoise import contracts, params
from xraydenoise.stages import register, sync

SAMPLE = Path(__file__).parents[2] / "profiles/sample.yaml"


@pytest.fixture
def sample(tmp_path, monkeypatch) -> params.Params:
    """A project in which dncnn is trained and compared, and the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    checked = params.load(SAMPLE)
    for folder in ("tracks/noise", "tracks/enhanced", "train/dncnn", "curves", "evaluate/dncnn", "compare", "protocols"):
        Path("artifacts", folder).mkdir(parents=True)
    for track in contracts.TRACKS:
        contracts.write(contracts.empty(contracts.Track), Path("artifacts/tracks", track, "manifest.parquet"), contracts.Track)
    network = checked.models["dncnn"].network
    save_file(network.build().state_dict(), "artifacts/train/dncnn/weights.safetensors")
    Path("artifacts/train/dncnn/config.json").write_text(json.dumps({"network": network.model_dump()}))
    Path("artifacts/curves/dncnn.csv").write_text("step,loss,learning_rate,val_psnr\n100,0.01,0.001,25.0\n")
    contracts.write(contracts.empty(contracts.Scores), Path("artifacts/evaluate/dncnn/scores.parquet"), contracts.Scores)
    Path("artifacts/ingest").mkdir()
    register.PROOF.write_text(json.dumps({"splits": {"test": {"identity": "0123"}}}))
    compare(1.5)
    return checked


def compare(gain: float) -> None:
    """A ranking in which dncnn gains so many dB on val and test."""
    row = {"track": "noise", "condition": "all", "method": "dncnn", "images": 2, "patients": 1, "psnr": 28.0, "ssim": 0.8, "mse": 0.002}
    row |= {"gain_psnr": gain, "gain_psnr_low": gain - 1, "gain_psnr_high": gain + 1}
    row |= {"gain_ssim": 0.1, "gain_ssim_low": 0.0, "gain_ssim_high": 0.2}
    ranking = pd.DataFrame([{**row, "split": "val"}, {**row, "split": "test"}])
    contracts.write(ranking, Path("artifacts/compare/ranking.parquet"), contracts.Ranking)


def test_register_says_what_was_registered_and_how_to_load_it(sample, capfd):
    register.run(sample)
    printed, errors = capfd.readouterr()
    first, second = printed.splitlines()
    assert first.startswith(
        "registered dncnn, chosen on val, as models:/xraydenoise@champion: it beats the median filter on test: +1.50 dB"
    )
    assert "mlflow.pyfunc.load_model('models:/xraydenoise@champion')" in second
    assert "make ui" in second
    assert errors == ""


def test_registering_again_writes_the_same_record_and_registers_nothing(sample):
    register.run(sample)
    record = register.RECORD.read_bytes()
    assert json.loads(record)["test_set"] == "0123"
    register.run(sample)
    assert register.RECORD.read_bytes() == record
    assert len(list(Path("mlruns/artifacts/models").iterdir())) == 1


def test_the_record_of_another_clone_is_the_same(sample, tmp_path, monkeypatch):
    register.run(sample)
    record = register.RECORD.read_bytes()
    assert json.loads(record)["test_set"] == "0123"
    other = tmp_path.rename(tmp_path.with_name("other"))
    (other / "mlruns").rename(other / "mlruns of the first")
    monkeypatch.chdir(other)
    register.run(sample)
    assert register.RECORD.read_bytes() == record


def test_a_model_that_does_not_beat_the_median_filter_becomes_challenger_and_the_reason_is_printed(sample, capfd):
    compare(-0.5)
    register.run(sample)
    assert json.loads(register.RECORD.read_text())["alias"] == "challenger"
    assert "@challenger: it does not beat the median filter on test: -0.50 dB" in capfd.readouterr().out


def test_sync_is_quiet_unless_it_logs_something(sample, capfd):
    sync.run(sample)
    assert capfd.readouterr() == ("", "")
    Path("work/train/unet").mkdir(parents=True)
    Path("work/train/unet/history.csv").write_text("step,loss,learning_rate,val_psnr\n100,0.01,0.001,25.0\n")
    sync.run(sample)
    assert capfd.readouterr() == ("MLflow: unet: 1 points of its curve\n", "")
    sync.run(sample)
    assert capfd.readouterr() == ("", "")


def test_a_changed_entry_changes_the_recipe_of_its_model_alone(sample):
    plain = sample.model_dump(mode="json", serialize_as_any=True)
    plain["models"]["dncnn"]["steps"] += 1
    before = {method.title: method.recipe() for method in sync.methods(sample)}
    after = {method.title: method.recipe() for method in sync.methods(params.Params.model_validate(plain))}
    assert {title for title in before if before[title] != after[title]} == {"dncnn"}


def test_every_number_of_a_network_and_of_its_noise_stands_in_its_params(sample):
    (dncnn,) = [method for method in sync.methods(sample) if method.title == "dncnn"]
    assert dncnn.params["model"]["network"]["channels"] == sample.models["dncnn"].network.channels
    assert [noise["kind"] for noise in dncnn.params["mixture"]] == ["gaussian", "quantum", "additive_poisson"]
