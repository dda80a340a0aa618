"""The tone curve behind the amplified bands: a window with two slopes, found on the plain picture and then held for all its versions."""

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from xraydenoise.enhancement.presets import PLAIN, PRESETS, Preset

BLACK, WHITE = 0.02, 0.98  # what counts as black and as white, as in the presets' shares
PLAIN_MEAN = 0.55  # of the pictures on which the presets were measured; others are brightened or darkened as by a gamma
SLACK = (0.8, 1.05)  # times the preset's own slope, what a slope is at least and at most: gains stay near theirs, whatever the picture
EDGE = 0.01  # the level stays so far from black and from white: then the curve always rises
BINS = 1000  # equal shares of the pixels, whose values stand for the picture where its mean is sought


class Curve(NamedTuple):
    """Value low -> 0, middle -> level, high -> 1, straight between, cut outside; low < middle < high, fractions of full scale."""

    low: float
    middle: float
    high: float
    level: float


def fit(linear: Tensor | np.ndarray, number: int) -> Curve:
    """The curve of preset `number` for a plain picture whose bands were amplified, (1, 1, H, W) or (H, W), finite.

    Gains come first: a picture with wide air, or with nothing in it, would be stretched without end for its shares of black and white, so a
    slope is at most a twentieth steeper than the preset's own. It is up to a fifth less steep where too much would be black or white.
    """
    if number == PLAIN:
        return Curve(0.0, 0.5, 1.0, 0.5)
    values = linear.cpu().numpy() if isinstance(linear, Tensor) else linear
    return solve(values.astype(np.float64).ravel(), PRESETS[number], SLACK)


def solve(values: np.ndarray, preset: Preset, slack: tuple[float, float]) -> Curve:
    """The curve that gives pixels of these values, (N,), the preset's mean, and its shares of black and white as far as slopes may go.

    The middle is their mean. A slope lies between `slack` times the preset's own, and is the preset's own where the share of that end is 0.
    """
    shares = (np.arange(BINS) + 0.5) / BINS
    dark, bright, *spread = np.quantile(values, [preset.black, 1 - preset.white, *shares])
    middle, typical = float(values.mean()), np.array(spread)
    plain = min(max(middle / preset.gains[-1], EDGE), 1 - EDGE)  # the mean before: all bands but the last have none
    wanted = plain ** (math.log(preset.mean) / math.log(PLAIN_MEAN))

    def slopes(level: float) -> tuple[float, float]:
        below = (level - BLACK) / max(middle - dark, EDGE) if preset.black else preset.slopes[0]
        above = (WHITE - level) / max(bright - middle, EDGE) if preset.white else preset.slopes[1]
        return held(below, preset.slopes[0], slack), held(above, preset.slopes[1], slack)

    darkest, brightest = EDGE, 1 - EDGE
    for _ in range(40):  # halvings
        level = (darkest + brightest) / 2
        below, above = slopes(level)
        finished = level + np.where(typical < middle, below, above) * (typical - middle)
        if np.clip(finished, 0, 1).mean() < wanted:
            darkest = level
        else:
            brightest = level
    return Curve(middle - level / below, middle, middle + (1 - level) / above, level)


def held(slope: float, own: float, slack: tuple[float, float]) -> float:
    return min(max(slope, own * slack[0]), own * slack[1])


def apply(pictures: Tensor, curves: Tensor) -> Tensor:
    """Each picture through its own curve; float32 (B, 1, H, W) and the fields of the `Curve`s, (B, 4) -> (B, 1, H, W) in [0, 1]."""
    low, middle, high, level = curves.to(pictures.device, torch.float32)[:, :, None, None, None].unbind(1)  # (B, 1, 1, 1) each
    below = (pictures - low) / (middle - low) * level
    above = level + (pictures - middle) / (high - middle) * (1 - level)
    return torch.where(pictures < middle, below, above).clamp(0, 1)
