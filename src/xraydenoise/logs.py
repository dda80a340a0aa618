"""How long things took, in logs/, which no result depends on: kept when a stage comes from DVC's cache, left out where it is damaged."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xraydenoise import disk

FOLDER = Path("logs")


def write(name: str, times: Mapping[str, object]) -> None:
    """Write logs/<name>.json."""
    FOLDER.mkdir(exist_ok=True)
    disk.write(FOLDER / f"{name}.json", json.dumps(times, indent=2) + "\n")


def read(name: str) -> dict[str, Any]:
    """What logs/<name>.json holds; nothing where it is not there, and, told in a line, where it is damaged."""
    path = FOLDER / f"{name}.json"
    if not path.exists():
        return {}
    try:
        found = json.loads(path.read_bytes())
        if not isinstance(found, dict):
            raise ValueError("no JSON object")
    except ValueError as error:
        print(f"{path}: is damaged ({error}), so these times are left out; the stage writes it when it runs again, or delete it")
        return {}
    return found
