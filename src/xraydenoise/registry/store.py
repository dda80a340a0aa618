"""MLflow's database in mlruns/: created once and whole, moved with the project, locked while it is written."""

import contextlib
import fcntl
import logging
import os
import re
import sqlite3
import traceback
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from xraydenoise import disk
from xraydenoise.registry import address, calls

if TYPE_CHECKING:
    from mlflow import MlflowClient

FOLDER = Path("mlruns")
DATABASE = FOLDER / "mlflow.db"
ARTIFACTS = FOLDER / "artifacts"
LOCK = FOLDER / "lock"
URI = f"sqlite:///{DATABASE}"  # as people type it, from the project's root
QUIET = {  # set before MLflow is imported, where the user has not set them
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_RECORD_ENV_VARS_IN_MODEL_LOGGING": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "GIT_PYTHON_REFRESH": "quiet",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",  # seconds; of a whole call (`calls.bounded`)
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
}
TRAINS = {"mlflow.experimentKind": "custom_model_development"}  # its pages are those of training, not of language models
LOCATIONS = (  # every column in which MLflow keeps the absolute place of an artifact
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)


@dataclass(frozen=True)
class Store:
    """An open tracking store: the client, and the experiment that all runs go to."""

    client: "MlflowClient"
    experiment: str  # its id
    uri: str  # for people, without a password
    project: str  # which clone this is: on a shared server only its own unfinished runs are its to close


@contextlib.contextmanager
def opened(experiment: str) -> Iterator[Store]:
    """The store, with the experiment there, and for this process alone until the block ends.

    It lies in mlruns/ under the current folder unless MLFLOW_TRACKING_URI names another. Raises RuntimeError with one line that names the
    store where MLflow fails, and where a server does not answer, within seconds.
    """
    location = None if elsewhere() else _location(Path.cwd())
    with disk.naming(FOLDER), _connected(locked(LOCK)) as (client, shown):
        yield Store(client, _experiment(client, experiment, location), shown, project())


@contextlib.contextmanager
def reading() -> Iterator[tuple["MlflowClient", str]]:
    """A client of the same store, which is to change nothing, and the store's name for people.

    Raises as `opened` does, and FileNotFoundError where there is no store.
    """
    if not elsewhere() and not DATABASE.exists():
        raise FileNotFoundError(f"{DATABASE}: not there; go to the folder of a project that has one, or set MLFLOW_TRACKING_URI")
    with _connected(contextlib.nullcontext() if elsewhere() else locked(LOCK)) as found:  # a server's readers leave no mlruns/ behind
        yield found


@contextlib.contextmanager
def _connected(lock: contextlib.AbstractContextManager[None]) -> Iterator[tuple["MlflowClient", str]]:
    silence()
    import mlflow
    from google.protobuf.json_format import ParseError
    from mlflow.exceptions import MlflowException
    from requests import RequestException

    chosen, server = os.environ.get("MLFLOW_TRACKING_URI"), elsewhere()
    uri, shown = (server, address.public(server)) if server else (absolute_uri(), URI)
    if server:
        address.reach(server)
    with lock:
        try:
            if not server:
                prepare()
            mlflow.set_tracking_uri(uri)  # parts of MLflow ask for it, whatever store their client was given
            with calls.bounded():
                yield mlflow.MlflowClient(), shown
        except (MlflowException, ParseError, RequestException) as error:  # the latter two where its server answers nonsense
            raise RuntimeError(f"MLflow at {shown}: {address.line(error, uri)}{address.WAY_OUT if server else ''}") from error
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            if not (server and _within_mlflow(error)):
                raise
            told = f"MLflow's client cannot read an answer of it ({type(error).__name__}: {address.line(error, uri)})"
            raise RuntimeError(f"MLflow at {shown}: {told}{address.WAY_OUT}") from error
        finally:
            mlflow.set_tracking_uri(None)  # type: ignore[arg-type]  # this takes the variable out of the environment too
            if chosen is not None:
                os.environ["MLFLOW_TRACKING_URI"] = chosen


def _within_mlflow(error: Exception) -> bool:
    """Whether MLflow's own code raised it: that takes a server at its word."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return str(frame.f_globals.get("__name__")).startswith("mlflow.")


def named(asked: str, answered: str) -> None:
    """Raise MlflowException where a server was asked for one thing and answered another: MLflow's client takes any JSON for an answer."""
    from mlflow.exceptions import MlflowException

    if answered != asked:
        raise MlflowException(f"was asked for {asked!r} and answered {answered!r}; is it MLflow that answers there?")


