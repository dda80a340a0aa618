"""The U-shaped denoiser of Ding Liu et al. 2018 (When Image Denoising Meets High-Level Vision Tasks): features at three scales.

Published shape: channels 64 (1,027,425 parameters for gray pictures, "about 1.03 M"): 5x5 convolution, two strided ones with bottleneck
residuals, transposed convolutions back up joined with what came down, and the noisy picture added at the end. It is trained alone or
joined to a frozen classifier (objective `joint`).
"""

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from xraydenoise.models import Network
from xraydenoise.models.initial import near_zero, pass_on
from xraydenoise.models.padding import padded


class Config(Network):
    paper: ClassVar[str] = "Liu et al. 2018, IJCAI"
    kind: Literal["ding_liu"]
    channels: int = Field(ge=4, multiple_of=4)  # of the first convolution; the others have 1/2 to 4 times as many

    def build(self) -> nn.Module:
        return DingLiu(self.channels)


class DingLiu(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, channels, 5, padding=2)
        self.at_half = nn.Sequential(convolution(channels, 2 * channels, stride=2), Bottleneck(2 * channels))
        self.at_quarter = nn.Sequential(convolution(2 * channels, 2 * channels, stride=2), Bottleneck(2 * channels))
        self.up_half = nn.ConvTranspose2d(2 * channels, channels // 2, 4, stride=2, padding=1)
        self.joined = nn.Sequential(convolution(2 * channels + channels // 2, 4 * channels), Bottleneck(4 * channels))
        self.up_whole = nn.ConvTranspose2d(4 * channels, channels, 4, stride=2, padding=1)
        self.last = nn.Conv2d(2 * channels, 1, 3, padding=1)
        for part in (self.first, self.at_half, self.at_quarter, self.joined):
            pass_on(part)
        near_zero(self.last)

    def forward(self, noisy: Tensor) -> Tensor:  # (B, 1, H, W) -> the same
        height, width = noisy.shape[-2:]
        whole = self.first(padded(noisy, 4))
        half = self.at_half(whole)
        hidden = self.joined(torch.cat([self.up_half(self.at_quarter(half)), half], dim=1))
        added: Tensor = self.last(torch.cat([self.up_whole(hidden), whole], dim=1))
        return noisy + added[..., :height, :width]


class Bottleneck(nn.Module):
    """Residual of 1x1, 3x3 and 1x1 convolutions through a quarter of the channels (He et al. 2016); (B, C, H, W) -> the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        narrow = channels // 4
        self.body = nn.Sequential(
            convolution(channels, narrow, kernel=1),
            convolution(narrow, narrow),
            nn.Conv2d(narrow, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
        )
        self.relu = nn.ReLU()

    def forward(self, hidden: Tensor) -> Tensor:
        out: Tensor = self.relu(hidden + self.body(hidden))
        return out


def convolution(before: int, after: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """(B, before, H, W) -> (B, after, H / stride, W / stride), batch normalisation and ReLU behind it."""
    layer = nn.Conv2d(before, after, kernel, stride, padding=kernel // 2, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(after), nn.ReLU(inplace=True))
