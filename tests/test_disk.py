"""Full disks are /dev/full, to which an unfinished name points, a limit on the size of files, or a small tmpfs where root can mount one."""

import errno
import os
import re
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from xraydenoise import contracts, disk
from xraydenoise.data import store
from xraydenoise.labelling import worst

LARGE = np.random.default_rng(0).random((256, 1024))  # 2 MiB that no codec makes small
WRITERS: dict[str, Callable[[Path], object]] = {
    "text": lambda path: disk.write(path, "x" * 2_000_000),
    "array": lambda path: disk.write(path, store.npy(LARGE)),
    "safetensors": lambda path: save_whole(path),
    "csv": lambda path: contracts.write(history(), path.with_suffix(".csv"), contracts.History),
    "parquet": lambda path: contracts.write(history(), path, contracts.History),
    "store": lambda path: fill(path),
    "npz": lambda path: worst.save(path, [worst.Pair("a", "b", LARGE, LARGE)]),
}


def save_whole(path: Path) -> None:
    with disk.whole(path) as unfinished:
        save_file({"a": torch.from_numpy(LARGE)}, unfinished)


def history() -> pd.DataFrame:
    rows = LARGE.ravel()[:60_000]
    return pd.DataFrame({"step": range(1, 60_001), "learning_rate": rows, "loss": rows, "val_target_psnr": rows})


def fill(path: Path) -> None:
    with store.Writer(path) as writer:
        for _ in range(8):
            writer.append(LARGE)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place], capture_output=True, check=False
    )
    if not mounted or mounted.returncode:
        pytest.skip("no tmpfs can be mounted here; root can on Linux")
    yield place
    subprocess.run(["umount", place], check=True)


@pytest.mark.parametrize("writer", WRITERS)
def test_whatever_library_writes_a_full_disk_is_one_line_and_nothing_stays(writer: str, small: Path) -> None:
    with pytest.raises(disk.DiskError) as error:
        WRITERS[writer](small / "a")
    said = str(error.value)
    assert said.startswith(f"{small / 'a'}")
    told = r": cannot be written: No space left on device, \d\.\d MB are free on .*/small; make room there and run again"
    assert re.fullmatch(told, said.partition(f"{small / 'a'}")[2].removeprefix(".csv"))
    assert list(small.iterdir()) == []


@pytest.mark.parametrize("writer", WRITERS)
def test_a_limit_on_the_size_of_files_is_told_as_one(writer: str, tmp_path: Path) -> None:
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, before[1]))
    try:
        with pytest.raises(
            disk.DiskError, match=r"a(\.csv)?: cannot be written: File too large, .*; raise the limit on the size of a file \(`ulimit"
        ):
            WRITERS[writer](tmp_path / "a")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert list(tmp_path.iterdir()) == []


def test_a_failure_leaves_the_old_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    disk.write(path, "old")
    (tmp_path / "a.json.partial").symlink_to("/dev/full")
    with pytest.raises(disk.DiskError, match=r"a\.json: cannot be written: No space left on device"):
        disk.write(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_other_errors_are_not_called_a_full_disk(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        disk.write(tmp_path / "nowhere" / "a", "x")
    for other in (ValueError("os error 2"), PermissionError(errno.EACCES, "no", "a"), sqlite3.OperationalError("no such table")):
        assert disk.explained(other) is None


def test_a_full_disk_is_found_behind_the_errors_that_it_caused(tmp_path: Path) -> None:
    def raised(first: Exception) -> Exception:
        try:
            try:
                raise first
            except Exception as error:
                raise RuntimeError("MLflow failed") from error
        except RuntimeError as error:
            return error

    full = disk.explained(raised(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "source", None, str(tmp_path / "target"))))
    assert full is not None
    assert str(full).startswith(f"{tmp_path / 'target'}: cannot be written: No space left on device, ")
    copied = disk.explained(raised(shutil.Error([("a", "b", "[Errno 28] No space left on device: 'a' -> 'b'")])))
    assert copied is not None
    assert str(copied).startswith(f"{Path.cwd()}: cannot be written: No space left on device")


def test_a_database_that_a_full_disk_stops_is_one_too(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(small)
    connection = sqlite3.connect("a.db")
    connection.execute("CREATE TABLE a (b)")
    with pytest.raises(sqlite3.OperationalError) as error:
        connection.execute("INSERT INTO a VALUES (?)", (LARGE.tobytes(),)).connection.commit()
    connection.close()
    assert str(disk.explained(error.value)).startswith(f"{small}: cannot be written: No space left on device")
    with pytest.raises(disk.DiskError, match=r"^a\.db: cannot be written: No space left on device"), disk.naming(Path("a.db")):
        raise RuntimeError("MLflow failed") from error.value
    monkeypatch.chdir("/")


def test_a_command_that_meets_a_full_disk_says_one_line(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    np.save(tmp_path / "a.npy", np.zeros((40, 40), np.uint8))
    (tmp_path / "out" / ".a.npy.partial").symlink_to("/dev/full")
    command = [sys.executable, "-m", "xraydenoise", "denoise", "a.npy", "--output", "out", "--model", "fast", "--device", "cpu"]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert said.returncode == 2
    told = [line for line in said.stderr.splitlines() if "cannot be written" in line]
    assert len(told) == 1
    assert "out/a.npy: cannot be written: No space left on device" in told[0]
    assert "Traceback" not in said.stderr


def test_a_folder_that_is_a_link_is_on_the_disk_that_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/proc")
    assert disk.mount(tmp_path / "link" / "not there") == Path("/proc")


def test_denoising_needs_no_database() -> None:
    code = (
        "import sys; sys.modules['_sqlite3'] = None; import xraydenoise.__main__, xraydenoise.files; xraydenoise.disk.explained(OSError())"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
