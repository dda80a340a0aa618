"""What training minimises: a distance of two (B, 1, H, W), as a scalar."""

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

ObjectiveName = Literal["mse", "l1", "charbonnier"]
Objective = Callable[[Tensor, Tensor], Tensor]

CHARBONNIER_EPSILON = 1e-3  # fraction of full scale below which an error counts as squared


def objective(name: ObjectiveName) -> Objective:
    """The objective of that name, called with prediction and target."""
    objectives: dict[ObjectiveName, Objective] = {"mse": F.mse_loss, "l1": F.l1_loss, "charbonnier": charbonnier}
    return objectives[name]


def charbonnier(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean of sqrt(d^2 + epsilon^2): l1 with a slope that is smooth at 0 (Charbonnier et al. 1994; Lai et al. 2017)."""
    return torch.sqrt((prediction - target).square() + CHARBONNIER_EPSILON**2).mean()
