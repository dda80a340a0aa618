"""What DVC and the flow write in place, dvc.lock, data.dvc and inbox/images.dvc: kept before a flow, mended after a kill, and in order.

A kill in the instant of writing leaves one cut off. DVC refuses to read most of these, and takes some for whole.
"""

import re
import shutil
from pathlib import Path
from typing import Any

import dvc.repo
from dvc.exceptions import DvcException
from dvc.schema import COMPILED_LOCKFILE_SCHEMA, COMPILED_SINGLE_STAGE_SCHEMA
from dvc.utils import strictyaml
from dvc.utils.serialize import dump_yaml, load_yaml

from pipeline.versions import POINTER

LOCK = Path("dvc.lock")
DATA = Path("data.dvc")
SCHEMAS = {LOCK: COMPILED_LOCKFILE_SCHEMA, DATA: COMPILED_SINGLE_STAGE_SCHEMA, POINTER: COMPILED_SINGLE_STAGE_SCHEMA}
MERGE = ("<<<<<<<", "=======", ">>>>>>>")  # what git writes into a file that two branches changed
NEW_DATA = """\
desc: the raw data as downloaded, pinned; an import of the download stage's output, so `dvc repro` renews it
frozen: false
deps:
- path: downloads
outs:
- path: data
"""


def keep(kept: Path) -> None:
    """Copy all into the folder `kept`. Copies of before a flow that was killed or failed stay, as long as dvc.lock has only grown since."""
    if kept.exists() and _grew(kept):
        return
    shutil.rmtree(kept, ignore_errors=True)
    partial = kept.with_name(kept.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for file in filter(Path.exists, SCHEMAS):
        shutil.copyfile(file, partial / file.name)
    partial.replace(kept)


def mend(kept: Path) -> list[str]:
    """Put aside what is cut off, and its kept copy in its place; what was done, a line each.

    Without a copy data.dvc is written anew, for its form is known, and dvc.lock ends before what is cut off, for DVC's run cache gives
    back what the other stages made. Raises ValueError for a file in the middle of a merge and for an inbox/images.dvc of which nothing
    was kept, dvc.lock.LockError while another DVC is at work.
    """
    if not any(map(_broken, SCHEMAS)):
        return []
    told = []
    with dvc.repo.Repo() as repo, repo.lock:  # else a file that is just being written would look cut off
        for file in filter(_broken, SCHEMAS):
            content = file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""
            if any(line.startswith(MERGE) for line in content.splitlines()):
                raise ValueError(f"{file}: holds the marks of an unfinished merge; resolve it, or take a side: git checkout --ours {file}")
            copy, aside = kept / file.name, kept.with_name(f"{file.name}.cut")
            if file == POINTER and not kept.exists():
                raise ValueError(
                    f"{file}: is cut off; `git checkout {file}` brings it back, or `rm {file}` and `dvc add {file.with_suffix('')}` "
                    "write it anew for the images that are there"
                )
            aside.parent.mkdir(exist_ok=True)
            if file.exists():
                file.replace(aside)
            if copy.exists():
                shutil.copyfile(copy, file)
            elif file == DATA:
                file.write_text(NEW_DATA, encoding="utf-8")
            elif file == LOCK:
                _salvage(content)
            way = "taken back to before" if copy.exists() else "begun anew" if file != LOCK else "ended before what is cut off"
            was = f"was cut off: put aside as {aside}, and" if content else "was missing or empty:"
            told.append(f"{file} {was} {way}; DVC's cache has what came since")
    return told


def order(kept: Path, plan: tuple[str, ...], completed: bool) -> None:
    """Keep the places of the stages that dvc.lock had; put the new ones behind them in the order of the plan.

    That is the order of a plain `dvc repro`. The copies are used up by a flow that `completed`: after another one, the places of
    before it still count. With a file that is cut off all stays as it is, for the next flow to mend.
    """
    if not kept.exists():
        return
    if not _as_copied(kept):
        if any(map(_broken, SCHEMAS)):
            return
        _reorder(kept, plan)
    if completed:
        shutil.rmtree(kept)


def _reorder(kept: Path, plan: tuple[str, ...]) -> None:
    content = load_yaml(str(LOCK)) if LOCK.exists() else {}
    stages = content.get("stages", {})
    before = _stages(kept / LOCK.name)
    wanted = [*before, *(name for name in plan if name not in before)]
    ordered = {name: stages[name] for name in wanted if name in stages}
    ordered |= stages  # stages that dvc.yaml no longer has stay, at the end
    if list(ordered) != list(stages):
        with dvc.repo.Repo(_wait_for_lock=True) as repo, repo.lock:
            dump_yaml(str(LOCK), content | {"stages": ordered})


def _as_copied(kept: Path) -> bool:
    """Has nothing written dvc.lock since it was copied? To compare the bytes is free, to read so long a file as YAML takes a second."""
    copy = kept / LOCK.name
    return LOCK.exists() and copy.exists() and LOCK.read_bytes() == copy.read_bytes()


def _stages(file: Path) -> list[str]:
    return list(load_yaml(str(file)).get("stages", {})) if file.exists() else []


def _grew(kept: Path) -> bool:
    """Does dvc.lock begin with the stages of its copy, in that order? Else it came from elsewhere: another branch, a person."""
    if _as_copied(kept):
        return True
    now = _stages(LOCK)
    before = [name for name in _stages(kept / LOCK.name) if name in now]
    return now[: len(before)] == before


def _broken(file: Path) -> bool:
    if not file.exists():
        return file == DATA
    return not file.read_bytes().endswith(b"\n") or _unreadable(file)


def _unreadable(file: Path) -> bool:
    """Can DVC not read it, or would it take a part for the whole?"""
    try:
        content, _ = strictyaml.load(str(file), SCHEMAS[file])
    except DvcException:
        return True
    return not content or not (_whole_lock(content) if file == LOCK else _whole(file, content))


def _salvage(content: str) -> None:
    """Write dvc.lock up to the last whole line, or else the last whole stage; remove it where DVC can read neither."""
    last = max((stage.start() for stage in re.finditer(r"^  \S.*:$", content, re.MULTILINE)), default=0)
    for end in (content.rfind("\n") + 1, last):
        LOCK.write_text(content[:end], encoding="utf-8")
        if not _broken(LOCK):
            return
    LOCK.unlink()


def _whole_lock(content: dict[str, Any]) -> bool:
    """Is the last stage, the one that may be cut off between two lines, complete in what DVC never writes again by itself?"""
    last = [*(content.get("stages") or {None: {}}).values()][-1]
    entries = [*(last.get("deps") or []), *(last.get("outs") or [])]
    return all("size" in entry and ("nfiles" in entry or not entry["md5"].endswith(".dir")) for entry in entries if "md5" in entry)


def _whole(file: Path, content: dict[str, Any]) -> bool:
    """Does a .dvc file name all that it must: the paths, and the hash of each and of itself, or none before the first run?"""
    entries = [*(content.get("deps") or []), *(content.get("outs") or [])]
    paths = ["downloads", "data"] if file == DATA else [POINTER.stem]
    if [entry.get("path") for entry in entries] != paths:
        return False
    if file == DATA and not any("md5" in part for part in (content, *entries)):
        return True
    hashed = all(re.fullmatch(r"[0-9a-f]{32}\.dir", str(entry.get("md5"))) and "hash" in entry for entry in entries)
    return hashed and (file != DATA or re.fullmatch("[0-9a-f]{32}", str(content.get("md5"))) is not None)
