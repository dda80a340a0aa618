"""Mean squared error plus that of a frozen classifier's features, as EUDnCNN was trained (perceptual loss, Johnson et al. 2016).

The original takes four blocks of a ResNet-18 of natural pictures, weighed .1; here they are the four blocks of the classifier of the
dataset's own labels. Without labels it is mse alone.
"""

from typing import ClassVar, Literal

import torch
import torch.nn.functional as F  # noqa: N812
from pydantic import Field
from torch import Tensor, nn

from xraydenoise.training.objectives import Batch, Objective


class Config(Objective):
    needs_classifier: ClassVar[bool] = True

    kind: Literal["feature"]
    weight: float = Field(ge=0)  # of the features' error beside the pixels'

    def loss(self, network: nn.Module, batch: Batch, done: float, classifier: nn.Module | None) -> Tensor:  # noqa: ARG002
        prediction = network(batch.noisy)
        loss = F.mse_loss(prediction, batch.target)
        if classifier is None:
            return loss
        with torch.no_grad():
            wanted = classifier.features(batch.target)  # type: ignore[operator]
        pairs = zip(classifier.features(prediction), wanted, strict=True)  # type: ignore[operator]
        return loss + self.weight * torch.stack([F.mse_loss(found, block) for found, block in pairs]).mean()
