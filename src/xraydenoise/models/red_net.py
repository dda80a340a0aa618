"""RED-Net (Mao, Shen, Yang 2016): a chain of convolutions mirrored by transposed ones, with additions across every second layer.

Published shapes: channels 64, depth 10, 20 or 30, unshuffle 1 (296,641, 665,921 and 1,035,201 parameters; half of the layers are
transposed). No pooling, so fine detail survives; the noisy picture is added at the end. `unshuffle: 2` puts each 2x2 px into four channels
first (FFDNet, Zhang et al. 2018): a quarter of the work.
"""

from typing import ClassVar, Literal

import torch.nn.functional as F  # noqa: N812
from pydantic import Field
from torch import Tensor, nn

from xraydenoise.models import Network
from xraydenoise.models.initial import near_zero, pass_on
from xraydenoise.models.padding import padded


class Config(Network):
    paper: ClassVar[str] = "Mao, Shen, Yang 2016, NeurIPS"
    kind: Literal["red_net"]
    channels: int = Field(ge=1)  # of every layer but the last
    depth: int = Field(ge=4, multiple_of=2)  # layers, half of them transposed
    unshuffle: Literal[1, 2]  # px, side of the square that is put into channels

    def build(self) -> nn.Module:
        return REDNet(self.channels, self.depth, self.unshuffle)


class REDNet(nn.Module):
    def __init__(self, channels: int, depth: int, unshuffle: int) -> None:
        super().__init__()
        self.unshuffle = unshuffle
        half = depth // 2
        self.down = nn.ModuleList(nn.Conv2d(channels if place else unshuffle**2, channels, 3, padding=1) for place in range(half))
        self.up = nn.ModuleList(nn.ConvTranspose2d(channels, channels, 3, padding=1) for _ in range(half - 1))
        self.last = nn.ConvTranspose2d(channels, unshuffle**2, 3, padding=1)
        pass_on(self.down)
        pass_on(self.up)
        near_zero(self.last)

    def forward(self, noisy: Tensor) -> Tensor:  # (B, 1, H, W) -> the same
        height, width = noisy.shape[-2:]
        hidden = F.pixel_unshuffle(padded(noisy, self.unshuffle), self.unshuffle)  # (B, u * u, H / u, W / u)
        kept = []
        for layer in self.down:
            hidden = F.relu(layer(hidden))
            kept.append(hidden)
        for place, layer in zip(reversed(range(len(self.up))), self.up, strict=True):  # comes to where convolution `place` had left
            hidden = layer(hidden)
            hidden = F.relu(hidden + kept[place] if place % 2 else hidden)
        out = F.pixel_shuffle(self.last(hidden), self.unshuffle)
        return noisy + out[..., :height, :width]
