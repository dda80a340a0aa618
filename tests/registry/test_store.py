"""MLflow's database: created once however many ask at once, whole or not at all, and at home where the project is."""

import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from xraydenoise.registry import store


def test_sixteen_processes_that_open_a_new_store_at_once_all_find_it_whole(fresh, sixteen):
    assert sixteen("mlflow.store.tracking.sqlalchemy_store", "xraydenoise") == ("{0}\n", "")
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


def test_the_paths_of_a_copy_are_mended_before_mlflow_is_asked(empty, monkeypatch):
    store.mend_paths()
    (before,) = set(rows("SELECT artifact_location FROM experiments"))
    copy = empty.root.with_name("copy")
    shutil.copytree(empty.root, copy)
    monkeypatch.chdir(copy)
    store.mend_paths()
    assert set(rows("SELECT artifact_location FROM experiments")) == {(before[0].replace(f"{empty.root}/", f"{copy}/"),)}
    store.DATABASE.unlink()
    store.mend_paths()
    assert not store.DATABASE.exists()


@pytest.mark.parametrize("damage", ["other content", "zeros"])
def test_a_damaged_database_is_named_with_the_way_out_before_anything_is_computed(empty, damage):
    whole = store.DATABASE.read_bytes()
    pages = [page for page in range(8192, len(whole), 4096) if whole[page : page + 4096].strip(b"\0")]
    zeroed = b"".join(whole[at : at + 4096] if at not in pages else bytes(4096) for at in range(0, len(whole), 4096))
    store.DATABASE.write_bytes(b"no database at all" if damage == "other content" else zeroed)
    for beside in store.FOLDER.glob("mlflow.db-*"):
        beside.unlink()
    with pytest.raises(ValueError, match=r"mlruns/mlflow\.db: is damaged \(.+\); put a copy of it back, or move mlruns/ away"):
        store.mend_paths()


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


def test_a_moved_project_knows_its_runs_and_a_copy_takes_none_of_its_original_for_its_own(fresh, monkeypatch):
    first = store.project()
    moved = fresh.root.with_name("moved")
    shutil.move(fresh.root, moved)
    monkeypatch.chdir(moved)
    assert store.project() == first
    copy = fresh.root.with_name("copy")
    shutil.copytree(moved, copy)
    monkeypatch.chdir(copy)
    copied = store.project()
    assert copied not in (first, "")
    assert store.project() == copied
    monkeypatch.chdir(moved)
    assert store.project() == first


def test_a_project_that_is_seen_under_two_paths_is_one(fresh, monkeypatch):
    first = store.project()
    other = fresh.root.with_name("mounted")
    other.symlink_to(fresh.root)  # as a folder that is mounted twice: the same file in both places
    (store.FOLDER / "project").write_text(f"{first}\n{other}")
    assert store.project() == first


def test_a_project_whose_id_was_written_without_its_folder_keeps_it(fresh):
    store.FOLDER.mkdir()
    (store.FOLDER / "project").write_text("1234")
    assert store.project() == "1234"


def test_an_experiment_that_was_deleted_in_the_pages_is_restored(empty):
    with store.opened("xraydenoise") as opened:
        opened.client.delete_experiment(opened.experiment)
    with store.opened("xraydenoise") as again:
        assert again.experiment == opened.experiment


@pytest.mark.parametrize("deleted", ["experiment_id = 0", "TRUE"])
def test_a_moved_project_whose_first_experiment_is_gone_is_opened(empty, deleted, monkeypatch):
    with store.opened("x"):
        pass
    connection = sqlite3.connect(store.DATABASE)
    with connection:  # as `mlflow gc` does
        connection.execute("DELETE FROM experiment_tags")
        connection.execute(f"DELETE FROM experiments WHERE {deleted}")
    connection.close()
    moved = empty.root.with_name("moved")
    shutil.move(empty.root, moved)
    monkeypatch.chdir(moved)
    with store.opened("x") as opened:
        assert "/moved/" in opened.client.create_run(opened.experiment).info.artifact_uri


def test_a_call_to_a_server_has_half_a_minute_unless_a_person_says_otherwise(fresh):
    from mlflow.environment_variables import MLFLOW_HTTP_REQUEST_TIMEOUT

    store.silence()
    assert MLFLOW_HTTP_REQUEST_TIMEOUT.get() == 30
