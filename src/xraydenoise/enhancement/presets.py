"""The thirteen presets of system A: gains of eight bands, followed by a tone curve with some black and some white.

What each shows was measured on the 26 pairs that its authors published, two pictures in thirteen presets: `shown`, the standard deviation
of each band of the finished picture over that of the plain one, the mean, and the shares. `gains` and `slopes` make a picture show that:
`bench/presets.py` found them on synthetic radiographs, as neighbouring bands overlap and saturation takes detail away. The scale is free
between the two, and set so that the mean square of both slopes is 1. What falls short there: the white shares of presets 11 and 12 (1 and
2 % instead of 5 and 6), which together with their gains need a picture that has more bright pixels than dark ones.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from xraydenoise.enhancement.bands import split

PLAIN = 0  # the preset that changes nothing

Bands = tuple[float, float, float, float, float, float, float, float]  # from the finest, as `bands.split` gives them


class Preset(NamedTuple):
    """What a preset does, and what a picture of mean .55 without black or white shows then; fractions of full scale."""

    shown: Bands  # standard deviation of each band, finished over plain
    mean: float
    white: float  # share of pixels above .98
    black: float  # share below .02
    gains: Bands  # of the linear part
    slopes: tuple[float, float]  # of the curve below and above the mean, as far as the picture's own distribution allows the shares


PRESETS: tuple[Preset, ...] = (
    Preset((1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0), 0.55, 0, 0, (1.00, 1.00, 1.00, 1.00, 1.00, 1.00, 1.00, 1.00), (1.00, 1.00)),
    Preset((2.4, 2.8, 2.5, 2.1, 1.8, 1.7, 1.4, 0.9), 0.52, 0.003, 0.007, (2.30, 3.28, 2.55, 2.10, 1.80, 1.77, 1.51, 0.75), (1.10, 0.89)),
    Preset((3.3, 3.7, 3.3, 2.7, 2.3, 2.1, 1.6, 0.9), 0.51, 0.007, 0.007, (3.27, 4.20, 3.41, 2.70, 2.30, 2.31, 1.66, 0.65), (1.02, 0.98)),
    Preset((3.4, 3.9, 3.4, 2.5, 1.9, 1.7, 1.4, 0.9), 0.52, 0.008, 0.007, (3.29, 4.55, 3.69, 2.50, 1.68, 1.70, 1.52, 0.74), (1.05, 0.95)),
    Preset((3.8, 4.3, 3.8, 2.9, 2.4, 2.1, 1.6, 0.8), 0.51, 0.009, 0.007, (3.74, 4.93, 4.06, 2.89, 2.40, 2.18, 1.80, 0.48), (1.00, 1.00)),
    Preset((3.5, 4.0, 3.6, 3.0, 2.5, 2.2, 1.5, 0.7), 0.51, 0.002, 0.007, (3.43, 4.57, 3.73, 3.00, 2.50, 2.58, 1.50, 0.38), (1.11, 0.88)),
    Preset((3.4, 4.0, 3.5, 2.6, 2.0, 1.7, 1.3, 0.8), 0.52, 0.007, 0.007, (3.24, 4.76, 3.79, 2.60, 1.94, 1.70, 1.30, 0.65), (1.06, 0.94)),
    Preset((5.1, 5.8, 5.2, 4.0, 3.3, 2.8, 1.8, 0.8), 0.47, 0.011, 0.057, (5.10, 6.78, 6.00, 4.00, 3.33, 3.63, 1.80, 0.39), (1.12, 0.86)),
    Preset((2.0, 4.9, 5.8, 4.3, 2.9, 2.3, 1.6, 0.8), 0.44, 0.008, 0.057, (0.42, 5.40, 8.93, 4.58, 2.39, 2.34, 1.65, 0.51), (1.04, 0.96)),
    Preset((3.9, 4.5, 4.1, 3.5, 3.2, 2.8, 1.9, 0.9), 0.45, 0.01, 0.058, (3.90, 5.29, 4.30, 3.50, 3.31, 3.62, 1.90, 0.50), (1.06, 0.94)),
    Preset((2.1, 4.4, 4.6, 3.6, 2.9, 2.5, 1.8, 1.0), 0.43, 0.009, 0.058, (0.85, 5.55, 6.02, 3.66, 2.89, 2.83, 1.80, 0.72), (0.97, 1.02)),
    Preset((4.2, 5.8, 4.6, 3.0, 2.2, 1.8, 1.3, 0.7), 0.43, 0.048, 0.001, (3.18, 9.05, 5.34, 2.63, 2.17, 2.14, 1.50, 0.54), (0.38, 1.36)),
    Preset((1.2, 1.8, 1.9, 1.7, 1.6, 1.5, 1.4, 1.2), 0.59, 0.058, 0, (0.99, 1.97, 2.17, 1.70, 1.60, 1.50, 1.40, 1.20), (0.87, 1.12)),
)


def gains(numbers: Sequence[int]) -> Tensor:
    """The gains of these presets, float32 (B, 8)."""
    return torch.tensor([PRESETS[number].gains for number in numbers], dtype=torch.float32)


def amplify(pictures: Tensor, gains: Tensor) -> Tensor:
    """The sum of each picture's bands times their gains, float32 (B, 1, H, W) and (B, 8) -> (B, 1, H, W); values may leave [0, 1].

    Strictly linear, so noise can be amplified alone and added to an amplified picture.
    """
    bands = split(pictures)  # (B, 8, H, W)
    return (gains.to(bands.device)[:, :, None, None] * bands).sum(1, keepdim=True)
