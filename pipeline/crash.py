"""What a killed run left behind, put right before the next one."""

import contextlib
import json
import os
import shutil
import sqlite3
from pathlib import Path

import psutil
from dvc.dirs import site_cache_dir

from pipeline import verify

HELD = Path(".dvc/tmp/rwlock")  # which process reads or writes which output, as DVC keeps it


def release_outputs() -> None:
    """Free the outputs that dead processes hold. DVC does so itself, but takes a zombie for alive, and init may be slow to reap one."""
    if not HELD.exists():
        return
    try:
        held = json.loads(HELD.read_text(encoding="utf-8"))
    except json.JSONDecodeError:  # empty or cut off: DVC was killed while it wrote, and refuses to read it
        HELD.unlink()
        return
    holders = [holder for holders in held.get("read", {}).values() for holder in holders] + list(held.get("write", {}).values())
    if holders and not any(_alive(holder["pid"]) for holder in holders):
        HELD.unlink()


def renew_tables() -> list[str]:
    """Remove the tables of hashes that SQLite cannot read, DVC's and the flow's own: both are filled again; a line for each.

    DVC has the tables of all projects, and users, of this machine in one place; other users' are left alone.
    """
    told = []
    for table in [*Path(site_cache_dir(), "repo").rglob("*.db"), *verify.TABLE.rglob("*.db")]:
        if table.stat().st_uid != os.getuid():
            continue
        try:
            with contextlib.closing(sqlite3.connect(table)) as database:
                whole = database.execute("PRAGMA quick_check").fetchone() == ("ok",)
        except sqlite3.OperationalError:  # another process holds it
            continue
        except sqlite3.DatabaseError:
            whole = False
        if not whole:
            shutil.rmtree(table.parent)
            told.append(f"{table}: damaged table of hashes, removed; files are hashed again")
    return told


def _alive(number: int) -> bool:
    try:
        return bool(psutil.Process(number).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
