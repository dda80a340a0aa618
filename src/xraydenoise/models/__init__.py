"""Denoising networks: one file a kind, whose Config builds the network; every one takes pictures of any size and returns the same."""

import hashlib
import json
from abc import abstractmethod
from pathlib import Path
from typing import Annotated, ClassVar

import torch
from pydantic import BeforeValidator, SerializeAsAny
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from xraydenoise import kinds


class Network(kinds.Config):
    """What every kind of network offers; each kind's `Config` is one."""

    paper: ClassVar[str]  # where its shape comes from
    kind: str

    @property
    def bounded(self) -> bool:
        """Whether its pictures always lie in [0, 1], as a probability does."""
        return False

    @abstractmethod
    def build(self) -> nn.Module:
        """The network with first weights from torch's global generator: float32 (B, 1, H, W), 1.0 = full scale -> the same shape.

        It gives back the dtype that it is given, also under autocast, and float64 once it is made `double()`.
        """


KNOWN = kinds.by_kind("xraydenoise.models")
MISSING = "not there; run the train stage that writes it (`dvc repro`)"
NetworkConfig = Annotated[SerializeAsAny[Network], BeforeValidator(KNOWN)]


def initialised(network: Network, seed: int) -> nn.Module:
    """The network with first weights from `seed`, on the CPU; torch's global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return network.build()


def load(folder: Path, device: torch.device) -> nn.Module:
    """The trained network in `folder` (config.json, weights.safetensors) on `device`, ready to denoise.

    Raises as `described`, and ValueError naming the file where the weights are damaged or those of another network.
    """
    weights = folder / "weights.safetensors"
    network = initialised(described(folder), seed=0)
    if not weights.exists():
        raise FileNotFoundError(f"{weights}: {MISSING}")
    try:
        network.load_state_dict(load_file(weights))
    except (RuntimeError, SafetensorError) as error:
        raise ValueError(
            f"{weights}: does not fit the network in {folder / 'config.json'}: {' '.join(str(error).split())[:300]}"
        ) from error
    return placed(network, device).eval()


def described(folder: Path) -> Network:
    """The network that config.json in `folder` tells of.

    Raises FileNotFoundError saying what to run, and ValueError naming the file where today's code builds no such network.
    """
    config = folder / "config.json"
    if not config.exists():
        raise FileNotFoundError(f"{config}: {MISSING}")
    try:
        known: Network = KNOWN(json.loads(config.read_text(encoding="utf-8"))["network"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{config}: today's code does not build this network: {error}") from error
    return known


def digest(folder: Path) -> str:
    """The sha256 of the weights in `folder`."""
    with (folder / "weights.safetensors").open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def placed(network: nn.Module, device: torch.device) -> nn.Module:
    """The network itself on `device`, weights with channels last: the layout in which convolutions are fastest on both CPU and GPU."""
    return network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def parameters(network: nn.Module) -> int:
    """How many numbers it learns."""
    return sum(parameter.numel() for parameter in network.parameters())
