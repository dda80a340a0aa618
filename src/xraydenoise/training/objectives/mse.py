"""Mean squared error: what PSNR measures."""

from typing import Literal

import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from xraydenoise.training.objectives import Batch, Objective


class Config(Objective):
    kind: Literal["mse"]

    def loss(self, network: nn.Module, batch: Batch, done: float, classifier: nn.Module | None) -> Tensor:  # noqa: ARG002
        return F.mse_loss(network(batch.noisy), batch.target)
