"""Half-done training on disk: one safetensors file, taken up only where it is as it was written, and by the same recipe."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from xraydenoise import resumable
from xraydenoise.training.loop import State, Step

FIELDS = ("loss_steps", "step", "best_step", "best_val_target_psnr", "worse", "seconds", "stopped")  # of State, beside its tensors


def save(state: State, path: Path, recipe: str) -> None:
    """Write `state` to `path`. `recipe` is a digest of all that the run depends on."""
    facts = {name: getattr(state, name) for name in FIELDS} | {"history": [asdict(step) for step in state.history]}
    tensors = {name: tensor.contiguous() for name, tensor in _tensors(state)}
    with resumable.whole(path) as unfinished:
        save_file(tensors, unfinished, {"recipe": recipe, "facts": json.dumps(facts)})


@torch.no_grad()
def restore(state: State, path: Path, recipe: str) -> bool:
    """Fill `state`, fresh from `begin`, from `path`. False, and nothing done, where there is no file or it is of another recipe.

    A file that is damaged is deleted, which is told in a line.
    """
    if not resumable.sound(path):
        return False
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
        if metadata["recipe"] != recipe:
            return False
        parameters = list(state.network.parameters())
        for name in file.keys():  # noqa: SIM118  not a mapping
            if name.startswith("optimizer."):
                _, number, moment = name.split(".")
                parameter = parameters[int(number)]
                whole = tuple(file.get_slice(name).get_shape()) == parameter.shape
                state.optimizer.state[parameter][moment] = (
                    torch.empty_like(parameter) if whole else torch.zeros((), device=parameter.device)
                )
        for name, tensor in _tensors(state):
            tensor.copy_(file.get_tensor(name))  # into its place: memory layouts stay as they were
    facts = json.loads(metadata["facts"])
    for name in FIELDS:
        setattr(state, name, facts[name])
    state.history = [Step(**row) for row in facts["history"]]
    return True


def _tensors(state: State) -> Iterator[tuple[str, Tensor]]:
    """Every tensor of the state by its name in the file."""
    yield "loss_sum", state.loss_sum
    for part, tensors in (("network", state.network.state_dict()), ("averaged", state.averaged.state_dict()), ("best", state.best)):
        for name, tensor in tensors.items():
            yield f"{part}.{name}", tensor
    for number, parameter in enumerate(state.network.parameters()):
        if parameter in state.optimizer.state:  # one that has not learnt yet has none
            for name, moment in sorted(state.optimizer.state[parameter].items()):  # a number of steps, the others shaped as the parameter
                yield f"optimizer.{number}.{name}", moment
