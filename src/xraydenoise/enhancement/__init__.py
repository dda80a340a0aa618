"""Enhancement: what makes a radiograph easier to read, and its noise easier to see (the input of the track `enhanced`)."""

from typing import Literal

import numpy as np
import torch
from pydantic import Field, field_validator

from xraydenoise import kinds
from xraydenoise.enhancement.curve import Curve, apply, fit
from xraydenoise.enhancement.presets import PRESETS, Preset, amplify, gains

__all__ = ["PRESETS", "Curve", "EnhanceConfig", "Position", "Preset", "amplify", "apply", "enhance", "fit", "gains"]

Position = Literal["before", "after", "both"]  # where noise joins: before the enhancement, after it, or at both places


class Counts(kinds.Config):
    """At most so many pictures of each split."""

    train: int = Field(ge=1)
    val: int = Field(ge=1)
    test: int = Field(ge=1)


class EnhanceConfig(kinds.Config):
    """Which presets are applied to how many pictures, how much of each is kept, and where noise joins."""

    presets: tuple[int, ...] = Field(min_length=1)  # numbers in PRESETS
    images: Counts
    region: int = Field(ge=32)  # px, side of the square that is kept; a smaller picture is kept whole
    noise: Position  # where noise joins

    @field_validator("presets")
    @classmethod
    def known(cls, presets: tuple[int, ...]) -> tuple[int, ...]:
        """Every preset exists, and none is named twice."""
        if unknown := [str(preset) for preset in presets if preset not in range(len(PRESETS))]:
            raise ValueError(f"unknown: {', '.join(unknown)}; expected some of 0 to {len(PRESETS) - 1}")
        if len(set(presets)) < len(presets):
            raise ValueError("a preset is named twice; name each once")
        return presets


def enhance(plain: np.ndarray, number: int) -> np.ndarray:
    """The whole picture as preset `number` shows it; float32 (H, W) in [0, 1] -> the same, saturated where it would leave [0, 1]."""
    linear = amplify(torch.tensor(plain)[None, None], gains([number]))  # (1, 1, H, W)
    finished: np.ndarray = apply(linear, torch.tensor([fit(linear, number)]))[0, 0].numpy()
    return finished
