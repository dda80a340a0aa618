import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from xraydenoise.__main__ import STAGES, main

ROOT = Path(__file__).parents[1]


@pytest.fixture
def project(tmp_path, monkeypatch):
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    (tmp_path / "inbox").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_help_lists_every_command():
    shown = subprocess.run([sys.executable, "-m", "xraydenoise", "--help"], capture_output=True, text=True, check=True).stdout
    for command in (*STAGES, "check", "denoise", "export", "models", "profile", "rollback", "ui", "verdict"):
        assert re.search(rf"\n    {command}\s+\w", shown), command  # argparse puts the longest one's text on a line of its own


def test_a_wrong_value_is_one_line_on_stderr_and_an_exit_code(project, capsys):
    text = (project / "params.yaml").read_text()
    (project / "params.yaml").write_text(text.replace("sigma: 0.2,", "sigma: -0.2,"))
    assert main(["check"]) == 1
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].startswith("error: params.yaml: conditions.noise.gaussian_20")


def test_a_name_that_params_does_not_have_is_refused_with_those_it_has(project, capsys):
    assert main(["train", "resnet"]) == 1
    assert "'resnet' is not in `models` of params.yaml; found best, fast" in capsys.readouterr().err


def test_the_pages_of_mlflow_before_a_run_say_what_to_type(project, capsys):
    assert main(["ui"]) == 1
    assert "`make run` writes it" in capsys.readouterr().err


def test_the_pages_of_mlflow_are_those_of_the_server_where_one_is_chosen(project, capsys, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://someone:secret@127.0.0.1:9")
    assert main(["ui"]) == 1
    assert capsys.readouterr().err.startswith("error: MLFLOW_TRACKING_URI names http://127.0.0.1:9: its own pages show the runs; unset it")


def test_a_rollback_of_a_model_that_is_none_of_this_project_is_refused_with_those_that_are(project, capsys):
    assert main(["rollback", "--model", "other", "--reason", "blurs"]) == 1
    assert "'other' is no registered model of this project; found xraydenoise, xraydenoise_enhanced" in capsys.readouterr().err


def test_the_networks_of_params_are_listed_with_parameters_cost_field_and_paper(project, capsys):
    content = yaml.safe_load((project / "params.yaml").read_text())
    for section, kept in (("models", ("dncnn", "dncnn_enhanced")), ("protocols", ("d_rdn",))):
        content[section] = {name: content[section][name] for name in kept}
    (project / "params.yaml").write_text(yaml.safe_dump(content))
    assert main(["models"]) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split()[:2] == ["kind", "parameters"]
    assert [row.split()[0] for row in rows] == ["dncnn", "rdn"]
    assert "128,500" in rows[0]
    assert rows[0].endswith("Zhang et al. 2017, IEEE TIP 26(7); dncnn, dncnn_enhanced")
