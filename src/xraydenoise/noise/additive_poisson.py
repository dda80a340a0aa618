"""Additive Poisson noise, which only brightens: y = x + factor * Poisson(rate), as the cephalogram autoencoder's authors drew it."""

from typing import Annotated, Literal

import torch
from torch import Tensor

from xraydenoise.noise import Amount, Noise, amount, within


class Config(Noise):
    kind: Literal["additive_poisson"]
    factor: Annotated[Amount, within(0, 1)]  # brightness of one count, fraction of full scale
    rate: Annotated[Amount, within(0)]  # mean counts a pixel, whatever its brightness

    @property
    def averages_out(self) -> bool:
        return False

    def degrade(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        factor, rate = amount(self.factor, clean, generator), amount(self.rate, clean, generator)
        return clean + factor * torch.poisson(rate.expand_as(clean), generator=generator)
