"""The convolutions before and behind a dense code, as the autoencoder and the variational autoencoder on chest radiographs share them.

The encoder has no padding, so 64 px become 31 and 15. The published decoder begins with a transposed convolution of kernel 3 and stride 4,
which leaves every fourth row and column without input: they hold the bias alone, and the pictures are blocky. Kernel 4 mends that.
"""

from typing import Literal

from torch import nn

Kernel = Literal[3, 4]  # px, of the transposed convolution of stride 4; 3 as published, 4 leaves no gap


def encoder(channels: tuple[int, int]) -> nn.Sequential:
    """(N, 1, side, side) -> (N, channels[1], s, s), where s = `coarse(side)`."""
    narrow, wide = channels
    return nn.Sequential(
        nn.Conv2d(1, narrow, 3, stride=2),
        nn.ReLU(inplace=True),
        nn.Conv2d(narrow, wide, 3, stride=2),
        nn.ReLU(inplace=True),
    )


def coarse(side: int) -> int:
    """px, side of what the encoder makes of a patch whose side divides by 8."""
    return side // 4 - 1


def decoder(side: int, channels: tuple[int, int], code: int, kernel: Kernel) -> nn.Sequential:
    """(N, code) -> logits (N, 1, side, side)."""
    narrow, wide = channels
    return nn.Sequential(
        nn.Linear(code, narrow * (side // 8) ** 2),
        nn.ReLU(inplace=True),
        nn.Unflatten(1, (narrow, side // 8, side // 8)),
        nn.ConvTranspose2d(narrow, wide, kernel, stride=4, output_padding=4 - kernel),
        nn.ReLU(inplace=True),
        nn.ConvTranspose2d(wide, narrow, 3, stride=2, padding=1, output_padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(narrow, 1, 3, padding=1),
    )
