from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from xraydenoise.enhancement.presets import PRESETS


class Curve(NamedTuple):
    low: float
    middle: float
    high: float
    level: float


def fit(linear, number):
    if number == 0:
        return Curve(0.0, 0.5, 1.0, 0.5)
    a = np.asarray(linear)
    p = PRESETS[number]
    m = float(a.mean())
    return Curve(min(float(np.quantile(a, p.black)), m - 0.05), m, max(float(np.quantile(a, 1 - p.white)), m + 0.05), p.mean)


def apply(pictures: Tensor, curves: Tensor) -> Tensor:
    low, middle, high, level = (c[:, None, None, None] for c in curves.T)
    return torch.where(
        pictures < middle, level * (pictures - low) / (middle - low), level + (1 - level) * (pictures - middle) / (high - middle)
    ).clamp(0, 1)
