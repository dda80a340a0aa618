"""The autoencoder with a dense bottleneck of a study on chest radiographs: a whole patch in `code` numbers.

Published shape: side 64, channels [32, 64], code 150 (2,837,527 parameters). Strided 3x3 convolutions, batch normalisation, a dense code,
and transposed convolutions back up, with a sigmoid at the end. The original's transposed convolution of kernel 3 and stride 4 leaves
pixels that see only the bias, so its pictures are blocky; here its kernel is 4. Larger pictures are tiled and blended.
"""

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from xraydenoise.models import Network
from xraydenoise.models.bottleneck import decoder, encoder
from xraydenoise.models.patches import patchwise


class Config(Network):
    paper: ClassVar[str] = "after Hinton and Salakhutdinov 2006, Science 313"
    kind: Literal["dense_autoencoder"]
    side: int = Field(ge=16, multiple_of=8)  # px of a patch
    channels: tuple[int, int]  # of the two strided convolutions
    code: int = Field(ge=1)  # numbers that a patch passes through

    @property
    def bounded(self) -> bool:
        return True

    def build(self) -> nn.Module:
        return DenseAutoencoder(self.side, self.channels, self.code)


class DenseAutoencoder(nn.Module):
    def __init__(self, side: int, channels: tuple[int, int], code: int) -> None:
        super().__init__()
        self.side = side
        self.encode = nn.Sequential(
            encoder(channels), nn.BatchNorm2d(channels[1]), nn.Flatten(), nn.Linear(channels[1] * (side // 4) ** 2, code)
        )
        self.decode = decoder(side, channels, code)

    def forward(self, noisy: Tensor) -> Tensor:  # (B, 1, H, W) -> the same
        return patchwise(self.patch, noisy, self.side)

    def patch(self, noisy: Tensor) -> Tensor:  # (N, 1, side, side) -> the same
        return torch.sigmoid(self.decode(self.encode(noisy)).float())
