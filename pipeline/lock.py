"""What DVC writes of a run, dvc.lock and data.dvc: kept before a flow, mended after a kill, and in the order of a plain `dvc repro`.

DVC writes both in place, so a kill in that instant leaves one cut off, and DVC refuses to read it.
"""

import shutil
from pathlib import Path

import dvc.repo
from dvc.exceptions import DvcException
from dvc.schema import COMPILED_LOCKFILE_SCHEMA, COMPILED_SINGLE_STAGE_SCHEMA
from dvc.utils import strictyaml
from dvc.utils.serialize import dump_yaml, load_yaml

LOCK = Path("dvc.lock")
DATA = Path("data.dvc")
SCHEMAS = {LOCK: COMPILED_LOCKFILE_SCHEMA, DATA: COMPILED_SINGLE_STAGE_SCHEMA}
MERGE = ("<<<<<<<", "=======", ">>>>>>>")  # what git writes into a file that two branches changed


def keep(kept: Path) -> None:
    """Copy both into the folder `kept`; the copies of a flow that was killed stay, for those are of before it."""
    if kept.exists():
        return
    partial = kept.with_name(kept.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for file in filter(Path.exists, SCHEMAS):
        shutil.copyfile(file, partial / file.name)
    partial.replace(kept)


def mend(kept: Path) -> list[str]:
    """Put aside what a kill cut off, and its kept copy in its place; what was done, a line each.

    Where there is no copy dvc.lock begins anew, since DVC's run cache gives back what the stages made. Raises ValueError for a file
    in the middle of a merge and for a data.dvc without a copy, dvc.lock.LockError while another DVC is at work.
    """
    if not any(map(_broken, SCHEMAS)):
        return []
    told = []
    with dvc.repo.Repo() as repo, repo.lock:  # else a file that is just being written would look cut off
        for file in filter(_broken, SCHEMAS):
            if any(line.startswith(MERGE) for line in file.read_text(encoding="utf-8", errors="replace").splitlines()):
                raise ValueError(f"{file}: holds the marks of an unfinished merge; resolve it, or take a side: git checkout --ours {file}")
            copy, aside = kept / file.name, kept.with_name(f"{file.name}.cut")
            if file == DATA and not copy.exists():
                raise ValueError(f"{file}: was cut off while DVC wrote it; `git checkout {file}` brings it back")
            aside.parent.mkdir(exist_ok=True)
            file.replace(aside)
            if copy.exists():
                shutil.copyfile(copy, file)
            told.append(f"{file} was cut off by a kill: put aside as {aside}, and taken back to before; DVC's cache has what came since")
    return told


def order(kept: Path, plan: tuple[str, ...]) -> None:
    """Keep the places of the stages that dvc.lock had; put the new ones behind them in the order of the plan. The copies are used up.

    With a file that is cut off all stays as it is, for the next flow to mend.
    """
    if any(map(_broken, SCHEMAS)):
        return
    if LOCK.exists():
        content = load_yaml(str(LOCK))
        stages = content.get("stages", {})
        before = list(load_yaml(str(kept / LOCK.name)).get("stages", {})) if (kept / LOCK.name).exists() else []
        wanted = [*before, *(name for name in plan if name not in before)]
        ordered = {name: stages[name] for name in wanted if name in stages}
        ordered |= stages  # stages that dvc.yaml no longer has stay, at the end
        if list(ordered) != list(stages):
            dump_yaml(str(LOCK), content | {"stages": ordered})
    shutil.rmtree(kept)


def _broken(file: Path) -> bool:
    """Is there such a file, and DVC cannot read it? An empty data.dvc it would take for a stage without outputs."""
    if not file.exists():
        return False
    try:
        content, _ = strictyaml.load(str(file), SCHEMAS[file])
    except DvcException:
        return True
    return not content
