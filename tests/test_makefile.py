"""The environment belongs to its folder: `make` sets up anew one that was copied or moved there."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PYTHON = """#!/bin/sh
echo "$0 $@" >> log
test "$2" != venv || { rm -rf .venv && mkdir -p .venv/bin && cp "$0" .venv/bin/python; }
"""


@pytest.fixture
def project(tmp_path):
    """The Makefile with a Python that only notes what it is asked for."""
    folder = tmp_path / "a project"
    folder.mkdir()
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, folder)
    (folder / "python").write_text(PYTHON)
    (folder / "python").chmod(0o755)
    return folder


def asked(folder: Path, *variables: str) -> list[str]:
    """What `make` asks of Python to set up the environment."""
    (folder / "log").unlink(missing_ok=True)
    subprocess.run(["make", "PYTHON=./python", ".venv/.ready", *variables], cwd=folder, check=True, capture_output=True)
    return [line.split(" ", 1)[1] for line in (folder / "log").read_text().splitlines()] if (folder / "log").exists() else []


def test_an_environment_is_set_up_once(project):
    venv, install = asked(project)
    assert venv == "-m venv .venv"
    assert install.startswith("-m pip install")
    assert asked(project) == []


@pytest.mark.parametrize("bring", [shutil.copytree, shutil.move])
def test_an_environment_of_another_folder_is_made_anew(project, bring):
    asked(project)
    other = Path(bring(project, project.with_name("another project")))
    assert [line.partition(" --quiet")[0] for line in asked(other)] == ["-m venv --clear .venv", "-m pip install"]
    assert asked(other) == []


def test_an_environment_that_a_person_began_is_completed(project):
    subprocess.run(["./python", "-m", "venv", ".venv"], cwd=project, check=True)
    (install,) = asked(project)
    assert install.startswith("-m pip install")


def test_an_environment_is_completed_when_the_packages_change(project):
    asked(project)
    os.utime(project / ".venv/.ready", (0, 0))
    (install,) = asked(project)
    assert install.startswith("-m pip install")
