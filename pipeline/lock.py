"""dvc.lock in the order that a plain `dvc repro` writes, though stages may end in another one, and a flow be killed."""

import json
from pathlib import Path

from dvc.utils.serialize import dump_yaml, load_yaml

LOCK = Path("dvc.lock")


def remember(note: Path) -> None:
    """Note which stages stand in dvc.lock, in which order; the note of a flow that was killed before it could order them stays."""
    if not note.exists():
        partial = note.with_name(note.name + ".partial")
        partial.write_text(json.dumps(list(load_yaml(str(LOCK))["stages"]) if LOCK.exists() else []), encoding="utf-8")
        partial.replace(note)


def order(note: Path, plan: tuple[str, ...]) -> None:
    """Keep the places of the stages that are noted; put the new ones behind them in the order of the plan. The note is used up."""
    before = json.loads(note.read_text(encoding="utf-8"))
    if LOCK.exists():
        content = load_yaml(str(LOCK))
        wanted = [*before, *(name for name in plan if name not in before)]
        ordered = {name: content["stages"][name] for name in wanted if name in content["stages"]}
        ordered |= content["stages"]  # stages that dvc.yaml no longer has stay, at the end
        if list(ordered) != list(content["stages"]):
            content["stages"] = ordered
            dump_yaml(str(LOCK), content)
    note.unlink()
