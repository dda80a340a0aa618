"""The convolutional autoencoder with skip connections of a study on chest radiographs, after RED-Net (Mao et al. 2016).

Published shape: channels [64, 64, 128, 256, 518] with kernels of 4 and 8 px down and 4 to 16 px up, halving four times; what came down is
added at each scale on the way up; a linear convolution ends it. "12.6 M" parameters; additions give 12,373,063, and
concatenation would give 18.8 M: the layers that are told do not explain the difference.
"""

from itertools import pairwise
from typing import Annotated, ClassVar, Literal

import torch
import torch.nn.functional as F  # noqa: N812
from pydantic import Field
from torch import Tensor, nn

from xraydenoise.models import Network
from xraydenoise.models.padding import padded

DOWN = (8, 8, 8, 4)  # px, kernels of the strided convolutions
UP = (4, 8, 16, 16)  # of the transposed ones


class Config(Network):
    paper: ClassVar[str] = "after Mao, Shen, Yang 2016, NeurIPS"
    kind: Literal["skip_autoencoder"]
    channels: tuple[Annotated[int, Field(ge=1)], ...] = Field(min_length=5, max_length=5)  # at full size, and after each halving

    def build(self) -> nn.Module:
        return SkipAutoencoder(self.channels)


class SkipAutoencoder(nn.Module):
    def __init__(self, channels: tuple[int, ...]) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, channels[0], 4)
        steps = list(pairwise(channels))
        self.down = nn.ModuleList(
            nn.Conv2d(fine, coarse, kernel, stride=2, padding=kernel // 2 - 1) for (fine, coarse), kernel in zip(steps, DOWN, strict=True)
        )
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(coarse, fine, kernel, stride=2, padding=kernel // 2 - 1)
            for (fine, coarse), kernel in zip(reversed(steps), UP, strict=True)
        )
        self.last = nn.Conv2d(channels[0], 1, 3, padding=1)

    def forward(self, noisy: Tensor) -> Tensor:  # (B, 1, H, W) -> the same
        height, width = noisy.shape[-2:]
        whole = F.pad(padded(noisy, 2 ** len(DOWN)), (1, 2, 1, 2))  # a kernel of 4 px has no middle
        hidden, kept = torch.relu(self.first(whole)), []
        for layer in self.down:
            kept.append(hidden)
            hidden = torch.relu(layer(hidden))
        for layer in self.up:
            hidden = torch.relu(layer(hidden) + kept.pop())
        out: Tensor = self.last(hidden)
        return out.float()[..., :height, :width]
