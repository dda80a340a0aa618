"""Labelling: what pretrained Real-ESRGAN makes of a picture, at the same size; the target of the track `enhanced` comes from it."""

import hashlib
import json
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from pydantic import Field, model_validator

from xraydenoise import kinds
from xraydenoise.labelling import audit, tiles, weights


class LabelConfig(kinds.Config):
    """Which network makes the labels, from which weights, and what it may not do."""

    order: Literal["plain", "enhanced"]  # plain: the presets enhance what the network made of the plain picture, as system A's do
    network: Literal["x4plus", "general-x4v3"]
    weights: str = Field(min_length=1)  # `package`, or the path or URL of the official .pth
    tile: int = Field(ge=64)  # px, largest side of a tile
    overlap: int = Field(ge=32)  # px that neighbouring tiles share and blend
    max_shift: float = Field(gt=0, le=1)  # largest |mean(label) - mean(input)|, fraction of full scale; beyond, the label is broken
    veto: audit.Limits
    max_vetoed: float = Field(ge=0, le=1)  # share of vetoed labels that the stage puts up with

    @model_validator(mode="after")
    def entries_agree(self) -> "LabelConfig":
        """The package carries one network only; tiles are more than what they share; what is vetoed is not yet broken."""
        if self.weights == weights.PACKAGE and self.network != "x4plus":
            url = weights.OFFICIAL[self.network].url
            raise ValueError(f"weights: the package carries x4plus alone, not {self.network}; give the path or URL of {url}")
        if self.overlap > self.tile // 2:
            raise ValueError(f"overlap: {self.overlap} px is more than half a tile of {self.tile} px; at most {self.tile // 2}")
        if self.veto.shift > self.max_shift:
            raise ValueError(f"veto.shift: {self.veto.shift:g} is more than max_shift, {self.max_shift:g}, which stops the stage")
        return self


class Labeller:
    """The network of a LabelConfig on a device, in float32 or, by autocast, in bfloat16."""

    def __init__(self, config: LabelConfig, folder: Path, device: torch.device, precision: torch.dtype) -> None:
        """Check and load the weights; those of a URL are kept in `folder`. Raises as `weights.locate` does."""
        network = weights.load(config.network, weights.locate(config.network, config.weights, folder))
        self.config, self.device, self.precision = config, device, precision
        self.network = network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """float32 (H, W) in [0, 1] -> the same size; it may overshoot [0, 1] a little, or be NaN: `audit.refuse` tells."""
        return tiles.same_size(self.network, pixels, self.config.tile, self.config.overlap, self.precision)

    def key(self, pixels: np.ndarray) -> str:
        """A name for the label of `pixels`: the same for the same pixels, weights, tiling and arithmetic, and only then."""
        made_by = (
            self.config.network,
            weights.pinned(self.config.network, self.config.weights),
            self.config.tile,
            self.config.overlap,
            self.device.type,
            str(self.precision),
            torch.get_num_threads(),
            pixels.shape,
        )
        return hashlib.sha256(json.dumps(made_by).encode() + pixels.tobytes()).hexdigest()
