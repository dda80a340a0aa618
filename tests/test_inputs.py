import os
import time
from pathlib import Path

import pytest

from xraydenoise import inputs

DVC_YAML = """\
stages:
  train:
    foreach: ${models}
    do:
      cmd: python -m xraydenoise train ${key}
      params:
        - seed
        - models.${key}
      deps:
        - src/models/${item.network.kind}.py
        - artifacts
      outs:
        - trained/${key}
  compare:
    cmd: python -m xraydenoise compare
    deps:
      - trained
    outs:
      - ranking
"""
PARAMS = "seed: 1\nmodels:\n  first: {network: {kind: unet}, steps: 3}\n  second: {network: {kind: dncnn}, steps: 3}\n"


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("src/models", "artifacts/ingest", "trained"):
        Path(folder).mkdir(parents=True)
    files = {"dvc.yaml": DVC_YAML, "params.yaml": PARAMS, "src/models/unet.py": "x = 1", "src/models/dncnn.py": "x = 1"}
    for name, text in {**files, "artifacts/ingest/pixels.npy": "12345", "artifacts/ingest/manifest.parquet": "1"}.items():
        Path(name).write_text(text)


def refusal(change, stage: str = "train", key: str = "first") -> str:
    def run() -> None:
        with inputs.unchanged(stage, key):
            time.sleep(0.01)  # file systems keep times in steps
            change()

    with pytest.raises(RuntimeError) as caught:
        run()
    return str(caught.value)


def test_what_a_run_of_a_stage_reads_is_listed_with_its_own_entry_put_in():
    assert inputs.listed("train", "second") == (["seed", "models.second"], [Path("src/models/dncnn.py"), Path("artifacts")])
    assert inputs.listed("compare", "") == ([], [Path("trained")])
    assert inputs.listed("check", "") == ([], [])


def test_an_entry_of_params_that_is_edited_while_the_stage_runs_is_named():
    said = refusal(lambda: Path("params.yaml").write_text(PARAMS.replace("kind: unet}, steps: 3", "kind: unet}, steps: 4")))
    assert said.startswith("train first: models.first in params.yaml changed while it ran")
    assert said.endswith("run again")


@pytest.mark.parametrize(
    ("path", "text"),
    [("src/models/unet.py", "x = 2"), ("artifacts/ingest/pixels.npy", "54321"), ("artifacts/ingest/new.npy", "1"), ("artifacts/new", "1")],
)
def test_a_file_that_changes_or_comes_while_the_stage_runs_is_named(path, text):
    assert refusal(lambda: Path(path).write_text(text)).startswith(f"train first: {path} changed while it ran")


def test_a_file_that_goes_while_the_stage_runs_is_named_with_how_many_more():
    def drop() -> None:
        for path in Path("artifacts/ingest").iterdir():
            path.unlink()

    assert "artifacts/ingest/manifest.parquet and 1 more changed" in refusal(drop)


def test_what_other_runs_read_may_change_meanwhile():
    with inputs.unchanged("train", "first"):
        Path("params.yaml").write_text("# a remark\n" + PARAMS.replace("dncnn}, steps: 3", "dncnn}, steps: 9"))
        Path("src/models/dncnn.py").write_text("x = 3")
        Path("trained/first").write_text("1")
        Path("src/models/__pycache__").mkdir()
        os.utime("src/models/unet.py", (1, 1))  # as git writes code anew that is the same


def test_a_fault_of_the_stage_itself_comes_first():
    def run() -> None:
        with inputs.unchanged("train", "first"):
            Path("artifacts/new").touch()
            raise ValueError("its own")

    with pytest.raises(ValueError, match="its own"):
        run()


def test_where_there_is_no_project_nothing_is_compared():
    Path("dvc.yaml").unlink()
    with inputs.unchanged("train", "first"):
        Path("params.yaml").unlink()
