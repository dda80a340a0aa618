"""The registered model: earns its alias, is registered once, loads in a fresh process and denoises."""

import ast
import json
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from xraydenoise import load_denoiser
from xraydenoise.registry import champion, package, runs, store
from xraydenoise.registry.rollback import rollback
from xraydenoise.registry.versions import DESCRIPTION

NAME = "xraydenoise"
LOAD = """
import importlib.util, sys
from pathlib import Path
import mlflow, numpy as np
sys.path[:] = [place for place in sys.path if not Path(place, "xraydenoise").exists()]
sys.meta_path[:] = [finder for finder in sys.meta_path if "editable" not in str(finder)]
assert importlib.util.find_spec("xraydenoise") is None  # this package is not installed here
mlflow.set_tracking_uri("sqlite:///mlruns/mlflow.db")
model = mlflow.pyfunc.load_model("models:/xraydenoise@champion")
float64 = np.random.default_rng(0).random((3, 37, 21))
deep = np.rint(float64 * 65535).astype(np.uint16)
for pixels in (float64, float64.astype(np.float32), float64[0], float64[:, None], deep, deep[0], (float64 * 255).astype(np.uint8)):
    denoised = model.predict(pixels)
    assert denoised.dtype == pixels.dtype and denoised.shape == pixels.shape, (denoised.dtype, denoised.shape, pixels.shape)
np.testing.assert_array_equal(model.predict(float64)[1], model.predict(float64[1]))
refused = {"are NaN": float64 * np.nan, "found int64": deep.astype(int), "found (1, 1, 3": deep[None, None]}
refused["channels last"] = deep[0, :, :, None]
for what, wrong in refused.items():
    try:
        model.predict(wrong)
    except ValueError as error:
        assert what in str(error), error
    else:
        raise AssertionError(what)
import xraydenoise.models
print(xraydenoise.models.__file__)
assert not list(Path(xraydenoise.__file__).parent.rglob("*.safetensors"))  # only its own weights travel
"""


def aliases(opened: store.Store) -> dict[str, str]:
    return {alias: str(version) for alias, version in opened.client.get_registered_model(NAME).aliases.items()}


def versions(opened: store.Store) -> list[str]:
    return [str(version.version) for version in opened.client.search_model_versions(f"name = '{NAME}'")]


def test_the_champion_loads_where_this_package_is_not_installed_also_after_the_project_was_moved(project, monkeypatch):
    with store.opened("x") as opened:
        project.register(opened)
    moved = project.root.rename(project.root.with_name("moved"))
    monkeypatch.chdir(moved)
    with store.opened("x"):
        pass
    loaded = subprocess.run([sys.executable, "-c", LOAD], capture_output=True, text=True, check=False)
    assert (loaded.returncode, loaded.stderr) == (0, "")
    *_, home = loaded.stdout.splitlines()
    assert Path(home).is_relative_to(moved / "mlruns")


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
def test_the_champion_gives_the_very_bytes_that_the_python_api_gives_for_its_folder(project, kind):
    drawn = np.random.default_rng(0).random((2, 1, 19, 24))
    pixels = drawn.astype(kind) if kind is np.float32 else (drawn * np.iinfo(kind).max).astype(kind)
    expected = load_denoiser(project.methods[0].folder)(pixels)
    with store.opened("x") as opened:
        project.register(opened)
        import mlflow  # here: the store is to import it first, which silences it

        denoised = mlflow.pyfunc.load_model(f"models:/{NAME}@champion").predict(pixels)
    assert denoised.dtype == kind
    assert denoised.tobytes() == expected.tobytes() != pixels.tobytes()


def test_no_pickle_lies_in_the_model(project):
    with store.opened("x") as opened:
        project.register(opened)
    files = [path for path in Path("mlruns/artifacts/models").rglob("*") if path.is_file()]
    assert {"pyfunc.py", "weights.safetensors", "config.json", "MLmodel"} <= {path.name for path in files}
    assert not [path for path in files if path.suffix in (".pkl", ".pickle", ".pth", ".pt", ".pyc")]
    assert all("+" not in line for path in files if path.name == "requirements.txt" for line in path.read_text().splitlines())


