"""Mean of sqrt(d^2 + epsilon^2): l1 with a slope that is smooth at 0 (Charbonnier et al. 1994; Lai et al. 2017)."""

from typing import Literal

import torch
from torch import Tensor, nn

from xraydenoise.training.objectives import Batch, Objective

EPSILON = 1e-3  # fraction of full scale below which an error counts as squared


class Config(Objective):
    kind: Literal["charbonnier"]

    def loss(self, network: nn.Module, batch: Batch, done: float, classifier: nn.Module | None) -> Tensor:  # noqa: ARG002
        return torch.sqrt((network(batch.noisy) - batch.target).square() + EPSILON**2).mean()
