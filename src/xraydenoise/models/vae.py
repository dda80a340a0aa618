"""The variational autoencoder of a study on chest radiographs (Kingma and Welling 2014): a patch becomes a few Gaussian numbers.

Published shapes: side 64 or 128, channels [32, 64], code 10, 40 or 50, kernel 3 (1,600,613 parameters at side 64 and code 50). As the dense
autoencoder, without batch normalisation, and with a mean and a log variance for each number of the code; kernel 4 mends the same fault of
the decoder and adds 14,336 parameters. Trained by `elbo`; denoising uses the mean, so it draws nothing. A patch of 64x64 px from so few
numbers is smooth: it cannot keep what a median filter keeps, and stands here because the study had it.
"""

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from xraydenoise.models import Network
from xraydenoise.models.bottleneck import Kernel, coarse, decoder, encoder
from xraydenoise.models.patches import patchwise


class Config(Network):
    paper: ClassVar[str] = "Kingma and Welling 2014, ICLR"
    kind: Literal["vae"]
    side: int = Field(ge=16, multiple_of=8)  # px of a patch
    channels: tuple[int, int]  # of the two strided convolutions
    code: int = Field(ge=1)  # Gaussian numbers that a patch passes through
    kernel: Kernel = 4

    @property
    def bounded(self) -> bool:
        return True

    def build(self) -> nn.Module:
        return VAE(self.side, self.channels, self.code, self.kernel)


class VAE(nn.Module):
    def __init__(self, side: int, channels: tuple[int, int], code: int, kernel: Kernel) -> None:
        super().__init__()
        self.side = side
        self.encode = nn.Sequential(encoder(channels), nn.Flatten(), nn.Linear(channels[1] * coarse(side) ** 2, 2 * code))
        self.decode = decoder(side, channels, code, kernel)

    def forward(self, noisy: Tensor) -> Tensor:  # (B, 1, H, W) -> the same
        return patchwise(self.patch, noisy, self.side)

    def patch(self, noisy: Tensor) -> Tensor:  # (N, 1, side, side) -> the same
        return torch.sigmoid(self.decode(self.posterior(noisy)[0]).to(noisy.dtype))

    def posterior(self, noisy: Tensor) -> tuple[Tensor, Tensor]:  # (N, 1, side, side) -> mean and log variance, (N, code) each
        mean, log_variance = self.encode(noisy).to(noisy.dtype).chunk(2, dim=1)
        return mean, log_variance
