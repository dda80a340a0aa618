"""Trained weights by their name: those of this package, of a folder, or of a model that MLflow has registered."""

from pathlib import Path

import torch
from torch import nn

from xraydenoise import models, weights
from xraydenoise.device import Device, pick
from xraydenoise.inference import Denoiser, Precision
from xraydenoise.layers import lacking

REGISTERED = "models:"  # how MLflow's address of a registered model begins


def load_denoiser(name: str | Path = "best", device: Device = "auto", precision: Precision = "auto", strength: float = 1.0) -> Denoiser:
    """The weights `name` as a function of pictures; see `Denoiser.__call__` for what it takes and gives.

    `name` is `best` or `fast`, which come with this package; a folder with a trained network (config.json, weights.safetensors), as the
    train stage writes it; or models:/NAME@ALIAS or models:/NAME/VERSION, a registered model of the store that MLFLOW_TRACKING_URI names,
    else of mlruns/ in the current folder (`registry.fetch`; needs the extra `pipeline`). `device` is auto (CUDA if there is one, else
    CPU), cpu, cuda or mps. `precision` is fp32, bf16, which takes half the time where the hardware has it and costs .01 to .03 dB, or
    auto, bf16 there and fp32 elsewhere. `strength` is the share of the noise that is taken away, 0 to 1. The same pixels, weights, device
    and precision give the same result.

    Raises ValueError naming an option that is not so, a device that is not there, a model that is not registered, or a weights file that
    was changed; OSError naming a file that is missing or cannot be read; RuntimeError where MLflow fails.
    """
    network, digest = load_network(name, pick(device))
    return Denoiser(str(name), network, digest, precision, strength)


def load_network(name: str | Path, place: torch.device) -> tuple[nn.Module, str]:
    """The network `name`, as `load_denoiser` has it, on `place`, and the sha256 of its weights. Raises as that does.

    The network itself takes float32 (B, 1, H, W) of any size whose values fill [0, 1], and gives back the same without noise.
    """
    if str(name) in weights.PACKAGED:
        return weights.load(str(name), place), weights.PACKAGED[str(name)].sha256
    if str(name).startswith(REGISTERED):
        folder = _fetched(str(name))
    elif Path(name).is_dir():
        folder = Path(name)
    else:
        known = f"{', '.join(weights.PACKAGED)}, models:/NAME@ALIAS, models:/NAME/VERSION"
        raise ValueError(f"model: {str(name)!r} is none of {known}, nor a folder with a trained network")
    return models.load(folder, place), models.digest(folder)


def _fetched(uri: str) -> Path:
    try:
        from xraydenoise.registry.fetch import fetch

        return fetch(uri)
    except ModuleNotFoundError as error:
        windows = "the part of this package that reads it needs Linux or macOS; give the folder of the trained network instead"
        told = windows if error.name == "fcntl" else lacking(error)
        raise ValueError(f"model: {uri!r} is MLflow's: {told}") from error
