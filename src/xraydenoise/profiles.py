"""Whole params.yaml files under a name: `sample` for a first try, `inbox` for your own images on two cores, `full` for a GPU."""

import contextlib
import fcntl
import shutil
from collections.abc import Iterator
from pathlib import Path

from xraydenoise import disk, params

PROFILES = Path("profiles")
PARAMS = Path("params.yaml")
RUNNING = Path(".prefect/flow.lock")  # held by whoever runs, plans or changes what is to be run


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """No flow runs in this project meanwhile, and no profile is changed. Raises BlockingIOError where one does or is."""
    with disk.naming(RUNNING):
        RUNNING.parent.mkdir(exist_ok=True)
        held = RUNNING.open("w")
    with held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BlockingIOError("another `python -m pipeline` runs in this project; wait for it, or end it") from error
        yield


def names() -> list[str]:
    """The profiles there are."""
    return sorted(path.stem for path in PROFILES.glob("*.yaml"))


def switch(name: str, force: bool = False) -> str:
    """Put profile `name` into params.yaml and drop the outputs of entries that it does not have (DVC's cache keeps them).

    Raises ValueError for a name that is no profile, and when params.yaml is none, since your edits would be lost; BlockingIOError while a
    flow runs, whose outputs these may be.
    """
    if name not in names():
        raise ValueError(f"{name!r} is no profile; {PROFILES}/ has {', '.join(names())}")
    known = {path.read_bytes() for path in PROFILES.glob("*.yaml")}
    if PARAMS.exists() and PARAMS.read_bytes() not in known and not force:
        raise ValueError(f"{PARAMS}: holds edits of yours; keep them as {PROFILES}/NAME.yaml, or overwrite them with --force")
    checked = params.load(PROFILES / f"{name}.yaml")
    with alone():
        disk.write(PARAMS, (PROFILES / f"{name}.yaml").read_bytes())
        dropped = drop_others(checked)
    return f"{PARAMS} is now the profile {name}" + (f"; dropped {', '.join(map(str, dropped))}" if dropped else "")


def drop_others(checked: params.Params) -> list[Path]:
    """Remove the outputs of entries that params.yaml no longer has; later stages read whole folders, and no clone has these."""
    methods = set(checked.models) | set(checked.baselines)
    wanted = {"downloads": set(checked.datasets), "artifacts/train": set(checked.models), "artifacts/evaluate": methods}
    wanted["artifacts/reproduce"] = set(checked.protocols)
    dropped = [entry for folder, keep in wanted.items() for entry in Path(folder).glob("*") if entry.is_dir() and entry.name not in keep]
    for entry in dropped:
        shutil.rmtree(entry)
    return dropped
