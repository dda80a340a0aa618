"""Whether the chosen store has what stage register recorded."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from xraydenoise.registry import RegisterConfig, presence, store

REGISTRY = RegisterConfig(name="xraydenoise", experiment="x")
ALONE = """
import sys
from xraydenoise.registry import RegisterConfig, presence
assert presence.missing(RegisterConfig(name="xraydenoise", experiment="x"), "noise", sys.argv[1]) is None
assert not {"mlflow", "sqlalchemy"} & sys.modules.keys()
"""


@pytest.fixture
def digest(project) -> str:
    """Of the model that is registered in mlruns/."""
    with store.opened("x") as opened:
        return project.register(opened)["digest"]


def test_a_registered_model_is_found_in_mlruns_without_mlflow(digest):
    subprocess.run([sys.executable, "-c", ALONE, digest], check=True)


def test_other_weights_or_another_name_are_missing(digest):
    assert presence.missing(REGISTRY, "noise", "0" * 64) == store.URI
    assert presence.missing(REGISTRY.model_copy(update={"name": "other"}), "noise", digest) == store.URI


@pytest.mark.parametrize("left", [None, b""])
def test_a_database_that_is_gone_or_empty_has_none(digest, left):
    store.DATABASE.unlink()
    if left is not None:
        store.DATABASE.write_bytes(left)
    assert presence.missing(REGISTRY, "noise", digest) == store.URI


def test_a_version_that_was_deleted_is_missing(digest):
    with store.opened("x") as opened:
        opened.client.delete_model_version("xraydenoise", "1")
    assert presence.missing(REGISTRY, "noise", digest) == store.URI


def test_a_store_that_was_chosen_since_is_asked_itself(project, digest, database, tmp_path, monkeypatch):
    other = Path(shutil.copyfile(database, tmp_path / "other.db"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{other}")
    assert presence.missing(REGISTRY, "noise", digest) == os.environ["MLFLOW_TRACKING_URI"]
    with store.opened("x") as opened:
        project.register(opened)
    assert presence.missing(REGISTRY, "noise", digest) is None


def test_a_server_that_is_down_is_told_at_once(digest, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with pytest.raises(RuntimeError, match="no answer"):
        presence.missing(REGISTRY, "noise", digest)


def test_the_champions_of_mlruns_are_told_by_their_addresses(digest, monkeypatch):
    assert presence.champions() == ["models:/xraydenoise@champion"]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert presence.champions() == []
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    store.DATABASE.unlink()
    assert presence.champions() == []
