"""A registered model by its address: fetched whole and once, or refused with what there is."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from xraydenoise import checksums, load_denoiser
from xraydenoise.__main__ import main
from xraydenoise.data import learnt
from xraydenoise.registry import fetch, runs, store

NAME = "xraydenoise"


@pytest.fixture
def registered(project):
    """A project with one version, the champion, that MLflow alone still has."""
    with store.opened("x") as opened:
        project.register(opened)
    (kept := Path("kept")).mkdir()
    return Path("artifacts/train/dncnn").rename(kept / "dncnn")


@pytest.mark.parametrize("uri", ["models:/xraydenoise@champion", "models:/xraydenoise/1"])
def test_an_alias_and_a_version_give_the_trained_folder_and_what_it_learnt_from(registered, uri):
    folder = fetch.fetch(uri)
    assert runs.identity(folder) == runs.identity(registered)
    assert json.loads((folder / "config.json").read_text())["steps"] == 30
    found = learnt.load(folder)
    assert found is not None
    assert found.images == ("a" * 16, "b" * 16)
    shutil.rmtree("mlruns/artifacts/models")
    assert fetch.fetch(uri) == folder  # fetched once


def test_a_registered_model_denoises_as_its_folder_does_and_is_called_by_its_address(registered):
    pixels = np.random.default_rng(0).integers(0, 4096, (20, 30)).astype(np.uint16)
    named = load_denoiser("models:/xraydenoise@champion", device="cpu")
    folder = load_denoiser(registered, device="cpu")
    assert named(pixels).tobytes() == folder(pixels).tobytes()
    assert (named.name, named.settings) == ("models:/xraydenoise@champion", folder.settings)


def test_the_command_takes_the_address_too(registered, capsys):
    np.save("picture.npy", np.random.default_rng(0).random((20, 30)))
    assert main(["denoise", "picture.npy", "--output", "out", "--model", "models:/xraydenoise@champion"]) == 0
    assert Path("out/picture.npy").exists()
    assert main(["denoise", "picture.npy", "--output", "out2", "--model", "models:/xraydenoise@challenger"]) == 1
    assert capsys.readouterr().err.splitlines()[-1] == (
        "error: models:/xraydenoise@challenger: xraydenoise in sqlite:///mlruns/mlflow.db has no alias challenger; found champion"
    )


@pytest.mark.parametrize("command", ["denoise", "export"])
def test_the_help_says_how_to_name_the_champion_where_there_is_one(project, capsys, command):
    def told() -> str:
        with pytest.raises(SystemExit) as ended:
            main([command, "--help"])
        assert ended.value.code == 0
        return " ".join(capsys.readouterr().out.split())

    assert "Champions of this project" not in told()
    with store.opened("x") as opened:
        project.register(opened)
    assert told().endswith("Champions of this project: models:/xraydenoise@champion")


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("models:/other@champion", r"sqlite:///mlruns/mlflow.db has no registered model other; found xraydenoise$"),
        ("models:/xraydenoise/7", r"has no version 7; found 1$"),
        ("models:/xraydenoise", "is no address of a registered model; expected models:/NAME@ALIAS or models:/NAME/VERSION"),
        ("models:/xraydenoise/latest", "is no address of a registered model"),
    ],
)
def test_what_is_not_registered_is_refused_with_what_is(registered, uri, said):
    with pytest.raises(ValueError, match=said):
        fetch.fetch(uri)


def test_where_there_is_no_store_nothing_is_made_and_the_way_out_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(FileNotFoundError, match=r"mlruns/mlflow.db: not there; go to .* or set MLFLOW_TRACKING_URI"):
        fetch.fetch("models:/xraydenoise@champion")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with pytest.raises(RuntimeError, match=r"MLflow at http://127.0.0.1:9: no answer"):
        fetch.fetch("models:/xraydenoise@champion")
    assert list(tmp_path.iterdir()) == []


def test_a_version_that_somebody_made_by_hand_is_refused(registered):
    with store.opened("x") as opened:
        source = opened.client.get_model_version(NAME, "1").source
        opened.client.create_model_version(NAME, source)
    with pytest.raises(ValueError, match=r"version 2 lacks the tags model, track, xraydenoise.digest, so this project did not register it"):
        fetch.fetch("models:/xraydenoise/2")


def test_files_that_are_gone_are_refused(registered):
    shutil.rmtree("mlruns/artifacts/models")
    with pytest.raises(RuntimeError, match=r"^models:/xraydenoise/1: its files are gone; give its alias to another version"):
        fetch.fetch("models:/xraydenoise@champion")
    assert not fetch.KEPT.exists()


def flipped(name: str) -> None:
    """Turn one bit in the middle of a file of the registered version."""
    (path,) = Path("mlruns/artifacts/models").rglob(name)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


PARTS = ["weights.safetensors", "config.json", "code/xraydenoise/models/dncnn.py", "code/xraydenoise/inference.py", "requirements.txt"]


@pytest.mark.parametrize("name", [*PARTS, "pyfunc.py", "MLmodel"])
def test_a_flipped_bit_in_any_file_of_a_version_is_refused_with_the_file_and_both_digests(registered, name):
    flipped(name)
    said = (
        rf"^models:/xraydenoise/1: its files are not those that were registered \([^\n]*{name}[^\n]*expected [^\n]*found [^\n]*\); give its"
    )
    with pytest.raises(RuntimeError, match=said):
        fetch.fetch("models:/xraydenoise@champion")
    assert not list(fetch.KEPT.iterdir())


@pytest.mark.parametrize("name", PARTS)
def test_mlflow_loads_no_model_of_which_a_bit_has_flipped_and_needs_no_registry_to_see_it(registered, name, tmp_path):
    import mlflow

    flipped(name)
    (path,) = Path("mlruns/artifacts/models").rglob("MLmodel")
    copy = shutil.copytree(path.parent, tmp_path / "copy")
    with pytest.raises(ValueError, match=rf"^the model is damaged: [^\n]*{name}: expected sha256 \w+ of SHA256SUMS, found sha256 [^\n]*$"):
        mlflow.pyfunc.load_model(str(copy))


def test_a_version_that_was_registered_before_there_were_checksums_is_fetched_if_its_network_is_whole(registered):
    (path,) = Path("mlruns/artifacts/models").rglob(checksums.FILE)
    path.unlink()
    assert runs.identity(fetch.fetch("models:/xraydenoise@champion")) == runs.identity(registered)
    shutil.rmtree(fetch.KEPT)
    flipped("weights.safetensors")
    with pytest.raises(RuntimeError, match=r"its files are not those that were registered \(weights.safetensors and"):
        fetch.fetch("models:/xraydenoise@champion")


def test_a_version_that_does_not_tell_what_it_learnt_from_is_fetched_without(registered):
    with store.opened("x") as opened:
        opened.client.delete_model_version_tag(NAME, "1", fetch.LEARNT)
    assert learnt.load(fetch.fetch("models:/xraydenoise/1")) is None


def test_a_list_of_pictures_that_somebody_changed_is_not_believed(registered):
    (path,) = Path("mlruns/artifacts/models").rglob(fetch.LEARNT)
    path.write_text("c\n")
    with pytest.raises(RuntimeError, match="its files are not those that were registered"):
        fetch.fetch("models:/xraydenoise/1")


@pytest.mark.parametrize(
    ("hidden", "said"),
    [
        ("mlflow", "the package mlflow is not installed; .*: pip install 'xraydenoise\\[pipeline\\]'"),
        ("requests", "the package requests is not installed; .*: pip install 'xraydenoise\\[pipeline\\]'"),
        ("fcntl", "the part of this package that reads it needs Linux or macOS; give the folder of the trained network instead"),
    ],
)
def test_where_the_pipeline_cannot_be_imported_the_way_out_is_one_line(registered, hidden, said):
    program = f"""
import sys
sys.modules[{hidden!r}] = None
from xraydenoise.__main__ import main
sys.exit(main(["denoise", "a.npy", "--output", "out", "--model", "models:/xraydenoise@champion"]))
"""
    np.save("a.npy", np.eye(8))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert re.fullmatch(f"error: model: 'models:/xraydenoise@champion' is MLflow's: {said}\n", done.stderr)
