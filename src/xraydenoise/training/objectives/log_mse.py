"""Mean over crops of log(MSE + epsilon): PSNR itself, so that weak and strong noise count alike, as NAFNet trains (Chen et al. 2022)."""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from xraydenoise.training.objectives import Batch, Objective


class Config(Objective):
    kind: Literal["log_mse"]
    epsilon: float = Field(gt=0)  # squared fraction of full scale; crops with less error than that count little

    def loss(self, network: nn.Module, batch: Batch, done: float, classifier: nn.Module | None) -> Tensor:  # noqa: ARG002
        errors = (network(batch.noisy) - batch.target).square().mean(dim=(1, 2, 3))  # (B,)
        return torch.log(errors + self.epsilon).mean()
