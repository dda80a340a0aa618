"""Mean absolute error: kinder to edges than mse, as RDN is trained (Zhang et al. 2021)."""

from typing import Literal

import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from xraydenoise.training.objectives import Batch, Objective


class Config(Objective):
    kind: Literal["l1"]

    def loss(self, network: nn.Module, batch: Batch, done: float, classifier: nn.Module | None) -> Tensor:  # noqa: ARG002
        return F.l1_loss(network(batch.noisy), batch.target)
