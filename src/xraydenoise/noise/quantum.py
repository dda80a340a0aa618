"""Quantum noise of few photons: y = Poisson(peak * x) / peak (Foi et al. 2008), whose variance is x / peak."""

from typing import Annotated, Literal

import torch
from torch import Tensor

from xraydenoise.noise import Amount, Noise, photons, within


class Config(Noise):
    kind: Literal["quantum"]
    peak: Annotated[Amount, within(0.1)]  # photons at full scale, a range log-uniformly; fewer are noisier

    def degrade(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        peak = photons(self.peak, clean, generator)
        return torch.poisson(peak * clean, generator=generator) / peak
