"""The convolutional denoising autoencoder of Gondara 2016 (Medical Image Denoising Using Convolutional Denoising Autoencoders).

Published shape: channels [64, 128] (296,449 parameters; the filter counts are not certain in the source): 3x3 convolution, max-pooling, the
same again, a convolution at a quarter of the resolution, then nearest-neighbour up with mirrored convolutions and a sigmoid. It predicts
the picture itself, so it cannot keep detail finer than what passes the pooling: that is its design.
"""

from itertools import pairwise
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from xraydenoise.models import Network
from xraydenoise.models.initial import pass_on
from xraydenoise.models.padding import padded


class Config(Network):
    paper: ClassVar[str] = "Gondara 2016, ICDM workshops"
    kind: Literal["gondara"]
    channels: tuple[Annotated[int, Field(ge=1)], ...] = Field(min_length=1)  # of each convolution down; max-pooling halves after each

    @property
    def bounded(self) -> bool:
        return True

    def build(self) -> nn.Module:
        return Gondara(self.channels)


class Gondara(nn.Module):
    def __init__(self, channels: tuple[int, ...]) -> None:
        super().__init__()
        self.halvings = len(channels)
        layers: list[nn.Module] = []
        for before, after in pairwise((1, *channels)):
            layers += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2)]
        for before, after in pairwise((channels[-1], *reversed(channels))):
            layers += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU(inplace=True), nn.Upsample(scale_factor=2)]
        self.body = nn.Sequential(*layers)
        self.last = nn.Conv2d(channels[0], 1, 3, padding=1)
        pass_on(self.body)

    def forward(self, noisy: Tensor) -> Tensor:  # (B, 1, H, W) -> the same
        height, width = noisy.shape[-2:]
        clean = torch.sigmoid(self.last(self.body(padded(noisy, 2**self.halvings))).to(noisy.dtype))
        return clean[..., :height, :width]
