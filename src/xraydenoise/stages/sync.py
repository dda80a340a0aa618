"""sync: mirror trainings into MLflow while they run, so that their curves are live there."""

from typing import Any

from xraydenoise.contracts import TRACKS
from xraydenoise.params import Params
from xraydenoise.registry import mirror, store
from xraydenoise.registry.runs import Method


def run(params: Params) -> None:
    """Log what is new, and say so; nothing new, nothing said."""
    with store.opened(params.registry.experiment) as opened:
        for line in mirror.trainings(opened, methods(params)):
            print(f"MLflow: {line}")


def shared(params: Params) -> dict[str, Any]:
    """The params of the pipeline that its own run shows: those that no method has, and those of all."""
    plain = params.model_dump(mode="json")
    return {section: plain[section] for section in ("seed", "ingest", "compare")}


def methods(params: Params) -> list[Method]:
    """Every model, and every baseline on each track, with the params that its result depends on."""
    plain = params.model_dump(mode="json", serialize_as_any=True)
    shared = {"seed": plain["seed"], "machine": plain["machine"]}
    learnt = []
    for name, model in plain["models"].items():
        used = {**shared, "train": plain["train"], "mixture": plain["mixtures"][model["mixture"]], "model": model}
        if params.models[name].objective.needs_classifier:
            used["classifier"] = plain["classifier"]
        learnt.append(Method(name, model["track"], True, used))
    classical = [
        Method(
            name,
            track,
            False,
            {**shared, "evaluate": plain["evaluate"], "conditions": plain["conditions"].get(track, {}), "baseline": baseline},
        )
        for name, baseline in plain["baselines"].items()
        for track in TRACKS
    ]
    return learnt + classical
