"""A shared MLflow server on PostgreSQL instead of mlruns/: all that works on SQLite works there, for many processes at once."""

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from xraydenoise.registry import champion, fetch, mirror, runs, store
from xraydenoise.registry.rollback import rollback

NAME = "xraydenoise"
PLACES = [os.environ["PATH"], *(str(path) for path in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True))]
INITDB, POSTGRES = (shutil.which(name, path=os.pathsep.join(PLACES)) for name in ("initdb", "postgres"))
MISSING = "no PostgreSQL on this machine" if not (INITDB and POSTGRES) else ""
MISSING = MISSING or ("" if importlib.util.find_spec("psycopg2") else "psycopg2 is not installed")
pytestmark = [pytest.mark.e2e, pytest.mark.skipif(bool(MISSING), reason=MISSING)]


@pytest.fixture(scope="module")
def postgresql(servers) -> Iterator[str]:
    """The URI of an empty database of a PostgreSQL that listens on loopback alone; it refuses to run as root."""
    names = {entry.pw_name for entry in pwd.getpwall()}
    owner = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
    who = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []} if os.geteuid() == 0 else {}
    with tempfile.TemporaryDirectory(prefix="postgres-") as folder:  # pytest's own folders are closed to other users
        if who:
            os.chown(folder, owner.pw_uid, owner.pw_gid)
        data, port = Path(folder, "data"), servers.free_port()
        settings = ["--auth=trust", "--username=mlflow", "--no-sync", "--no-locale", "--encoding=UTF8"]
        subprocess.run([str(INITDB), "--pgdata", str(data), *settings], check=True, capture_output=True, cwd=folder, **who)
        import psycopg2

        def ready() -> bool:
            try:
                psycopg2.connect(host="127.0.0.1", port=port, user="mlflow", dbname="postgres").close()
            except psycopg2.OperationalError:
                return False
            return True

        command = [str(POSTGRES), "-D", str(data), "-h", "127.0.0.1", "-p", str(port), "-k", folder, "-c", "fsync=off"]
        with (
            tempfile.NamedTemporaryFile(suffix=".log") as log,
            servers.running(command, Path(log.name), ready, signal.SIGINT, cwd=folder, **who),
        ):
            yield f"postgresql+psycopg2://mlflow@127.0.0.1:{port}/postgres"  # alone, "postgresql" is psycopg 3


@pytest.fixture(scope="module")
def server(servers, postgresql, tmp_path_factory) -> Iterator[str]:
    """The address of a real MLflow server that keeps its runs in that database, and files in a folder of its own."""
    folder = tmp_path_factory.mktemp("server")
    port = servers.free_port()
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--backend-store-uri",
        postgresql,
        "--artifacts-destination",
        str(folder / "files"),
    ]
    address = f"http://127.0.0.1:{port}"
    environment = {key: value for key, value in os.environ.items() if key != "MLFLOW_TRACKING_URI"} | {"MLFLOW_DISABLE_TELEMETRY": "true"}
    whole = [*command, "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    with servers.running(whole, folder / "log", lambda: servers.answers(f"{address}/health"), cwd=folder, env=environment):
        yield address


@pytest.fixture
def shared(project, server, monkeypatch) -> str:
    """The project, told of the server; its name for people."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    return server


def test_a_project_is_mirrored_registered_loaded_and_rolled_back_on_a_server(project, shared):
    with store.opened("x") as opened:
        assert opened.uri == shared
        said = project.mirror(opened, project.shown())
        assert {"dncnn: 2 pictures", "median (noise): 2 pictures"} <= set(said)
        assert project.mirror(opened, project.shown()) == []
        project.mirror(opened, {title: pictures[1:] for title, pictures in project.shown(seed=1).items()})
        files = opened.client.list_artifacts(mirror.of(opened, project.methods[0]).info.run_id)
        assert [file.path for file in files] == ["gaussian_10 1 noise.png"]  # that of the older evaluation is gone

        first = runs.identity(project.methods[0].folder)
        for seed in (0, 1):
            project.train(seed)
            record = project.register(opened)
        assert project.register(opened, project.verdict("champion", promoted=False)) == record
        found = champion.current(opened, NAME)
        assert (found.version, found.digest) == ("2", record["digest"])
        folder = fetch.download(opened.client, found)
        assert runs.identity(folder) == record["digest"]
        assert rollback(opened, NAME, "bad")["to"] == "1"
        assert champion.current(opened, NAME).digest == first
        version = opened.client.get_model_version(NAME, "1")
        assert version.tags["restored_because"] == "bad"
        import mlflow  # here: the store is to import it first, which silences it

        assert mlflow.pyfunc.load_model(f"models:/{NAME}@champion").predict(np.zeros((5, 7), np.uint8)).shape == (5, 7)
    assert runs.identity(fetch.fetch(f"models:/{NAME}@champion")) == first
    assert not store.DATABASE.with_name("artifacts").exists()


def test_sixteen_processes_that_ask_a_server_at_once_are_all_answered(project, shared, sixteen):
    assert sixteen("mlflow.store.tracking.rest_store", "many") == ("{0}\n", "")
    with store.opened("many") as opened:
        assert [run.info.status for run in opened.client.search_runs([opened.experiment])] == ["FINISHED"] * 16
