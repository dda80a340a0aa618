"""The registered model: earns its alias, is registered once, loads in a fresh process and denoises."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from xraydenoise import contracts, models
from xraydenoise.registry import champion, mirror, store

NAME = "xraydenoise"
LOAD = """
import mlflow, numpy as np
mlflow.set_tracking_uri("sqlite:///mlruns/mlflow.db")
model = mlflow.pyfunc.load_model("models:/xraydenoise@champion")
float64 = np.random.default_rng(0).random((3, 37, 21))
deep = np.rint(float64 * 65535).astype(np.uint16)
for pixels in (float64, float64.astype(np.float32), float64[0], float64[:, None], deep, deep[0], (float64 * 255).astype(np.uint8)):
    denoised = model.predict(pixels)
    assert denoised.dtype == np.float32 and denoised.shape == pixels.shape, (pixels.dtype, pixels.shape)
    assert 0 <= denoised.min() and denoised.max() <= 1
np.testing.assert_allclose(model.predict(deep), model.predict(float64), atol=1e-3)
np.testing.assert_array_equal(model.predict(float64)[1], model.predict(float64[1]))
refused = {"lie in": float64 + 1, "found nan": float64 * np.nan, "found int64": deep.astype(int), "found (1, 1, 3": deep[None, None]}
for what, wrong in refused.items():
    try:
        model.predict(wrong)
    except ValueError as error:
        assert what in str(error), error
    else:
        raise AssertionError(what)
import xraydenoise.models
print(xraydenoise.models.__file__)
"""


def register(opened: store.Store, project) -> dict:
    mirror.everything(opened, project.methods)
    ranking = contracts.read(Path("artifacts/compare/ranking.parquet"), contracts.Ranking)
    return champion.register(opened, NAME, project.methods[0], ranking)


def aliases(opened: store.Store) -> dict[str, str]:
    return {alias: str(version) for alias, version in opened.client.get_registered_model(NAME).aliases.items()}


def versions(opened: store.Store) -> list[str]:
    return [str(version.version) for version in opened.client.search_model_versions(f"name = '{NAME}'")]


def test_the_champion_loads_in_a_fresh_process_with_its_own_code_and_denoises(project):
    with store.opened("x") as opened:
        register(opened, project)
    loaded = subprocess.run([sys.executable, "-c", LOAD], capture_output=True, text=True, check=False)
    assert (loaded.returncode, loaded.stderr) == (0, "")
    *_, home = loaded.stdout.splitlines()
    assert Path(home).is_relative_to(project.root / "mlruns")


def test_the_champion_gives_what_the_trained_network_gives(project):
    pixels = torch.rand((2, 1, 19, 24), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = models.load(Path("artifacts/train/dncnn"), torch.device("cpu"))(pixels).clamp(0, 1).numpy()
    with store.opened("x") as opened:
        register(opened, project)
        import mlflow  # here: the store is to import it first, which silences it

        denoised = mlflow.pyfunc.load_model(f"models:/{NAME}@champion").predict(pixels.numpy())
    np.testing.assert_allclose(denoised, expected, atol=1e-5)
    assert not np.allclose(denoised, pixels.numpy(), atol=1e-2)


def test_the_champion_still_loads_after_the_project_was_moved(project, monkeypatch):
    with store.opened("x") as opened:
        register(opened, project)
    moved = project.root.rename(project.root.with_name("moved"))
    monkeypatch.chdir(moved)
    with store.opened("x"):
        pass
    loaded = subprocess.run([sys.executable, "-c", LOAD], capture_output=True, text=True, check=False)
    assert loaded.returncode == 0, loaded.stderr


def test_no_pickle_lies_in_the_model(project):
    with store.opened("x") as opened:
        register(opened, project)
    files = [path for path in Path("mlruns/artifacts/models").rglob("*") if path.is_file()]
    assert {"pyfunc.py", "weights.safetensors", "config.json", "MLmodel"} <= {path.name for path in files}
    assert not [path for path in files if path.suffix in (".pkl", ".pickle", ".pth", ".pt", ".pyc")]
    assert all("+" not in line for path in files if path.name == "requirements.txt" for line in path.read_text().splitlines())


def test_registering_the_same_weights_again_makes_no_new_version(project, capfd):
    with store.opened("x") as opened:
        first, second = register(opened, project), register(opened, project)
        assert first == second
        assert versions(opened) == ["1"]
        assert aliases(opened) == {"champion": "1"}
    assert capfd.readouterr() == ("", "")


def test_a_model_that_does_not_beat_the_median_filter_is_a_challenger_with_the_reason(project):
    project.compare({"dncnn": -0.3, "median": 0.0})
    with store.opened("x") as opened:
        record = register(opened, project)
        assert aliases(opened) == {"challenger": "1"}
    assert record["alias"] == "challenger"
    assert record["reason"] == "does not beat the median filter on test: -0.30 dB PSNR, interval -0.80 to +0.20"


def test_a_champion_whose_gain_is_gone_loses_its_alias(project):
    with store.opened("x") as opened:
        register(opened, project)
        project.compare({"dncnn": 0.0, "median": 0.0})
        register(opened, project)
        assert aliases(opened) == {"challenger": "1"}


def test_a_challenger_leaves_an_older_champion_in_its_place(project):
    with store.opened("x") as opened:
        register(opened, project)
        project.train(seed=1)
        project.compare({"dncnn": -1.0, "median": 0.0})
        register(opened, project)
        assert aliases(opened) == {"champion": "1", "challenger": "2"}


def test_a_version_whose_files_were_deleted_is_registered_anew(project):
    with store.opened("x") as opened:
        register(opened, project)
        shutil.rmtree("mlruns/artifacts/models")
        register(opened, project)
        assert aliases(opened) == {"champion": "2"}


def test_a_model_without_a_test_score_cannot_be_registered(project):
    path = Path("artifacts/compare/ranking.parquet")
    ranking = pd.read_parquet(path)
    ranking[ranking["split"] == "val"].to_parquet(path)
    with store.opened("x") as opened, pytest.raises(ValueError, match="dncnn: was not scored on test of track noise"):
        register(opened, project)


def test_the_requirements_name_every_package_that_the_code_in_the_model_imports():
    source = Path(champion.__file__).parent
    files = [source / "pyfunc.py", source.parent / "kinds.py", *(source.parent / "models").rglob("*.py")]
    imported = set()
    for node in (node for file in files for node in ast.walk(ast.parse(file.read_text()))):
        if isinstance(node, ast.Import):
            imported |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            imported.add(str(node.module).partition(".")[0])
    assert imported - set(sys.stdlib_module_names) - {"xraydenoise"} <= set(champion.PACKAGES)
    assert not [line for line in champion.requirements() if "+" in line]
