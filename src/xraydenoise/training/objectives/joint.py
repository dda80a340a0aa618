"""Denoising so that a frozen classifier still reads the picture (Liu et al. 2018): cross-entropy of the label plus mean squared error.

The denoiser learns by mse alone for the first `pretrain` of the budget, then its pictures go through the classifier. Crops of pictures
without a label count by their mse; without any label in the dataset it is mse alone.
"""

from typing import ClassVar, Literal

import torch.nn.functional as F  # noqa: N812
from pydantic import Field
from torch import Tensor, nn

from xraydenoise.training.objectives import UNKNOWN, Batch, Objective


class Config(Objective):
    needs_classifier: ClassVar[bool] = True

    kind: Literal["joint"]
    pretrain: float = Field(ge=0, lt=1)  # share of the budget with mse alone
    task: float = Field(ge=0)  # weight of the cross-entropy (nats) beside the mse (squared fraction of full scale)

    @property
    def settled(self) -> float:
        return self.pretrain

    def loss(self, network: nn.Module, batch: Batch, done: float, classifier: nn.Module | None) -> Tensor:
        prediction = network(batch.noisy)
        loss = F.mse_loss(prediction, batch.target)
        if classifier is None or done < self.pretrain:
            return loss
        error = F.cross_entropy(classifier(prediction).float(), batch.label, ignore_index=UNKNOWN, reduction="sum")
        return loss + self.task * error / len(batch.label)
