"""Additive Gaussian noise, the same everywhere: y = x + N(mean, sigma^2).

What is published with a factor, y = clip(x + f N(m, s^2)), is mean = f m, sigma = f s and clip: true; f .2, m 1, s 2 is mean .2, sigma .4.
"""

from typing import Annotated, Literal

import torch
from torch import Tensor

from xraydenoise.noise import Amount, Noise, amount, bounds, normal, within


class Config(Noise):
    kind: Literal["gaussian"]
    mean: Annotated[Amount, within(-1, 1)]  # fraction of full scale
    sigma: Annotated[Amount, within(0, 1)]  # standard deviation, fraction of full scale

    @property
    def averages_out(self) -> bool:
        return bounds(self.mean) == (0, 0)

    def degrade(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        mean, sigma = amount(self.mean, clean, generator), amount(self.sigma, clean, generator)
        return clean + mean + sigma * normal(clean, generator)
