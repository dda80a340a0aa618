"""RDN, the residual dense network (Zhang et al. 2018, CVPR; for denoising: TPAMI 2021): every layer of a block sees all before it.

Published shape: channels 64, blocks 16, layers 8, growth 64, unshuffle 1 (21,973,377 parameters, about 22 M). Blocks of densely joined
3x3 convolutions with ReLU, a 1x1 fusion and a residual each; all blocks fused at the end. `unshuffle: 2` puts each 2x2 px into four
channels first (FFDNet, Zhang et al. 2018): a quarter of the work.
"""

from typing import ClassVar, Literal

import torch
import torch.nn.functional as F  # noqa: N812
from pydantic import Field
from torch import Tensor, nn

from xraydenoise.models import Network
from xraydenoise.models.initial import near_zero, pass_on
from xraydenoise.models.padding import padded


class Config(Network):
    paper: ClassVar[str] = "Zhang et al. 2021, IEEE TPAMI 43(7)"
    kind: Literal["rdn"]
    channels: int = Field(ge=1)  # that go from block to block
    blocks: int = Field(ge=1)
    layers: int = Field(ge=1)  # convolutions of a block
    growth: int = Field(ge=1)  # channels that each of them adds
    unshuffle: Literal[1, 2]  # px, side of the square that is put into channels

    def build(self) -> nn.Module:
        return RDN(self.channels, self.blocks, self.layers, self.growth, self.unshuffle)


class RDN(nn.Module):
    def __init__(self, channels: int, blocks: int, layers: int, growth: int, unshuffle: int) -> None:
        super().__init__()
        self.unshuffle = unshuffle
        self.first = nn.Conv2d(unshuffle**2, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        self.blocks = nn.ModuleList(DenseBlock(channels, layers, growth) for _ in range(blocks))
        self.fusion = nn.Sequential(nn.Conv2d(blocks * channels, channels, 1), nn.Conv2d(channels, channels, 3, padding=1))
        self.last = nn.Conv2d(channels, unshuffle**2, 3, padding=1)
        pass_on(self.blocks)
        for block in self.blocks:
            near_zero(block.fusion)  # type: ignore[arg-type]  # or sixteen residuals would add up to many times the picture
        near_zero(self.last)

    def forward(self, noisy: Tensor) -> Tensor:  # (B, 1, H, W) -> the same
        height, width = noisy.shape[-2:]
        shallow = self.first(F.pixel_unshuffle(padded(noisy, self.unshuffle), self.unshuffle))  # (B, C, H / u, W / u)
        hidden, seen = self.second(shallow), []
        for block in self.blocks:
            hidden = block(hidden)
            seen.append(hidden)
        out = F.pixel_shuffle(self.last(self.fusion(torch.cat(seen, dim=1)) + shallow), self.unshuffle)
        return noisy + out[..., :height, :width]


class DenseBlock(nn.Module):
    """(B, C, H, W) -> the same: each convolution sees the block's input and all that was added to it."""

    def __init__(self, channels: int, layers: int, growth: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(channels + place * growth, growth, 3, padding=1) for place in range(layers))
        self.fusion = nn.Conv2d(channels + layers * growth, channels, 1)

    def forward(self, hidden: Tensor) -> Tensor:
        joined = hidden
        for layer in self.layers:
            joined = torch.cat([joined, F.relu(layer(joined))], dim=1)
        out: Tensor = hidden + self.fusion(joined)
        return out
