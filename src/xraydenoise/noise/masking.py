"""Masking noise: y = 0 at a fixed number of pixels chosen at random, else x (Vincent et al. 2008)."""

from typing import Annotated, Literal

import torch
from torch import Tensor

from xraydenoise.noise import Amount, Noise, amount, within


class Config(Noise):
    kind: Literal["masking"]
    share: Annotated[Amount, within(0, 1)]  # of each picture's pixels, rounded to whole pixels
    clip: Literal[True] = True  # nothing leaves [0, 1]

    @property
    def averages_out(self) -> bool:
        return False

    def degrade(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        share = amount(self.share, clean, generator).flatten(1)  # (B, 1)
        chance = torch.rand(clean.shape, generator=generator, device=clean.device).flatten(1)  # (B, H * W)
        pixels = chance.shape[1]
        first = torch.arange(pixels, device=clean.device) < (share * pixels).round()  # (B, H * W), as many as are to be masked
        masked = torch.zeros_like(first).scatter(1, chance.argsort(1), first)  # put where chance is lowest; a threshold would miss by ties
        return clean.masked_fill(masked.view(clean.shape), 0)
