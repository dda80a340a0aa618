"""A small tmpfs that is full in the middle of each stage, and of whole runs; after room is made the run goes on to the same bytes."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

PAGE = 4096  # bytes, the least that a tmpfs gives out
LINE = re.compile(r"error: \S.*: cannot be written: No space left on device, \d+\.\d MB are free on /\S+; make room there and run again")
LEFT = (0.0, 0.5)  # of what a stage writes, the share that there is room for


class Small:
    """A tmpfs whose size can be changed."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def copy(self, project):
        """The project on this file system."""
        shutil.copytree(project.root, self.place / "project", symlinks=True)
        return type(project)(self.place / "project")

    def used(self) -> int:
        found = os.statvfs(self.place)
        return (found.f_blocks - found.f_bfree) * found.f_frsize

    def resize(self, size: int) -> None:
        subprocess.run(["mount", "-o", f"remount,size={max(1, -(-size // 1024))}k", self.place], check=True)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Small]:
    place = tmp_path / "small"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1g", "tmpfs", place], capture_output=True, check=False).returncode:
        pytest.skip("no tmpfs can be mounted here; root can on Linux")
    yield Small(place)
    subprocess.run(["umount", "--lazy", place], check=True)


def weight(path: Path) -> int:
    """Bytes of a file or a folder on a tmpfs."""
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(-(-file.stat().st_size // PAGE) * PAGE for file in files)


def remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def test_a_disk_that_is_full_in_a_stage_is_one_line_and_the_stage_then_makes_the_same_bytes(reproduced, small: Small, tried) -> None:
    project = small.copy(reproduced)
    lock = project.read("dvc.lock")[0]
    for name, stage in yaml.safe_load(lock)["stages"].items():
        if "cmd" not in stage:  # data.dvc
            continue
        outs = [project.root / out["path"] for out in stage["outs"]]
        size = sum(map(weight, outs))
        for share in LEFT:
            for out in outs:
                remove(out)
            small.resize(small.used() + int(share * size))
            ended = subprocess.run(stage["cmd"].split(), cwd=project.root, env=project.env, capture_output=True, text=True, check=False)
            told = [line for line in ended.stderr.splitlines() if line.startswith("error: ") or "Traceback" in line]
            small.resize(1 << 30)
            print(name, share, ended.returncode, *told)
            if ended.returncode:  # else there was room enough
                tried("disk full in a stage", len(told) == 1 and LINE.fullmatch(told[0]) is not None)
        project.run("dvc", "repro", "--single-item", name)
        assert project.read("dvc.lock")[0] == lock


@pytest.mark.parametrize(
    ("command", "share"),  # of what the whole run writes; a flow does not start with less than pipeline.__main__.ROOM
    [(("dvc", "repro"), 0.2), (("dvc", "repro"), 0.5), (("python", "-m", "pipeline"), 0.6), (("python", "-m", "pipeline"), 0.8)],
    ids=lambda value: value if isinstance(value, float) else value[-1],
)
def test_a_run_that_fills_the_disk_goes_on_when_there_is_room_and_ends_with_the_same_bytes(
    command: tuple[str, ...], share: float, reproduced, fresh, small: Small, tried
) -> None:
    project = small.copy(fresh)
    before = small.used()
    whole = sum(weight(reproduced.root / part) for part in ("artifacts", "mlruns", ".dvc", "data", "downloads"))
    small.resize(before + int(share * whole))
    ended = subprocess.run(command, cwd=project.root, env=project.env, capture_output=True, text=True, check=False)
    said = ended.stdout + ended.stderr
    print(share, command[-1], "ended with", ended.returncode, *(line for line in said.splitlines() if "make room" in line), sep="\n")
    assert ended.returncode
    small.resize(1 << 30)
    again = subprocess.run(command, cwd=project.root, env=project.env, capture_output=True, text=True, check=False)
    print(again.stdout[-2000:], again.stderr[-2000:])
    same = project.read("dvc.lock") == reproduced.read("dvc.lock")
    tried("disk full in a whole run", "No space left on device" in said and again.returncode == 0 and same)
