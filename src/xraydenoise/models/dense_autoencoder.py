"""The autoencoder with a dense bottleneck of a study on chest radiographs: a whole patch in `code` numbers.

Published shape: side 64, channels [32, 64], code 150, kernel 3 (2,525,719 parameters: 2,525,591 that are learnt, and the 128 running means
and variances of the batch normalisation, which the source counts too). Strided 3x3 convolutions without padding, batch normalisation, a
dense code, and transposed convolutions back up, with a sigmoid at the end, as it was trained by cross-entropy (objective `bce`). Kernel 4
mends the published decoder, whose pictures are blocky, and adds 14,336 parameters. Larger pictures are tiled and blended.
"""

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from xraydenoise.models import Network
from xraydenoise.models.bottleneck import Kernel, coarse, decoder, encoder
from xraydenoise.models.patches import patchwise


class Config(Network):
    paper: ClassVar[str] = "after Hinton and Salakhutdinov 2006, Science 313"
    kind: Literal["dense_autoencoder"]
    side: int = Field(ge=16, multiple_of=8)  # px of a patch
    channels: tuple[int, int]  # of the two strided convolutions
    code: int = Field(ge=1)  # numbers that a patch passes through
    kernel: Kernel = 4

    @property
    def bounded(self) -> bool:
        return True

    def build(self) -> nn.Module:
        return DenseAutoencoder(self.side, self.channels, self.code, self.kernel)


class DenseAutoencoder(nn.Module):
    def __init__(self, side: int, channels: tuple[int, int], code: int, kernel: Kernel) -> None:
        super().__init__()
        self.side = side
        self.encode = nn.Sequential(
            encoder(channels), nn.BatchNorm2d(channels[1]), nn.Flatten(), nn.Linear(channels[1] * coarse(side) ** 2, code)
        )
        self.decode = decoder(side, channels, code, kernel)

    def forward(self, noisy: Tensor) -> Tensor:  # (B, 1, H, W) -> the same
        return patchwise(self.patch, noisy, self.side)

    def patch(self, noisy: Tensor) -> Tensor:  # (N, 1, side, side) -> the same
        return torch.sigmoid(self.decode(self.encode(noisy)).to(noisy.dtype))
