"""Few photons and a noisy detector: y = Poisson(peak * x) / peak + N(0, sigma^2) (Foi et al. 2008), whose variance is x / peak + sigma^2.

A. Foi, M. Trimeche, V. Katkovnik, K. Egiazarian, IEEE Transactions on Image Processing 17(10), 1737-1754.
"""

from typing import Annotated, Literal

import torch
from torch import Tensor

from xraydenoise.noise import Amount, Noise, amount, normal, photons, within


class Config(Noise):
    kind: Literal["poisson_gaussian"]
    peak: Annotated[Amount, within(0.1)]  # photons at full scale, a range log-uniformly; fewer are noisier
    sigma: Annotated[Amount, within(0, 1)]  # standard deviation of the detector's part, fraction of full scale

    def degrade(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        peak, sigma = photons(self.peak, clean, generator), amount(self.sigma, clean, generator)
        return torch.poisson(peak * clean, generator=generator) / peak + sigma * normal(clean, generator)
