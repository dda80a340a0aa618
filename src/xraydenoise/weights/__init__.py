"""The weights that come with the package, `best` and `fast`: a card (.md) beside each says what they learnt from and what they reach.

trained_on.csv lists the pictures that they learnt from (content id, patient, file, use), and trained_on_signatures.npy, float16 (440, 576)
in the same order, their signatures at 512 px (`data.duplicates`), so that copies are known too.
"""

import csv
import hashlib
from importlib import resources
from importlib.resources.abc import Traversable
from typing import NamedTuple

import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import nn

from xraydenoise import models
from xraydenoise.data.learnt import Learnt
from xraydenoise.models.residual_unet import Config

FOLDER: Traversable = resources.files(__name__)
AGAIN = "install the package again (pip install --force-reinstall --no-deps xraydenoise)"


class Packaged(NamedTuple):
    """One weights file of the package."""

    network: models.Network
    sha256: str  # of the file


PACKAGED = {
    "best": Packaged(
        Config(kind="residual_unet", channels=(40, 80, 160, 192), blocks=(2, 2, 2, 4), unshuffle=2),
        "03bdc1f590cb40ae391ad8ffa87622ee271f981152194aeb37db6a255a8ec565",
    ),
    "fast": Packaged(
        Config(kind="residual_unet", channels=(32, 64, 96, 128), blocks=(1, 1, 1, 2), unshuffle=2),
        "b88480e35c5a081b74a91b06cbf05ca91c0826212f1137ab468c56afdf740f18",
    ),
}


def load(name: str, device: torch.device) -> nn.Module:
    """The packaged network `name` with its weights as float32 on `device`, ready to denoise: (B, 1, H, W), 1.0 = full scale -> the same.

    Raises as `content`, and ValueError where the file does not hold the weights of this network.
    """
    network = models.initialised(PACKAGED[name].network, seed=0)
    try:
        network.load_state_dict(safetensors.torch.load(content(name)))
    except (SafetensorError, RuntimeError) as error:  # a file and a table of two releases
        told = " ".join(str(error).split())[:300]
        raise ValueError(f"{FOLDER / name}.safetensors: does not hold the weights of {PACKAGED[name].network!r}: {told}") from error
    return models.placed(network, device).eval()


def content(name: str) -> bytes:
    """The weights file of the packaged network `name`.

    Raises KeyError for another name than those of PACKAGED, OSError for a file that is missing or cannot be read, and ValueError for one
    that was changed or cut, each naming the file and the way out.
    """
    packaged = PACKAGED[name]
    path = FOLDER / f"{name}.safetensors"
    try:
        content = path.read_bytes()
    except OSError as error:
        raise OSError(f"{path}: cannot be read ({error.strerror}); {AGAIN}") from error
    found = hashlib.sha256(content).hexdigest()
    if found != packaged.sha256:
        raise ValueError(
            f"{path}: has sha256 {found} in {len(content)} bytes, expected {packaged.sha256}; it was changed or cut off: {AGAIN}"
        )
    return content


def learnt() -> Learnt:
    """The pictures that both networks learnt from."""
    rows = list(csv.DictReader((FOLDER / "trained_on.csv").read_text(encoding="utf-8").splitlines()))
    with (FOLDER / "trained_on_signatures.npy").open("rb") as file:
        return Learnt(tuple(row["image"] for row in rows), np.load(file, allow_pickle=False))
