import json
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import dvc.repo
import psutil
import pytest

from pipeline import crash, graph, verify


@pytest.fixture
def held(tmp_path, monkeypatch):
    """Write DVC's file of held outputs, as if these processes held one each."""
    monkeypatch.chdir(tmp_path)

    def write(*pids: int) -> Path:
        holders = [{"pid": pid, "cmd": "dvc repro"} for pid in pids]
        crash.HELD.parent.mkdir(parents=True)
        crash.HELD.write_text(json.dumps({"read": {"data": holders[:1]}, "write": {"artifacts": holders[-1]}}))
        return crash.HELD

    return write


@pytest.fixture
def zombie():
    process = subprocess.Popen(["true"])
    while psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    yield process.pid
    process.wait()


def test_outputs_that_a_zombie_holds_are_freed(held, zombie):
    assert psutil.pid_exists(zombie)
    file = held(zombie)
    crash.release_outputs()
    assert not file.exists()


def test_outputs_that_a_living_process_holds_stay_held(held, zombie):
    file = held(zombie, os.getpid())
    crash.release_outputs()
    assert file.exists()


@pytest.mark.parametrize("left", ["", '{"read": {"data": [{"pid": 1'])
def test_a_file_that_was_cut_off_while_it_was_written_holds_nothing(held, left):
    file = held(os.getpid())
    file.write_text(left)
    crash.release_outputs()
    assert not file.exists()


def test_a_project_in_which_nothing_ran_has_nothing_to_free(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    crash.release_outputs()


@pytest.mark.parametrize("damage", [lambda _: b"not a database", lambda whole: whole[:5000], lambda whole: whole[:4096] + b"\7" * 8192])
def test_damaged_tables_of_hashes_are_removed_and_filled_again(toy, tmp_path, monkeypatch, damage):
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))  # where DVC has its table
    with dvc.repo.Repo() as repo:
        repo.reproduce()
        tables = Path(repo.site_cache_dir) / "hashes/local/cache.db", verify.TABLE / "hashes/local/cache.db"
    assert verify.project() == []
    assert crash.renew_tables() == []
    for table in tables:
        table.write_bytes(damage(table.read_bytes()))
        for rest in table.parent.glob("cache.db-*"):
            rest.unlink()
    with pytest.raises(sqlite3.DatabaseError):
        verify.project()
    assert [line.split(":")[0] for line in crash.renew_tables()] == [str(table) for table in tables]
    assert verify.project() == []
    assert graph.plan().stages == ()
    assert crash.renew_tables() == []


def test_verify_goes_on_where_dvcs_table_of_hashes_is_damaged(toy, tmp_path, monkeypatch):
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    with dvc.repo.Repo() as repo:
        repo.reproduce()
        table = Path(repo.site_cache_dir) / "hashes/local/cache.db"
    table.write_bytes(b"not a database")
    for rest in table.parent.glob("cache.db-*"):
        rest.unlink()
    ended = subprocess.run([sys.executable, "-m", "pipeline", "--verify"], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.splitlines() == [
        f"{table}: damaged table of hashes, removed; files are hashed again",
        "All is as DVC recorded it.",
    ]
