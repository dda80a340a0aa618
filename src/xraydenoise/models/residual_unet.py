"""A residual U-Net after DRUNet (Zhang et al. 2021): blocks of two convolutions, skips by addition, and the noise predicted, blindly.

Published shapes, those of the weights in this package: best, channels [40, 80, 160, 192], blocks [2, 2, 2, 4], unshuffle 2 (5,454,580
parameters, .203 MFLOP a pixel); fast, channels [32, 64, 96, 128], blocks [1, 1, 1, 2], unshuffle 2 (1,273,860 parameters, .057). There is
no normalisation, strided convolutions go down and transposed ones up. `unshuffle: 2` puts each 2x2 px into four channels first (FFDNet,
Zhang et al. 2018). The first weights are torch's own, since signals pass through the blocks by addition.
"""

from itertools import pairwise
from typing import Annotated, ClassVar, Literal

import torch.nn.functional as F  # noqa: N812
from pydantic import Field, model_validator
from torch import Tensor, nn

from xraydenoise.models import Network
from xraydenoise.models.initial import near_zero
from xraydenoise.models.padding import padded

Counts = tuple[Annotated[int, Field(ge=1)], ...]


class Config(Network):
    paper: ClassVar[str] = "Zhang et al. 2021, IEEE TPAMI 44(10)"
    kind: Literal["residual_unet"]
    channels: Counts = Field(min_length=2)  # of each level, from the finest; each halves the size of the one before
    blocks: Counts  # of each level, on its way down and again on its way up; the coarsest has them once
    unshuffle: Literal[1, 2]  # px, side of the square that is put into channels

    @model_validator(mode="after")
    def _as_many_blocks(self) -> "Config":
        if len(self.blocks) != len(self.channels):
            raise ValueError(f"blocks: one number for each of the {len(self.channels)} levels in channels")
        return self

    def build(self) -> nn.Module:
        return ResidualUNet(self.channels, self.blocks, self.unshuffle)


class ResidualUNet(nn.Module):
    def __init__(self, channels: Counts, blocks: Counts, unshuffle: int) -> None:
        super().__init__()
        self.unshuffle = unshuffle
        steps = list(pairwise(channels))  # channels above and below each halving
        self.head = nn.Conv2d(unshuffle**2, channels[0], 3, padding=1)
        self.enc = nn.ModuleList(chain(channels[level], blocks[level]) for level in range(len(steps)))
        self.down = nn.ModuleList(nn.Conv2d(finer, coarser, 2, stride=2) for finer, coarser in steps)
        self.mid = chain(channels[-1], blocks[-1])
        self.up = nn.ModuleList(nn.ConvTranspose2d(coarser, finer, 2, stride=2) for finer, coarser in steps)
        self.dec = nn.ModuleList(chain(channels[level], blocks[level]) for level in range(len(steps)))
        self.tail = nn.Conv2d(channels[0], unshuffle**2, 3, padding=1)
        near_zero(self.tail)

    def forward(self, noisy: Tensor) -> Tensor:  # (B, 1, H, W) -> the same
        height, width = noisy.shape[-2:]
        whole = padded(noisy, self.unshuffle * 2 ** len(self.down))
        hidden = self.head(F.pixel_unshuffle(whole, self.unshuffle))  # (B, C, H / u, W / u)
        skips = []
        for level, down in zip(self.enc, self.down, strict=True):
            skips.append(level(hidden))
            hidden = down(skips[-1])
        hidden = self.mid(hidden)
        for level, up in zip(reversed(self.dec), reversed(self.up), strict=True):
            hidden = level(up(hidden) + skips.pop())
        noise = F.pixel_shuffle(self.tail(hidden), self.unshuffle)
        return noisy - noise[..., :height, :width]


class Block(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.a = nn.Conv2d(channels, channels, 3, padding=1)
        self.b = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, hidden: Tensor) -> Tensor:  # (B, C, H, W) -> the same
        changed: Tensor = hidden + self.b(F.relu(self.a(hidden), inplace=True))
        return changed


def chain(channels: int, blocks: int) -> nn.Sequential:
    """So many blocks, one behind the other."""
    return nn.Sequential(*[Block(channels) for _ in range(blocks)])
