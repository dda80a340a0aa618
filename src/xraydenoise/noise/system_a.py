"""The noise that EUDnCNN trains on: Poisson, then for some pictures a blur, then for some Gaussian noise; clipped.

Its authors call `skimage.util.random_noise('poisson')`, whose automatic peak is 256 for a picture of 8 bits, and which clips; here the peak
is explicit. The blur is OpenCV's GaussianBlur of 3x3 px and sigma 3 px with its default border.
"""

import math
from typing import Annotated, Literal

import torch
import torch.nn.functional as F  # noqa: N812
from pydantic import Field
from torch import Tensor

from xraydenoise.noise import Amount, Noise, amount, normal, photons, within

BLUR_SIGMA = 3.0  # px
SIDE = math.exp(-1 / (2 * BLUR_SIGMA**2))  # weight of a neighbour, where that of the middle pixel is 1


class Config(Noise):
    kind: Literal["system_a"]
    peak: Annotated[Amount, within(0.1)]  # photons at full scale, a range log-uniformly
    blur: float = Field(ge=0, le=1)  # share of the pictures that are blurred
    gaussian: float = Field(ge=0, le=1)  # share of the pictures that get Gaussian noise on top
    sigma: Annotated[Amount, within(0, 1)]  # standard deviation of the latter, fraction of full scale
    clip: Literal[True] = True  # part of the recipe

    @property
    def averages_out(self) -> bool:
        return False

    def degrade(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        peak, sigma = photons(self.peak, clean, generator), amount(self.sigma, clean, generator)
        chance = torch.rand(2, len(clean), 1, 1, 1, generator=generator, device=clean.device)
        noisy = (torch.poisson(peak * clean, generator=generator) / peak).clamp(max=1)
        noisy = torch.where(chance[0] < self.blur, blurred(noisy), noisy)
        return noisy + (chance[1] < self.gaussian) * sigma * normal(clean, generator)


def blurred(pictures: Tensor) -> Tensor:
    """Gaussian blur of 3x3 px, borders reflected about the outermost pixels; (B, 1, H, W) of at least 2x2 px -> the same."""
    framed = F.pad(pictures, (1, 1, 1, 1), mode="reflect")
    rows = framed[..., 1:-1, :] + SIDE * (framed[..., :-2, :] + framed[..., 2:, :])
    both = rows[..., 1:-1] + SIDE * (rows[..., :-2] + rows[..., 2:])
    return both / (1 + 2 * SIDE) ** 2
