"""Noise that neighbours share, as in real detectors: another noise, blurred by a Gaussian of 5x5 px: y = x + G * (noise(x) - x).

The blur lowers the variance, to the sum of the squared weights of its kernel times what the other noise has.
"""

from typing import Annotated, Literal

import torch
import torch.nn.functional as F  # noqa: N812
from pydantic import field_validator
from torch import Tensor

from xraydenoise.noise import Amount, Noise, NoiseConfig, amount, within

REACH = 2  # px that the kernel extends on each side of its middle


class Config(Noise):
    kind: Literal["correlated"]
    noise: NoiseConfig  # drawn first; its clip is false, since what is cut to [0, 1] is the sum
    sigma: Annotated[Amount, within(0.1)]  # px, standard deviation of the blur

    @field_validator("noise")
    @classmethod
    def _is_not_clipped(cls, noise: Noise) -> Noise:
        if noise.clip:
            raise ValueError(f"{noise.kind} with clip true is clipped before the blur; use a noise with clip false, and clip this one")
        return noise

    @property
    def averages_out(self) -> bool:
        return False

    def degrade(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        sigma = amount(self.sigma, clean, generator)
        framed = F.pad(clean, (REACH,) * 4, mode="replicate")  # noise is drawn around the picture too: at its edges it is as strong
        return clean + blurred(self.noise(framed, generator) - framed, sigma)


def blurred(pictures: Tensor, sigma: Tensor) -> Tensor:
    """(B, 1, H + 4, W + 4) and px (B, 1, 1, 1) -> (B, 1, H, W). By sums, since autocast would run a convolution in bfloat16."""
    places = torch.arange(-REACH, REACH + 1, device=pictures.device)
    weights = torch.exp(-((places / sigma) ** 2) / 2)  # (B, 1, 1, 5)
    weights = weights / weights.sum(dim=-1, keepdim=True)
    for dim in (-2, -1):
        length = pictures.shape[dim] - 2 * REACH
        parts = [weights[..., place, None] * pictures.narrow(dim, place, length) for place in range(2 * REACH + 1)]
        pictures = sum(parts[1:], start=parts[0])
    return pictures
