"""MLflow's database: created once however many ask at once, whole or not at all, and at home where the project is."""

import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from xraydenoise.registry import store

AT_ONCE = """
import os
from xraydenoise.registry import store
store.silence()
import mlflow.store.tracking.sqlalchemy_store  # beforehand, so that all arrive at the same time
children = []
for _ in range(16):
    if (child := os.fork()) == 0:
        with store.opened("xraydenoise") as opened:
            run = opened.client.create_run(opened.experiment)
            opened.client.set_terminated(run.info.run_id)
        os._exit(0)
    children.append(child)
print({os.waitpid(child, 0)[1] for child in children})
"""


def test_sixteen_processes_that_open_a_new_store_at_once_all_find_it_whole(fresh):
    ended = subprocess.run([sys.executable, "-c", AT_ONCE], capture_output=True, text=True, check=True)
    assert (ended.stdout, ended.stderr) == ("{0}\n", "")
    with store.opened("xraydenoise") as opened:
        assert len(opened.client.search_runs([opened.experiment])) == 16
    assert [experiment for (experiment,) in rows("SELECT name FROM experiments")] == ["Default", "xraydenoise"]
    assert rows("PRAGMA journal_mode") == [("wal",)]


def rows(query: str) -> list[tuple[str, ...]]:
    connection = sqlite3.connect(store.DATABASE)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def test_opening_a_store_writes_into_mlruns_alone_and_leaves_the_environment(fresh, capfd):
    before = sorted(fresh.root.iterdir())
    with store.opened("xraydenoise"):
        pass
    assert sorted(fresh.root.iterdir()) == [*before, fresh.root / "mlruns"]
    assert "MLFLOW_TRACKING_URI" not in os.environ
    assert capfd.readouterr() == ("", "")


def test_mlflow_does_not_phone_home(empty):
    from mlflow.telemetry.utils import is_telemetry_disabled

    with store.opened("xraydenoise"):
        assert is_telemetry_disabled()
        assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"


def test_a_database_that_a_killed_process_left_half_made_is_made_anew(fresh):
    store.FOLDER.mkdir()
    store.DATABASE.with_name("mlflow.db.partial").write_bytes(b"half a database")
    with store.opened("xraydenoise") as opened:
        assert opened.client.get_experiment(opened.experiment).name == "xraydenoise"


@pytest.mark.parametrize("name", ["plain", "a name with spaces #1, 20%20, é and ?"])
def test_artifacts_are_found_again_after_the_project_was_moved(fresh, database, name, monkeypatch):
    home = fresh.root / "first" / name
    (home / store.FOLDER).mkdir(parents=True)
    monkeypatch.chdir(home)
    shutil.copyfile(database, store.DATABASE)
    Path("report.md").write_text("found")
    with store.opened("xraydenoise") as opened:
        run = opened.client.create_run(opened.experiment).info.run_id
        opened.client.log_artifact(run, "report.md")
    moved = fresh.root / "second" / name
    shutil.move(home, moved)
    monkeypatch.chdir(moved)
    with store.opened("xraydenoise") as opened:
        found = opened.client.download_artifacts(run, "report.md")
        later = opened.client.create_run(opened.experiment).info.artifact_uri
    assert Path(found).read_text() == "found"
    assert "/second/" in later
    assert not Path(home).exists()


def test_an_experiment_that_was_deleted_in_the_pages_is_restored(empty):
    with store.opened("xraydenoise") as opened:
        opened.client.delete_experiment(opened.experiment)
    with store.opened("xraydenoise") as again:
        assert again.experiment == opened.experiment


@pytest.fixture
def silent():
    """The port of a server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize("scheme", ["http", "postgresql+psycopg2"])
def test_a_server_that_is_not_there_is_one_clear_line_at_once(fresh, scheme, monkeypatch):
    server = f"{scheme}://someone:secret@127.0.0.1:9/x"  # discard: nothing listens
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    begun = time.monotonic()
    with pytest.raises(RuntimeError, match="no answer") as raised, store.opened("xraydenoise"):
        pass
    assert time.monotonic() - begun < 5
    assert str(raised.value).startswith(f"MLflow at {scheme}://127.0.0.1:9/x: no answer (Connection")
    assert str(raised.value).endswith("; start that server, or unset MLFLOW_TRACKING_URI to use mlruns/")
    assert "\n" not in str(raised.value)
    assert os.environ["MLFLOW_TRACKING_URI"] == server


def test_a_server_that_says_nothing_is_given_up(fresh, silent, monkeypatch):
    monkeypatch.setattr(store, "ANSWER", 0.5)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{silent}")
    with pytest.raises(RuntimeError, match=r"^MLflow at http://127\.0\.0\.1:\d+: no answer \(ReadTimeout\)"), store.opened("x"):
        pass


def test_a_server_that_dies_half_way_is_one_clear_line(fresh, silent, monkeypatch):
    monkeypatch.setattr(store, "reach", lambda *_: None)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://someone:secret@127.0.0.1:{silent}")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(RuntimeError, match=r"^MLflow at http://127\.0\.0\.1:\d+: .*unset MLFLOW_TRACKING_URI") as raised, store.opened("x"):
        pass
    assert "secret" not in str(raised.value)


def test_the_longest_that_a_dying_server_is_waited_for_is_under_two_minutes(fresh):
    from mlflow import environment_variables as known

    store.silence()
    tries = known.MLFLOW_HTTP_REQUEST_MAX_RETRIES.get() + 1
    pauses = sum(known.MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR.get() * 2**number for number in range(tries))
    assert tries * known.MLFLOW_HTTP_REQUEST_TIMEOUT.get() + pauses < 120
