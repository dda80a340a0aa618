"""Speckle, which grows with brightness: y = x + x * N(0, sigma^2), as scikit-image's 'speckle' has it."""

from typing import Annotated, Literal

import torch
from torch import Tensor

from xraydenoise.noise import Amount, Noise, amount, normal, within


class Config(Noise):
    kind: Literal["speckle"]
    sigma: Annotated[Amount, within(0, 1)]  # standard deviation, fraction of the pixel's own brightness

    def degrade(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        sigma = amount(self.sigma, clean, generator)
        return clean + clean * sigma * normal(clean, generator)
