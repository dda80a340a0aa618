"""What a killed run left behind, put right before the next one."""

import json
from pathlib import Path

import psutil

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


def _alive(number: int) -> bool:
    try:
        return bool(psutil.Process(number).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
