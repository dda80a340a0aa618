"""dvc.lock in the order that a plain `dvc repro` writes, though stages may end in another one."""

from pathlib import Path

from dvc.utils.serialize import dump_yaml, load_yaml

LOCK = Path("dvc.lock")


def stages() -> tuple[str, ...]:
    """The stages in dvc.lock, in its order."""
    return tuple(load_yaml(str(LOCK))["stages"]) if LOCK.exists() else ()


def order(before: tuple[str, ...], plan: tuple[str, ...]) -> None:
    """Keep the places of the stages that stood there before; put the new ones behind them in the order of the plan."""
    if not LOCK.exists():
        return
    content = load_yaml(str(LOCK))
    wanted = [*before, *(name for name in plan if name not in before)]
    ordered = {name: content["stages"][name] for name in wanted if name in content["stages"]}
    if list(ordered) != list(content["stages"]):
        content["stages"] = ordered
        dump_yaml(str(LOCK), content)
