"""Neighbor2Neighbor (Huang et al. 2021, CVPR): learning from noisy pictures alone, each pixel's neighbour standing in for its truth.

Of every 2x2 px two neighbours are drawn: one goes into a picture of half the size that the network sees, the other into the one that it
must give. That their clean values differ is made up for by a second term, whose weight grows to `weight` over the budget. It holds for
noise that is independent from pixel to pixel and of mean 0; clipping makes the mean differ, and the network then learns that mean.
"""

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F  # noqa: N812
from pydantic import Field
from torch import Tensor, nn

from xraydenoise.models import Network
from xraydenoise.noise import Noise
from xraydenoise.training.objectives import Batch, Objective

NEIGHBOURS = torch.tensor([[0, 1], [0, 2], [1, 3], [2, 3], [1, 0], [2, 0], [3, 1], [3, 2]])  # of the cell 0 1 / 2 3


class Config(Objective):
    needs_target: ClassVar[bool] = False

    kind: Literal["neighbor2neighbor"]
    weight: float = Field(ge=0)  # of the second term, at the end

    def check(self, network: Network, mixture: Sequence[Noise]) -> None:  # noqa: ARG002
        if other := [repr(noise) for noise in mixture if not noise.averages_out]:
            raise ValueError(f"neighbor2neighbor needs noise of mean 0, independent from pixel to pixel; found {', '.join(other)}")

    def loss(self, network: nn.Module, batch: Batch, done: float, classifier: nn.Module | None) -> Tensor:  # noqa: ARG002
        noisy = batch.noisy[..., : batch.noisy.shape[-2] // 2 * 2, : batch.noisy.shape[-1] // 2 * 2]
        cells = (len(noisy), noisy.shape[-2] // 2, noisy.shape[-1] // 2)
        drawn = torch.randint(len(NEIGHBOURS), cells, generator=batch.generator, device=noisy.device)
        pairs = NEIGHBOURS.to(noisy.device)[drawn].movedim(-1, 1)  # (B, 2, H / 2, W / 2)
        seen, wanted = neighbours(noisy, pairs)
        with torch.no_grad():
            whole_seen, whole_wanted = neighbours(network(noisy), pairs)
        error: Tensor = network(seen) - wanted
        return error.square().mean() + self.weight * done * (error - (whole_seen - whole_wanted)).square().mean()


def neighbours(pictures: Tensor, pairs: Tensor) -> tuple[Tensor, Tensor]:
    """(B, 1, H, W) -> two of (B, 1, H / 2, W / 2): of each cell the pixels that `pairs` (B, 2, H / 2, W / 2), 0 to 3, name."""
    found = F.pixel_unshuffle(pictures, 2).gather(1, pairs)
    return found[:, :1], found[:, 1:]
