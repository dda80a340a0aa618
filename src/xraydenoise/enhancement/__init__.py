from typing import Literal

import numpy as np
import torch
from pydantic import Field

from xraydenoise import kinds
from xraydenoise.enhancement.curve import Curve, apply, fit
from xraydenoise.enhancement.noisy import Position, noisy
from xraydenoise.enhancement.presets import PRESETS, amplify, gains


class Counts(kinds.Config):
    train: int = Field(ge=1)
    val: int = Field(ge=1)
    test: int = Field(ge=1)


class EnhanceConfig(kinds.Config):
    presets: tuple[int, ...] = Field(min_length=1)
    images: Counts
    region: int = Field(ge=32)
    noise: Position


def enhance(plain, number):
    a = amplify(torch.from_numpy(plain)[None, None], gains([number]))
    return apply(a, torch.tensor([fit(a, number)]))[0, 0].numpy()