def test_registering_the_same_weights_again_makes_no_new_version(project, capfd):
    with store.opened("x") as opened:
        first, second = project.register(opened), project.register(opened, project.verdict("champion", promoted=False))
        assert first == second
        assert versions(opened) == ["1"]
        assert aliases(opened) == {"champion": "1"}
    assert capfd.readouterr() == ("", "")


def test_the_record_names_what_was_registered_and_nothing_that_differs_between_clones(project):
    with store.opened("x") as opened:
        record = project.register(opened)
    digest = runs.identity(project.methods[0].folder)
    assert record == {"name": NAME, "alias": "champion", "model": "dncnn", "track": "noise", "digest": digest, "test_set": "0123"}


def test_a_version_tells_its_origin_its_reasons_and_has_its_card(project):
    with store.opened("x") as opened:
        project.register(opened)
        project.register(opened, project.verdict("champion", False, "dncnn", "It is the champion already."))
        (version,) = opened.client.search_model_versions(f"name = '{NAME}'")
        assert version.tags[champion.DIGEST] == runs.identity(project.methods[0].folder)
        assert (version.tags["model"], version.tags["track"], version.tags["test_set"]) == ("dncnn", "noise", "0123")
        assert datetime.fromisoformat(version.tags["promoted_at"]).tzinfo == UTC
        assert version.tags["previous"] == ""
        assert version.description.startswith("dncnn is champion.\n\nFew patients.")
        assert "Not for diagnostic use" in version.description
        (card,) = Path("mlruns/artifacts/models").rglob("model_card.md")
        assert card.read_text() == "# Model card\n"


def test_a_challenger_leaves_an_older_champion_in_its_place(project):
    with store.opened("x") as opened:
        project.register(opened)
        project.train(seed=1)
        record = project.register(opened, project.verdict("challenger"))
        assert record["alias"] == "challenger"
        assert aliases(opened) == {"champion": "1", "challenger": "2"}


def test_a_promoted_challenger_replaces_the_champion_and_both_tell_of_it(project):
    with store.opened("x") as opened:
        project.register(opened)
        project.train(seed=1)
        project.register(opened, project.verdict("challenger"))
        project.register(opened)
        assert aliases(opened) == {"champion": "2"}
        old, new = (opened.client.get_model_version(NAME, number) for number in ("1", "2"))
        assert old.tags["replaced_by"] == "2"
        assert old.tags["replaced_at"] == new.tags["promoted_at"]
        assert new.tags["previous"] == "1"


def test_a_champion_that_stays_is_challenger_no_more(project):
    with store.opened("x") as opened:
        project.register(opened)
        opened.client.set_registered_model_alias(NAME, "challenger", "1")
        project.register(opened, project.verdict("champion", promoted=False))
        assert aliases(opened) == {"champion": "1"}


@pytest.mark.parametrize("alias", ["champion", "challenger"])
def test_a_candidate_that_was_not_weighed_against_todays_champion_gets_no_alias(project, alias):
    with store.opened("x") as opened:
        project.register(opened)
        first = champion.current(opened, NAME)
        project.train(seed=1)
        with pytest.raises(ValueError, match=r"no version was champion when the candidate was weighed, version 1 \(dncnn\) is today; `dvc"):
            project.register_against(None, opened, project.verdict(alias))
        assert aliases(opened) == {"champion": "1"}
        project.register_against(first, opened)
        project.train(seed=2)
        with pytest.raises(ValueError, match=r"version 1 \(dncnn\) was champion when .*, version 2 \(dncnn\) is today"):
            project.register_against(first, opened, project.verdict(alias))
        assert aliases(opened) == {"champion": "2"}


def test_a_champion_that_another_machine_makes_while_the_candidate_is_registered_stays(project, monkeypatch):
    with store.opened("x") as opened:
        project.register(opened)
        first = champion.current(opened, NAME)
        project.train(seed=1)
        project.register(opened, project.verdict("challenger"))
        upload = opened.client.log_model_artifact

        def and_meanwhile(*arguments):
            upload(*arguments)
            opened.client.set_registered_model_alias(NAME, "champion", "2")

        project.train(seed=2)
        monkeypatch.setattr(opened.client, "log_model_artifact", and_meanwhile)
        with pytest.raises(ValueError, match=r"version 2 \(dncnn\) is today"):
            project.register_against(first, opened)
        assert aliases(opened)["champion"] == "2"


