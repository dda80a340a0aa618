"""start: read the weights that models begin from, which lie outside the pipeline, into one folder that every later stage depends on."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import NamedTuple

import torch

from xraydenoise import disk, models, weights
from xraydenoise.data import learnt
from xraydenoise.data.learnt import Learnt
from xraydenoise.models import Network
from xraydenoise.params import STARTS, ModelConfig, Params
from xraydenoise.registry import fetch

OUT = Path("artifacts/start")
TOLD = "start.txt"  # what the entry names, and which weights these were; or "null", and there are no weights


class Start(NamedTuple):
    """Weights to begin from."""

    network: Network
    content: bytes  # safetensors
    learnt: Learnt | None  # the pictures that they have seen; None where they do not tell


def run(params: Params) -> None:
    """Write artifacts/start/<model>: start.txt, and for a model that begins from weights config.json, weights.safetensors and what they
    have seen. An alias is looked up now, and again when an entry of `models` changes or by `dvc repro -fs start`."""
    shutil.rmtree(OUT, ignore_errors=True)
    for name, model in params.models.items():
        folder = OUT / name
        folder.mkdir(parents=True)
        if model.start is None:
            disk.write(folder / TOLD, "null\n")
            continue
        found = fitting(name, model, model.start)
        digest = hashlib.sha256(found.content).hexdigest()
        disk.write(folder / TOLD, f"{model.start}\nsha256 {digest} of weights.safetensors\n")
        disk.write(folder / "config.json", json.dumps({"network": found.network.model_dump(mode="json")}) + "\n")
        disk.write(folder / "weights.safetensors", found.content)
        if found.learnt is not None:
            disk.write(folder / learnt.FILE, found.learnt.content())
        told = "it does not tell from which pictures" if found.learnt is None else f"from {len(found.learnt.images)} pictures"
        print(f"start: {name} begins from {model.start}, which learnt {told}")


def check(params: Params) -> None:
    """Raise ValueError or OSError where weights to begin from are not there, or not of the entry's shape.

    A registered model that the stage has fetched already is not looked for again: a clone may have it from DVC's cache alone.
    """
    for name, model in params.models.items():
        if model.start is None:
            continue
        folder = OUT / name
        if not (registered(model.start) and _fetched(folder, model)):
            fitting(name, model, model.start)


def _fetched(folder: Path, model: ModelConfig) -> bool:
    """Whether an earlier run left what the entry begins from there; what is damaged is not it, and DVC has the stage run again."""
    try:
        return (folder / TOLD).read_bytes().startswith(f"{model.start}\n".encode()) and models.described(folder) == model.network
    except (OSError, ValueError):
        return False


def registered(start: str) -> bool:
    """Whether it names a registered model."""
    return start not in weights.PACKAGED and not start.startswith(f"{STARTS}/")


def fitting(name: str, model: ModelConfig, start: str) -> Start:
    """The weights that `start` names. Raises ValueError or OSError where they are not there, damaged, or of another shape than `model`."""
    found = read(start)
    if found.network != model.network:
        theirs = ", ".join(f"{key} {value}" for key, value in found.network.model_dump(mode="json").items())
        raise ValueError(f"models.{name}.start: {start} is a network with {theirs}; give `network` these values, or begin anew (null)")
    return found


def read(start: str) -> Start:
    """The weights that `start` names, whatever their shape."""
    if start in weights.PACKAGED:
        return Start(weights.PACKAGED[start].network, weights.content(start), weights.learnt())
    source = fetch.fetch(start) if registered(start) else Path(start)
    models.load(source, torch.device("cpu"))  # refuses weights that are damaged or of another shape
    return Start(models.described(source), (source / "weights.safetensors").read_bytes(), learnt.load(source))
