"""EUDnCNN: a U-shaped DnCNN that sees trainable Sobel maps of its input at every scale, made for enhanced cephalograms.

Published shape: channels 32, depth 8 (151,326 parameters). A stem of the picture and 64 Sobel maps, 65 channels in all;
then `depth` stages of convolution, batch normalisation and ReLU, the first ones followed by max-pooling, the last ones by max-unpooling,
each joined with the picture at its scale and 32 Sobel maps of that. It predicts what is to be added to the picture.

Two faults of the original are mended: its batch normalisation was given the channel count as epsilon (32), and its picture at a smaller
scale was made by cutting the memory of the large one off; here it is the mean over squares. The trainable Sobel maps follow EDCNN (Liang
et al. 2020), the U-shape with unpooling DUDnCNN, after DnCNN (Zhang et al. 2017).
"""

import math
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F  # noqa: N812
from pydantic import Field
from torch import Tensor, nn

from xraydenoise.models import Network
from xraydenoise.models.initial import near_zero, pass_on
from xraydenoise.models.padding import padded

SOBEL = (  # vertical, horizontal and the two diagonal edges
    ((-1.0, 0.0, 1.0), (-2.0, 0.0, 2.0), (-1.0, 0.0, 1.0)),
    ((-1.0, -2.0, -1.0), (0.0, 0.0, 0.0), (1.0, 2.0, 1.0)),
    ((-2.0, -1.0, 0.0), (-1.0, 0.0, 1.0), (0.0, 1.0, 2.0)),
    ((0.0, 1.0, 2.0), (-1.0, 0.0, 1.0), (-2.0, -1.0, 0.0)),
)


class Config(Network):
    paper: ClassVar[str] = "EUDnCNN, after Zhang et al. 2017 (DnCNN) and Liang et al. 2020 (trainable Sobel)"
    kind: Literal["eudncnn"]
    channels: int = Field(ge=1)  # of every stage; the stem has twice as many Sobel maps
    depth: int = Field(ge=4, multiple_of=2)  # stages; half of them but one pool, as many unpool, two keep the size

    def build(self) -> nn.Module:
        return EUDnCNN(self.channels, self.depth)


class EUDnCNN(nn.Module):
    def __init__(self, channels: int, depth: int) -> None:
        super().__init__()
        self.halvings = depth // 2 - 1
        self.stem, self.edges = TrainableSobel(2 * channels), TrainableSobel(channels)
        joined = 1 + 2 * channels
        self.stages = nn.ModuleList(
            nn.Sequential(nn.Conv2d(joined, channels, 3, padding=1), nn.BatchNorm2d(channels), nn.ReLU(inplace=True)) for _ in range(depth)
        )
        self.last = nn.Conv2d(joined, 1, 3, padding=1)
        pass_on(self.stages)
        near_zero(self.last)

    def forward(self, noisy: Tensor) -> Tensor:  # (B, 1, H, W) -> the same
        height, width = noisy.shape[-2:]
        scales = [padded(noisy, 2**self.halvings)]
        for _ in range(self.halvings):
            scales.append(F.avg_pool2d(scales[-1], 2))
        seen = [torch.cat([scale, self.edges(scale)], dim=1) for scale in scales]  # (B, 1 + C, H / 2^s, W / 2^s) each
        hidden = torch.cat([scales[0], self.stem(scales[0])], dim=1)
        kept, places = [], []
        for level, stage in enumerate(self.stages[: self.halvings], start=1):
            hidden, place = F.max_pool2d(stage(hidden), 2, return_indices=True)
            hidden = torch.cat([seen[level], hidden], dim=1)
            kept.append(hidden)
            places.append(place)
        for stage in self.stages[self.halvings : -self.halvings]:
            hidden = torch.cat([seen[-1], stage(hidden)], dim=1)
        for level, stage in zip(reversed(range(self.halvings)), self.stages[-self.halvings :], strict=True):
            hidden = unpooled(stage((hidden + kept[level]) / math.sqrt(2)), places[level])
            hidden = torch.cat([seen[level], hidden], dim=1)
        added: Tensor = self.last(hidden)
        return noisy + added[..., :height, :width]


class TrainableSobel(nn.Module):
    """(B, 1, H, W) -> (B, channels, H, W): a 3x3 blur with a bias of its own, then Sobel kernels in turn.

    The blur's taps are exp(-r^2) / grid, r in px, made to add up to 1 (the middle one is .332 at first). Its grid and its bias are learnt,
    and so are the factor and the bias of each map.
    """

    kernels: Tensor
    gaussian: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.grid = nn.Parameter(torch.ones(3, 3))
        self.blur_bias = nn.Parameter(torch.zeros(1))
        self.factor = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        kernels = torch.tensor(SOBEL).repeat(-(-channels // 4), 1, 1)[:channels, None]  # (channels, 1, 3, 3)
        axis = torch.arange(-1.0, 2.0)
        self.register_buffer("kernels", kernels, persistent=False)
        self.register_buffer("gaussian", torch.exp(-(axis[:, None] ** 2 + axis**2)), persistent=False)  # (3, 3)

    def forward(self, pictures: Tensor) -> Tensor:
        blurred = F.conv2d(pictures, self.blur()[None, None], self.blur_bias, padding=1)
        return F.conv2d(blurred, self.kernels * self.factor[:, None, None, None], self.bias, padding=1)

    def blur(self) -> Tensor:  # (3, 3)
        taps = self.gaussian / self.grid
        return taps / taps.sum()


def unpooled(values: Tensor, places: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, C, 2 H, 2 W): each value where max-pooling 2x2 found it, 0 elsewhere.

    torch's own max_unpool2d refuses to run deterministically, since it also takes places that are named twice; these never are.
    """
    batch, channels, height, width = values.shape
    flat = values.new_zeros(batch, channels, 4 * height * width).scatter(2, places.flatten(2), values.flatten(2))
    return flat.view(batch, channels, 2 * height, 2 * width)