@pytest.mark.parametrize("ask", [champion.current, lambda opened, name: rollback(opened, name, "bad")])
def test_a_champion_that_this_project_did_not_register_is_named_with_the_way_out(project, ask):
    with store.opened("x") as opened:
        project.register(opened)
        source = opened.client.get_model_version(NAME, "1").source
        foreign = opened.client.create_model_version(NAME, source)
        opened.client.set_registered_model_alias(NAME, "champion", str(foreign.version))
        with pytest.raises(
            ValueError, match=r"xraydenoise: version 2 is champion but lacks the tags model, .*; give the alias champion to"
        ):
            ask(opened, NAME)


def test_the_same_network_with_other_notes_of_its_training_is_the_same_champion(project):
    with store.opened("x") as opened:
        project.register(opened)
        path = Path("artifacts/train/dncnn/config.json")
        path.write_text(json.dumps(json.loads(path.read_text()) | {"steps": 40, "stopped": "steps"}))
        assert runs.identity(path.parent) == champion.current(opened, NAME).digest
        project.register(opened, project.verdict("champion", promoted=False))
        assert versions(opened) == ["1"]


def test_other_weights_and_another_network_are_another_model(project):
    folder = Path("artifacts/train/dncnn")
    found = {runs.identity(folder)}
    project.train(seed=1)
    found.add(runs.identity(folder))
    text = (folder / "config.json").read_text()
    (folder / "config.json").write_text(text.replace('"batch_norm": false', '"batch_norm": true'))
    found.add(runs.identity(folder))
    assert len(found) == 3


def test_a_verdict_on_another_model_is_refused(project):
    with store.opened("x") as opened, pytest.raises(ValueError, match="dncnn: the verdict is on unet"):
        project.register(opened, project.verdict(candidate="unet"))


def test_a_version_whose_files_were_deleted_is_registered_anew(project):
    with store.opened("x") as opened:
        project.register(opened)
        shutil.rmtree("mlruns/artifacts/models")
        project.register(opened, project.verdict("champion", promoted=False))
        assert aliases(opened) == {"champion": "2"}
        assert opened.client.get_model_version(NAME, "2").tags["previous"] == ""  # version 1 is no way back: it was the same


def test_weights_that_are_also_a_copied_version_or_one_made_by_hand_are_found_in_the_version_that_was_registered(project):
    with store.opened("x") as opened:
        project.register(opened, project.verdict("challenger"))
        opened.client.create_registered_model("candidates")
        opened.client.copy_model_version(f"models:/{NAME}/1", "candidates")
        opened.client.copy_model_version("models:/candidates/1", NAME)
        tags = opened.client.get_model_version(NAME, "1").tags
        opened.client.create_model_version(NAME, "file:///nowhere/model", tags=tags)
        project.register(opened)
        assert aliases(opened) == {"champion": "1"}
        assert set(versions(opened)) == {"1", "2", "3"}


def test_where_nothing_is_registered_there_is_no_champion(project):
    with store.opened("x") as opened:
        assert champion.current(opened, NAME) is None
        project.register(opened, project.verdict("challenger"))
        assert champion.current(opened, NAME) is None


def test_reasons_longer_than_a_database_takes_are_cut(project):
    with store.opened("x") as opened:
        project.register(opened, project.verdict("champion", True, "dncnn", "x" * 6000))
        assert len(opened.client.get_model_version(NAME, "1").description) == DESCRIPTION


def test_the_requirements_name_every_package_that_the_code_in_the_model_imports():
    root = Path(package.__file__).parents[1]
    parts = [root / part for part in package.CODE]
    files = [Path(package.__file__).with_name("pyfunc.py")]
    for part in parts:
        files += part.rglob("*.py") if part.is_dir() else [part]
    imported = set()
    for node in (node for file in files for node in ast.walk(ast.parse(file.read_text()))):
        if isinstance(node, ast.Import):
            imported |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            imported.add(str(node.module).partition(".")[0])
    known = {"opencv-python-headless": "cv2"}
    assert imported - set(sys.stdlib_module_names) - {"xraydenoise"} == {known.get(name, name) for name in package.PACKAGES}
    assert not [line for line in package.requirements() if "+" in line or "==" not in line]
