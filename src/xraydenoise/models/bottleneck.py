"""The convolutions before and behind a dense code, as the autoencoder and the variational autoencoder on chest radiographs share them."""

from torch import nn


def encoder(channels: tuple[int, int]) -> nn.Sequential:
    """(N, 1, side, side) -> (N, channels[1], side / 4, side / 4)."""
    narrow, wide = channels
    return nn.Sequential(
        nn.Conv2d(1, narrow, 3, stride=2, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(narrow, wide, 3, stride=2, padding=1),
        nn.ReLU(inplace=True),
    )


def decoder(side: int, channels: tuple[int, int], code: int) -> nn.Sequential:
    """(N, code) -> logits (N, 1, side, side)."""
    narrow, wide = channels
    return nn.Sequential(
        nn.Linear(code, narrow * (side // 8) ** 2),
        nn.ReLU(inplace=True),
        nn.Unflatten(1, (narrow, side // 8, side // 8)),
        nn.ConvTranspose2d(narrow, wide, 4, stride=4),
        nn.ReLU(inplace=True),
        nn.ConvTranspose2d(wide, narrow, 3, stride=2, padding=1, output_padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(narrow, 1, 3, padding=1),
    )
