"""What the store has, asked without MLflow, in milliseconds, where it is mlruns/: a registered model, and the champions."""

import contextlib
import sqlite3

from xraydenoise.registry import RegisterConfig, address, store, versions


def missing(registry: RegisterConfig, track: str, digest: str) -> str | None:
    """The store, for people, where it has no version of a track's registered model with the weights and config of `digest`; else None.

    Since stage register ran, MLFLOW_TRACKING_URI may have come to name another. Raises RuntimeError with one line where a server does not
    answer.
    """
    server, name = store.elsewhere(), registry.model(track)
    if server is None:
        return None if _local(name, digest) else store.URI
    with store.opened(registry.experiment) as opened:
        return None if versions.search(opened, name, digest) else address.public(server)


def champions() -> list[str]:
    """The addresses (models:/NAME@champion) of the champions in mlruns/; none where another store is chosen."""
    if store.elsewhere():
        return []
    found = _asked("SELECT name FROM registered_model_aliases WHERE alias = ? ORDER BY name", versions.CHAMPION)
    return [f"models:/{name}@{versions.CHAMPION}" for (name,) in found]


def _local(name: str, digest: str) -> bool:
    query = (
        "SELECT 1 FROM model_version_tags AS tag JOIN model_versions AS found ON found.name = tag.name AND found.version = tag.version "
        "WHERE tag.name = ? AND tag.key = ? AND tag.value = ? AND found.current_stage != 'Deleted_Internal'"
    )
    return bool(_asked(query, name, versions.DIGEST, digest))


def _asked(query: str, *values: str) -> list[tuple[str, ...]]:
    if not store.DATABASE.exists():
        return []
    with contextlib.closing(sqlite3.connect(store.DATABASE)) as connection:
        try:
            return connection.execute(query, values).fetchall()
        except sqlite3.DatabaseError:  # no tables, or no database: not one of MLflow's yet
            return []