def elsewhere() -> str | None:
    """The address that MLFLOW_TRACKING_URI names, password and all; None where it names mlruns/, or nothing."""
    chosen = os.environ.get("MLFLOW_TRACKING_URI")
    return chosen if chosen and chosen not in (URI, absolute_uri()) else None


def absolute_uri() -> str:
    """The store of the current folder. MLflow keeps one connection pool a URI, so two projects in one process need two URIs."""
    path = str(Path.cwd() / DATABASE).replace("%", "%25").replace("?", "%3F")  # what SQLAlchemy would take for an escape or a query
    return f"sqlite:///{path}"


def silence() -> None:
    """Keep MLflow from phoning home and from filling the terminal."""
    os.environ.update({"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"})
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    logging.getLogger("alembic").setLevel(logging.ERROR)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock at `path`. The kernel frees it when its holder dies, so no lock is left behind."""
    path.parent.mkdir(exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def prepare() -> None:
    """Create the database where there is none, and mend its paths where the project was moved. The caller holds the lock."""
    if not DATABASE.exists() or DATABASE.stat().st_size == 0:  # sqlite3 makes an empty file when it is asked to look into none
        _create()
    _mend_paths()


def mend_paths() -> None:
    """Mend the paths of a project that was moved or copied, in milliseconds: MLflow is not imported for that.

    Raises ValueError for a database that is damaged, before anything is computed for it.
    """
    if DATABASE.exists():
        with locked(LOCK), contextlib.suppress(sqlite3.OperationalError):  # not one of MLflow's yet
            _refuse_damaged()
            _mend_paths()


def _refuse_damaged() -> None:
    try:
        with contextlib.closing(sqlite3.connect(DATABASE)) as connection:
            (outcome,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as error:
        outcome = str(error)
    if outcome != "ok":
        raise ValueError(
            f"{DATABASE}: is damaged ({' '.join(outcome.split())}); put a copy of it back, or move {FOLDER}/ away: `make run` then "
            "registers again what lies in artifacts/, without the runs of before"
        )


def _mend_paths() -> None:
    with contextlib.closing(sqlite3.connect(DATABASE)) as connection, connection:
        relocate(connection, _location(Path.cwd()))


def _create() -> None:
    """Write a whole database beside its place, then move it there: a process killed half-way leaves nothing that looks like one."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    partial = DATABASE.with_name("mlflow.db.partial")
    partial.unlink(missing_ok=True)
    store = SqlAlchemyStore(absolute_uri() + ".partial", _location(Path.cwd()))  # type: ignore[no-untyped-call]
    store.engine.dispose()
    with contextlib.closing(sqlite3.connect(partial)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")  # readers (the pages of `make ui`) no longer hold up the writer
    partial.replace(DATABASE)


def relocate(connection: sqlite3.Connection, location: str) -> None:
    """Replace the artifact folder in every stored path by `location`, if it is another: MLflow stores them absolute."""
    known = connection.execute("SELECT artifact_location FROM experiments ORDER BY experiment_id")
    found = (re.fullmatch(rf"(file://.*/{ARTIFACTS})(/\d+)?", place) for (place,) in known)  # `mlflow gc` may have removed the first one
    old = next((place[1] for place in found if place), location)
    if old == location:
        return
    for table, column in LOCATIONS:
        connection.execute(
            f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column}, 1, ?) = ?",
            (location, len(old) + 1, len(old), old),
        )


def project() -> str:
    """The id of this clone, by which it knows its own runs: a moved one keeps it, a copy whose original is still there gets its own."""
    path, here = FOLDER / "project", str(Path.cwd())
    known, _, folder = path.read_text(encoding="utf-8").partition("\n") if path.exists() else ("", "", "")
    original = Path(folder, path)
    another = folder not in ("", here) and original.exists() and not original.samefile(path)  # one folder may have two paths (a mount)
    copied = another and original.read_text(encoding="utf-8").partition("\n")[0] == known
    if not known or copied:
        known = uuid.uuid4().hex
    if folder != here or copied:
        FOLDER.mkdir(exist_ok=True)
        disk.write(path, f"{known}\n{here}")
    return known


def _location(root: Path) -> str:
    """The artifact folder as a URI, quoted, since MLflow reads % in a plain path as the start of an escape."""
    return f"file://{quote(str(root / ARTIFACTS))}"


def _experiment(client: "MlflowClient", name: str, location: str | None) -> str:
    found = client.get_experiment_by_name(name)
    if found is None:
        return str(client.create_experiment(name, artifact_location=location, tags=TRAINS))
    named(name, found.name)
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    return str(found.experiment_id)
