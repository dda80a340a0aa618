"""Binary cross-entropy of gray values taken as probabilities, as the dental U-Net was trained; its floor is the target's own entropy."""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from xraydenoise.models import Network
from xraydenoise.noise import Noise
from xraydenoise.training.objectives import Batch, Objective


class Config(Objective):
    kind: Literal["bce"]

    def check(self, network: Network, mixture: Sequence[Noise]) -> None:  # noqa: ARG002
        if not network.bounded:
            raise ValueError(f"bce takes networks whose pictures lie in [0, 1], found {network!r}; use mse, or one that ends in a sigmoid")

    def loss(self, network: nn.Module, batch: Batch, done: float, classifier: nn.Module | None) -> Tensor:  # noqa: ARG002
        prediction = network(batch.noisy)
        with torch.autocast(prediction.device.type, enabled=False):  # CUDA's autocast refuses it, for fear of bf16 logarithms
            return F.binary_cross_entropy(prediction, batch.target)
