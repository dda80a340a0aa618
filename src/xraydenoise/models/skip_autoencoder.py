"""The convolutional autoencoder with skip connections of a study on chest radiographs, after RED-Net (Mao et al. 2016).

Published shape: channels [64, 64, 128, 256, 518], last 64 (12,634,631 parameters). Kernels of 4 and 8 px down and 4 to 16 px up, halving
four times; on the way up each ReLU comes first and what came down is added behind it; a linear transposed convolution of 64x64 px ends it.

It was made for pictures of 64x64 px, on which that last kernel covers the whole picture and sees zeros around it. Larger pictures are
therefore tiled and blended, so that each patch meets what training met, whatever the far taps have learnt. From torch's usual first weights
one pass over the whole picture gave 19.0 dB and tiles 28.3; the last layer starts near zero here, and both gave 32.0 (channels [16, 16, 32,
48, 64], 1200 steps of 8 crops of 64 px; chest radiographs of 256 px, Gaussian noise of sigma 0.1). Tiles cost what overlap costs: the
published shape takes 1.7 MFLOP a pixel at 64x64 px and 5.1 at 256x256 px, a third of it in the last layer.
"""

from itertools import pairwise
from typing import Annotated, ClassVar, Literal

import torch
import torch.nn.functional as F  # noqa: N812
from pydantic import Field
from torch import Tensor, nn

from xraydenoise.models import Network
from xraydenoise.models.initial import near_zero
from xraydenoise.models.patches import patchwise

SIDE = 64  # px of a patch
DOWN = (8, 8, 8, 4)  # px, kernels of the strided convolutions
UP = (4, 8, 16, 16)  # of the transposed ones


class Config(Network):
    paper: ClassVar[str] = "after Mao, Shen, Yang 2016, NeurIPS"
    kind: Literal["skip_autoencoder"]
    channels: tuple[Annotated[int, Field(ge=1)], ...] = Field(min_length=5, max_length=5)  # at full size, and after each halving
    last: int = Field(ge=1)  # px, kernel of the last transposed convolution

    def build(self) -> nn.Module:
        return SkipAutoencoder(self.channels, self.last)


class SkipAutoencoder(nn.Module):
    def __init__(self, channels: tuple[int, ...], last: int) -> None:
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
        self.last = nn.ConvTranspose2d(channels[0], 1, last, padding=(last - 1) // 2)
        near_zero(self.last)

    def forward(self, noisy: Tensor) -> Tensor:  # (B, 1, H, W) -> the same
        return patchwise(self.patch, noisy, SIDE)

    def patch(self, noisy: Tensor) -> Tensor:  # (N, 1, SIDE, SIDE) -> the same
        hidden, kept = torch.relu(self.first(F.pad(noisy, (1, 2, 1, 2)))), []  # a kernel of 4 px has no middle
        for layer in self.down:
            kept.append(hidden)
            hidden = torch.relu(layer(hidden))
        for layer in self.up:
            hidden = torch.relu(layer(hidden)) + kept.pop()
        out: Tensor = self.last(hidden)
        return out[..., :SIDE, :SIDE]  # an even kernel leaves a row and a column more
