"""A toy DVC project of shell commands: the flow's own behaviour, without a minute of training."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import server

os.environ |= server.SETTINGS  # as the flow sets them before it imports Prefect
from prefect.testing.utilities import prefect_test_harness

DVC_YAML = """\
stages:
  download:
    foreach: [first, second]
    do:
      cmd: mkdir -p downloads/${item} && echo ${item} > downloads/${item}/file
      outs:
        - downloads/${item}
  ingest:
    cmd: cat data/*/file > ingested
    deps:
      - data
    outs:
      - ingested
  train:
    foreach: [slow, fast]
    do:
      cmd: 'test ${item} = fast || sleep 1; cp ingested trained_${item}'
      deps:
        - ingested
      outs:
        - trained_${item}
"""
DATA_DVC = "frozen: false\ndeps:\n- path: downloads\nouts:\n- path: data\n"
IGNORED = "/downloads\n/data\n/ingested\n/trained_*\n/.prefect\n"


def dvc(project: Path, *arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "dvc", *arguments], cwd=project, check=True, capture_output=True)


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh project, and the current folder."""
    project = tmp_path / "project"
    project.mkdir()
    for name, text in {"dvc.yaml": DVC_YAML, "data.dvc": DATA_DVC, ".gitignore": IGNORED}.items():
        (project / name).write_text(text)
    subprocess.run(["git", "init", "--quiet"], cwd=project, check=True)
    dvc(project, "init", "--quiet")
    monkeypatch.chdir(project)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))  # for `python -m pipeline.stage`, which a person calls at the root
    return project


@pytest.fixture(scope="session")
def prefect_server():
    """Prefect's own server on loopback with a database of its own, once for all tests."""
    with prefect_test_harness(server_startup_timeout=90):
        yield
