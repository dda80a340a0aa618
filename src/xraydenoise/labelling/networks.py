"""The two Real-ESRGAN networks (Wang et al. 2021), under the key names of the official weights, so that those load as they are."""

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional

SLOPE = 0.2  # of every leaky ReLU of RRDBNet
DAMPING = 0.2  # how much of a block's result is added to its input
SCALE = 4  # output side over input side, both networks


def convolution(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel_size=3, padding=1)


def leaky(features: Tensor) -> Tensor:
    return functional.leaky_relu(features, SLOPE, inplace=True)


class DenseBlock(nn.Sequential):
    """Five convolutions (conv1 .. conv5), each seeing the block's input and all that came before it."""

    def __init__(self, features: int, growth: int) -> None:
        widths = [growth] * 4 + [features]
        super().__init__(OrderedDict((f"conv{n + 1}", convolution(features + n * growth, width)) for n, width in enumerate(widths)))

    def forward(self, features: Tensor) -> Tensor:  # (B, features, H, W) -> the same
        *growing, last = self
        seen = features
        for layer in growing:
            seen = torch.cat((seen, leaky(layer(seen))), dim=1)
        return torch.add(features, last(seen), alpha=DAMPING)


class ResidualInResidual(nn.Sequential):
    """Three dense blocks (rdb1 .. rdb3) and a skip around them."""

    def __init__(self, features: int, growth: int) -> None:
        super().__init__(OrderedDict((f"rdb{n}", DenseBlock(features, growth)) for n in (1, 2, 3)))

    def forward(self, features: Tensor) -> Tensor:  # (B, features, H, W) -> the same
        change = features
        for block in self:
            change = block(change)
        return torch.add(features, change, alpha=DAMPING)


class RRDBNet(nn.Module):
    """Residual-in-residual dense blocks at the input's resolution, then twice nearest neighbour x2 (ESRGAN, Wang et al. 2018)."""

    def __init__(self, features: int = 64, blocks: int = 23, growth: int = 32) -> None:
        super().__init__()
        self.conv_first = convolution(3, features)
        self.body = nn.Sequential(*(ResidualInResidual(features, growth) for _ in range(blocks)))
        self.conv_body = convolution(features, features)
        self.conv_up1 = convolution(features, features)
        self.conv_up2 = convolution(features, features)
        self.conv_hr = convolution(features, features)
        self.conv_last = convolution(features, 3)

    def forward(self, pixels: Tensor) -> Tensor:  # (B, 3, H, W) -> (B, 3, 4H, 4W)
        features: Tensor = self.conv_first(pixels)
        features = features + self.conv_body(self.body(features))
        for layer in (self.conv_up1, self.conv_up2):
            features = leaky(layer(functional.interpolate(features, scale_factor=2, mode="nearest")))
        enlarged: Tensor = self.conv_last(leaky(self.conv_hr(features)))
        return enlarged


class SRVGGNetCompact(nn.Module):
    """A plain chain of convolutions and PReLUs, a pixel shuffle at the end, added to the input enlarged by nearest neighbour."""

    def __init__(self, features: int = 64, convolutions: int = 32) -> None:
        super().__init__()
        layers = [convolution(3, features), nn.PReLU(features)]
        for _ in range(convolutions):
            layers += [convolution(features, features), nn.PReLU(features)]
        self.body = nn.Sequential(*layers, convolution(features, 3 * SCALE**2))

    def forward(self, pixels: Tensor) -> Tensor:  # (B, 3, H, W) -> (B, 3, 4H, 4W)
        detail = functional.pixel_shuffle(self.body(pixels), SCALE)
        return detail + functional.interpolate(pixels, scale_factor=SCALE, mode="nearest")
