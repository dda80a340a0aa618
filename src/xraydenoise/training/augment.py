"""Other brightness for training crops: gamma and inversion, drawn on the device before noise is added. Smaller ones: see `batches`."""

import torch
from pydantic import Field
from torch import Tensor

from xraydenoise import kinds


class Gamma(kinds.Config):
    """Brightness to the power exp(U(-range, range))."""

    share: float = Field(ge=0, le=1)  # of the crops
    range: float = Field(ge=0, le=3)  # of the exponent's logarithm


class Augment(kinds.Config):
    """What is done to clean training crops besides turning and mirroring them, so that a network knows pictures unlike these."""

    gamma: Gamma
    inverted: float = Field(ge=0, le=1)  # share of the crops that are inverted, black for white
    half: float = Field(
        ge=0, le=1
    )  # share of the batches that are of half the resolution, from pictures that are two patches high and wide


def brightened(clean: Tensor, augment: Augment, generator: torch.Generator) -> Tensor:
    """Float32 (B, 1, P, P) in [0, 1] -> the same, some with a gamma and some inverted."""
    drawn = torch.rand(3, len(clean), 1, 1, 1, generator=generator, device=clean.device)
    exponents = augment.gamma.range * (2 * drawn[0] - 1) * (drawn[1] < augment.gamma.share)  # 0, a power of 1, for the others
    brightness = clean ** exponents.exp()
    return torch.where(drawn[2] < augment.inverted, 1 - brightness, brightness)
