"""What a stage reads, as dvc.yaml lists it, and the proof that it stayed the same while the stage ran.

DVC hashes what a stage read when the stage has ended. An entry, a picture or a line of code that is edited meanwhile would be recorded as
what the result was made from, and the stage would never run again.
"""

import contextlib
import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from xraydenoise import strict_yaml

DVC_YAML = Path("dvc.yaml")
PARAMS = Path("params.yaml")
CODE = "src"  # compared by content, since git writes files anew that are the same; data are compared by size and time


@contextlib.contextmanager
def unchanged(stage: str, key: str) -> Iterator[None]:
    """Raise RuntimeError at the end if what the stage reads was changed meanwhile; its result is then not recorded.

    `key` names the run of a stage that dvc.yaml has once for each entry of a section of params.yaml, or is empty.
    """
    before = _state(stage, key)
    yield
    after = _state(stage, key)
    if changed := sorted(name for name in before | after if before.get(name) != after.get(name)):
        more = f" and {len(changed) - 1} more" if changed[1:] else ""
        raise RuntimeError(
            f"{stage} {key}".rstrip()
            + f": {changed[0]}{more} changed while it ran, so its result is not kept (DVC would record it as made "
            "from what is there now); run again"
        )


def listed(stage: str, key: str) -> tuple[list[str], list[Path]]:
    """The entries of params.yaml, by dotted names, and the files and folders that a stage reads; none for what is no stage of dvc.yaml."""
    if not (DVC_YAML.exists() and PARAMS.exists()):
        return [], []
    stages: Any = strict_yaml.read(DVC_YAML)
    params: Any = strict_yaml.read(PARAMS)
    entry = stages["stages"].get(stage, {})
    item = _entry(params, [entry["foreach"].removeprefix("${").removesuffix("}"), key]) if "foreach" in entry else {}
    entry = entry.get("do", entry)
    return [resolved(name, key, item) for name in entry.get("params", [])], [
        Path(resolved(path, key, item)) for path in entry.get("deps", [])
    ]


def resolved(text: str, key: str, item: object) -> str:
    """`text` of dvc.yaml with ${key} and ${item.a.b} put in, as DVC does it for an entry of a foreach."""
    return re.sub(r"\$\{(.+?)\}", lambda match: key if match[1] == "key" else str(_entry(item, match[1].split(".")[1:])), text)


def _entry(content: Any, names: list[str]) -> Any:
    for name in names:
        content = content.get(name) if isinstance(content, dict) else None
    return content


def _state(stage: str, key: str) -> dict[str, object]:
    names, paths = listed(stage, key)
    params = strict_yaml.read(PARAMS) if names else {}
    state: dict[str, object] = {f"{name} in {PARAMS}": _entry(params, name.split(".")) for name in names}
    for path in paths:
        state |= {str(file): _stamp(file) for file in _files(path)}
    return state


def _files(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    for folder, folders, names in os.walk(path, followlinks=True):
        folders[:] = [name for name in folders if name != "__pycache__"]  # which DVC ignores too, by .dvcignore
        yield from (Path(folder, name) for name in names)


def _stamp(file: Path) -> object:
    try:
        if file.parts[0] == CODE:
            return hashlib.sha256(file.read_bytes()).hexdigest()
        status = file.stat()
    except OSError as error:
        return error.errno  # gone, or not to be read: a state like others
    return status.st_size, status.st_mtime_ns
