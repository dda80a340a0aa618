"""U-Net (Ronneberger et al. 2015) as a project on dental X-rays shaped it: pooling down, nearest-neighbour up, skips by concatenation.

Published shape: channels [64, 128, 256], bottleneck 512, unshuffle 1, residual false (7,781,761 parameters): two 3x3 convolutions a level,
no batch normalisation, a sigmoid at the end. `residual: true` predicts the noise instead and has no sigmoid; `batch_norm: true` beside it
took 400 steps of 8 crops from 23.0 to 27.7 dB (blind mixture, chest radiographs at 256 px). `unshuffle: 2` puts each 2x2 px into four
channels first (FFDNet, Zhang et al. 2018): a quarter of the work.
"""

from typing import Annotated, ClassVar, Literal

import torch
import torch.nn.functional as F  # noqa: N812
from pydantic import Field
from torch import Tensor, nn

from xraydenoise.models import Network
from xraydenoise.models.initial import near_zero, pass_on
from xraydenoise.models.padding import padded


class Config(Network):
    paper: ClassVar[str] = "Ronneberger et al. 2015, MICCAI"
    kind: Literal["unet"]
    channels: tuple[Annotated[int, Field(ge=1)], ...] = Field(min_length=1)  # of each level, from the finest; each halves the size
    bottleneck: int = Field(ge=1)  # channels at the coarsest
    unshuffle: Literal[1, 2]  # px, side of the square that is put into channels
    residual: bool  # predict the noise, not the picture
    batch_norm: bool  # normalise after every 3x3 convolution

    @property
    def bounded(self) -> bool:
        return not self.residual

    def build(self) -> nn.Module:
        return UNet(self.channels, self.bottleneck, self.unshuffle, self.residual, self.batch_norm)


class UNet(nn.Module):
    def __init__(self, channels: tuple[int, ...], bottleneck: int, unshuffle: int, residual: bool, batch_norm: bool) -> None:
        super().__init__()
        self.unshuffle, self.residual = unshuffle, residual
        finer = (unshuffle**2, *channels)  # what comes down to each level
        coarser = (*channels[1:], bottleneck)  # what comes up to it
        self.down = nn.ModuleList(two_convolutions(before, here, batch_norm) for before, here in zip(finer, channels, strict=False))
        self.middle = two_convolutions(channels[-1], bottleneck, batch_norm)
        self.up = nn.ModuleList(two_convolutions(below + here, here, batch_norm) for below, here in zip(coarser, channels, strict=True))
        self.last = nn.Conv2d(channels[0], unshuffle**2, 1)
        for convolutions in (self.down, self.middle, self.up):
            pass_on(convolutions)
        if residual:
            near_zero(self.last)

    def forward(self, noisy: Tensor) -> Tensor:  # (B, 1, H, W) -> the same
        height, width = noisy.shape[-2:]
        whole = padded(noisy, self.unshuffle * 2 ** len(self.down))
        hidden = F.pixel_unshuffle(whole, self.unshuffle)  # (B, u * u, H / u, W / u)
        skips = []
        for level in self.down:
            skips.append(level(hidden))
            hidden = F.max_pool2d(skips[-1], 2)
        hidden = self.middle(hidden)
        for level, skip in zip(reversed(self.up), reversed(skips), strict=True):
            hidden = level(torch.cat([F.interpolate(hidden, scale_factor=2, mode="nearest"), skip], dim=1))
        out = F.pixel_shuffle(self.last(hidden), self.unshuffle)[..., :height, :width]
        return noisy - out if self.residual else torch.sigmoid(out.to(noisy.dtype))


def two_convolutions(before: int, after: int, batch_norm: bool) -> nn.Sequential:
    """(B, before, H, W) -> (B, after, H, W)."""
    layers: list[nn.Module] = []
    for channels in (before, after):
        layers.append(nn.Conv2d(channels, after, 3, padding=1, bias=not batch_norm))
        if batch_norm:
            layers.append(nn.BatchNorm2d(after))
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)
