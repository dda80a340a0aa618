import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from xraydenoise import resumable

KILLED = """
import os, sys
from pathlib import Path
from xraydenoise import disk, resumable
replace, left = Path.replace, [int(sys.argv[2])]
def killed(self, target):
    if not left[0]:
        os._exit(9)
    left[0] -= 1
    return replace(self, target)
Path.replace = killed
with resumable.whole(Path(sys.argv[1])) as unfinished:
    unfinished.write_bytes(b"new")
"""


def put(path: Path, content: bytes) -> None:
    with resumable.whole(path) as unfinished:
        unfinished.write_bytes(content)


def test_what_was_written_is_sound_and_what_is_not_there_is_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a"
    assert not resumable.sound(path)
    for content in (b"one", b"two", b""):
        put(path, content)
        assert resumable.sound(path)
        assert path.read_bytes() == content
    assert capsys.readouterr().out == ""


def test_what_is_damaged_is_deleted_in_a_line(damage: Callable[[Path], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a"
    put(path, b"half-done work" * 9)
    damage(path)
    assert not resumable.sound(path)
    assert capsys.readouterr().out == (f"{path}: is not as it was written and is deleted; what it held is made again\n")
    assert list(tmp_path.iterdir()) == []


def test_what_has_no_checksum_or_a_damaged_one_is_not_taken(damage: Callable[[Path], None], tmp_path: Path) -> None:
    path = tmp_path / "a"
    put(path, b"work")
    damage(tmp_path / "a.sha256")
    assert not resumable.sound(path) or b"\n" not in (tmp_path / "a.sha256").read_bytes()[:-1]
    path.write_bytes(b"work")
    assert not resumable.sound(path)


@pytest.mark.parametrize("moves", range(3))
def test_a_kill_at_any_move_leaves_the_old_file_or_the_new_one_sound(moves: int, tmp_path: Path) -> None:
    path = tmp_path / "a"
    put(path, b"old")
    subprocess.run([sys.executable, "-c", KILLED, str(path), str(moves)], check=False)
    assert path.read_bytes() == (b"old" if moves < 2 else b"new")
    assert resumable.sound(path)
