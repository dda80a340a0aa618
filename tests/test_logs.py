from collections.abc import Callable
from pathlib import Path

import pytest

from xraydenoise import logs


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_times_are_read_as_they_were_written_and_none_where_there_are_none() -> None:
    assert logs.read("train-a") == {}
    logs.write("train-a", {"seconds": 1.5})
    assert logs.read("train-a") == {"seconds": 1.5}


def test_times_that_are_damaged_are_left_out_in_a_line(damage: Callable[[Path], None], capsys: pytest.CaptureFixture[str]) -> None:
    logs.write("train-a", {"seconds": 1.5})
    damage(logs.FOLDER / "train-a.json")
    found = logs.read("train-a")
    assert found in ({}, {"seconds": 0.5})  # a flipped bit may leave another number, on which nothing depends
    if not found:
        assert capsys.readouterr().out.startswith("logs/train-a.json: is damaged (")
