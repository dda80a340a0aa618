"""DnCNN (Zhang et al. 2017): a chain of convolutions that predicts the noise, which is then taken from the noisy picture.

Published shape: channels 64, depth 17, batch_norm true, unshuffle 1 (556,097 parameters); the blind variant has depth 20. The convolutions
before a batch normalisation have no bias, which it would cancel. `unshuffle: 2` puts each 2x2 px into four channels first (FFDNet, Zhang
et al. 2018): a quarter of the work, and twice the field of view.
"""

from typing import ClassVar, Literal

import torch.nn.functional as F  # noqa: N812
from pydantic import Field
from torch import Tensor, nn

from xraydenoise.models import Network
from xraydenoise.models.initial import near_zero, pass_on
from xraydenoise.models.padding import padded


class Config(Network):
    paper: ClassVar[str] = "Zhang et al. 2017, IEEE TIP 26(7)"
    kind: Literal["dncnn"]
    channels: int = Field(ge=1)  # of every layer between the first and the last
    depth: int = Field(ge=2)  # convolutions
    unshuffle: Literal[1, 2]  # px, side of the square that is put into channels
    batch_norm: bool

    def build(self) -> nn.Module:
        return DnCNN(self.channels, self.depth, self.unshuffle, self.batch_norm)


class DnCNN(nn.Module):
    def __init__(self, channels: int, depth: int, unshuffle: int, batch_norm: bool) -> None:
        super().__init__()
        self.unshuffle = unshuffle
        layers: list[nn.Module] = [nn.Conv2d(unshuffle**2, channels, 3, padding=1), nn.ReLU(inplace=True)]
        for _ in range(depth - 2):
            layers.append(nn.Conv2d(channels, channels, 3, padding=1, bias=not batch_norm))
            if batch_norm:
                layers.append(nn.BatchNorm2d(channels))
            layers.append(nn.ReLU(inplace=True))
        self.body = nn.Sequential(*layers)
        self.last = nn.Conv2d(channels, unshuffle**2, 3, padding=1)
        pass_on(self.body)
        near_zero(self.last)

    def forward(self, noisy: Tensor) -> Tensor:  # (B, 1, H, W) -> the same
        height, width = noisy.shape[-2:]
        hidden = F.pixel_unshuffle(padded(noisy, self.unshuffle), self.unshuffle)  # (B, u * u, H / u, W / u)
        noise = F.pixel_shuffle(self.last(self.body(hidden)), self.unshuffle)
        return noisy - noise[..., :height, :width]
