import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import dvc.repo
import pytest
from dvc.dependency import ParamsDependency
from dvc.stage import PipelineStage

from xraydenoise import inputs, params, profiles
from xraydenoise.__main__ import STAGES, main

ROOT = Path(__file__).parents[1]
SHIPPED = sorted(path.stem for path in (ROOT / "profiles").glob("*.yaml"))
# What the README and the help tell people to type: run here on every shipped profile, where nothing has run yet, ...
FAILING = {"ui": [], "verdict": [], "rollback": ["--reason", "a trial"]}  # each needs a run behind it, and says so
HERE = {"profile", "check", "models", *FAILING}
ELSEWHERE = set(STAGES) - {"check"} | {"denoise", "export"}  # ... or, as they compute, by tests of the stages and of e2e
DVC_ELSEWHERE = {"repro", "metrics", "plots", "push"}


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    shutil.copytree(ROOT / "profiles", tmp_path / "profiles")
    monkeypatch.chdir(tmp_path)


def test_the_profile_sample_is_what_a_fresh_clone_runs():
    assert (ROOT / "params.yaml").read_bytes() == (ROOT / "profiles" / "sample.yaml").read_bytes()


def test_a_switch_puts_the_profile_into_params_yaml_and_back():
    for name in ("full", "sample"):
        profiles.switch(name)
        assert Path("params.yaml").read_bytes() == Path(f"profiles/{name}.yaml").read_bytes()


def test_edits_of_yours_are_not_overwritten_unless_forced():
    profiles.switch("sample")
    edited = Path("params.yaml").read_text() + "# mine\n"
    Path("params.yaml").write_text(edited)
    with pytest.raises(ValueError, match="holds edits of yours"):
        profiles.switch("full")
    assert Path("params.yaml").read_text() == edited
    profiles.switch("full", force=True)
    assert Path("params.yaml").read_bytes() == Path("profiles/full.yaml").read_bytes()


def test_outputs_that_the_new_profile_does_not_name_are_dropped_and_named():
    profiles.switch("sample")
    model = next(iter(params.load().models))
    for folder in ("downloads/sample", "downloads/inbox", f"artifacts/train/{model}"):
        Path(folder).mkdir(parents=True)
    said = profiles.switch("full")
    assert "dropped downloads/sample" in said
    assert not Path("downloads/sample").exists()
    assert Path("downloads/inbox").exists()
    assert Path(f"artifacts/train/{model}").exists()


def test_a_name_that_is_no_profile_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match=r"'fulll' is no profile; profiles/ has full, .*sample"):
        profiles.switch("fulll")


def test_every_command_of_the_readme_and_the_help_is_run_here_or_known_to_be_run_elsewhere(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    known = HERE | ELSEWHERE
    assert set(re.findall(r"\n    (\w+)(?=\s{2,}|\n)", capsys.readouterr().out)) == known
    text = (ROOT / "README.md").read_text()
    assert set(re.findall(r"python -m xraydenoise (\w+)", text)) <= known
    assert set(re.findall(r"`dvc (\w+)", text)) <= DVC_ELSEWHERE


@pytest.mark.parametrize("name", SHIPPED)
def test_what_people_type_before_a_run_works_or_says_in_one_line_what_is_missing(name, capsys):
    Path("inbox").mkdir()
    assert main(["profile", name, "--force"]) == 0
    for command in ("check", "models"):
        assert main([command]) == 0, capsys.readouterr().err
    told = capsys.readouterr().out
    for network in {entry.network for section in ("models", "protocols") for entry in getattr(params.load(), section).values()}:
        assert network.paper in told
    for command, more in FAILING.items():
        assert main([command, *more]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert re.match(r"error: .*(not there yet; `make run` writes it|nothing to roll back)$", line)


def test_while_a_flow_runs_nothing_is_planned_and_no_profile_is_changed():
    profiles.switch("sample")
    with profiles.alone():
        with pytest.raises(BlockingIOError, match="another `python -m pipeline` runs in this project"):
            profiles.switch("full")
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "pipeline", "--plan"]
        planned = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert planned.returncode == 1
    assert planned.stderr == "error: another `python -m pipeline` runs in this project; wait for it, or end it\n"
    assert Path("params.yaml").read_bytes() == Path("profiles/sample.yaml").read_bytes()


@pytest.mark.parametrize("name", SHIPPED)
def test_dvc_the_flow_and_the_stages_see_the_same_graph_of_the_profile(name, tmp_path):
    for file in ("dvc.yaml", "data.dvc", ".dvcignore", ".gitignore"):
        shutil.copyfile(ROOT / file, file)
    for folder in ("src", "pipeline"):
        shutil.copytree(ROOT / folder, folder, ignore=shutil.ignore_patterns("__pycache__"))
    Path("inbox").mkdir()
    shutil.copyfile(f"profiles/{name}.yaml", "params.yaml")
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "src")}
    for command in (["git", "init", "-q"], [sys.executable, "-m", "dvc", "init", "-q"]):
        subprocess.run(command, check=True)
    planned = subprocess.run([sys.executable, "-m", "pipeline", "--plan"], env=environment, capture_output=True, text=True, check=False)
    assert planned.returncode == 0, planned.stderr
    count = re.match(r"(\d+) of \1 stages to run: ", planned.stdout)
    assert count, planned.stdout
    stages = planned.stdout[count.end() :].strip().split(", ")
    checked = params.load()
    for stage, section in {"download": checked.datasets, "train": checked.models, "reproduce": checked.protocols}.items():
        assert {f"{stage}@{entry}" for entry in section} <= set(stages)
    graph = subprocess.run(
        [sys.executable, "-m", "dvc", "dag", "--dot"], env=environment, capture_output=True, text=True, check=True
    ).stdout
    assert all(f'"{stage}"' in graph for stage in stages)
    with dvc.repo.Repo() as repo:
        for stage in repo.index.stages:
            if isinstance(stage, PipelineStage):
                names, paths = inputs.listed(*f"{stage.name}@".split("@")[:2])
                assert {os.path.relpath(dep.fs_path) for dep in stage.deps if not isinstance(dep, ParamsDependency)} == set(map(str, paths))
                assert {name for dep in stage.deps if isinstance(dep, ParamsDependency) for name in dep.params} == set(names)
