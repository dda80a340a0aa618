"""Training of a stacked denoising autoencoder (Vincent et al. 2008): each layer by itself on masked inputs, then all of them together.

For the first `pretrain` of the budget the layers take equal turns: a layer sees what those before it make of clean patches, with a share
of the numbers set to 0, and must give back the whole, by cross-entropy through its own tied weights. The rest of the budget tunes all
layers to make clean patches of noisy ones.
"""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812
from pydantic import Field
from torch import Tensor, nn

from xraydenoise.models import Network, stacked_autoencoder
from xraydenoise.models.patches import cut
from xraydenoise.noise import Noise
from xraydenoise.training.objectives import Batch, Objective


class Config(Objective):
    kind: Literal["layer_wise"]
    pretrain: float = Field(ge=0, lt=1)  # share of the budget that goes to the layers one by one
    masked: float = Field(ge=0, lt=1)  # share of a layer's inputs that is set to 0 meanwhile

    @property
    def settled(self) -> float:
        return self.pretrain

    def check(self, network: Network, mixture: Sequence[Noise]) -> None:  # noqa: ARG002
        if not isinstance(network, stacked_autoencoder.Config):
            raise ValueError(f"layer_wise takes kind stacked_autoencoder, found {network.kind!r}; use mse or bce")

    def loss(self, network: nn.Module, batch: Batch, done: float, classifier: nn.Module | None) -> Tensor:  # noqa: ARG002
        if done >= self.pretrain:
            prediction = network(batch.noisy)
            with torch.autocast(prediction.device.type, enabled=False):
                return F.binary_cross_entropy(prediction, batch.target)
        layers: nn.ModuleList = network.layers  # type: ignore[assignment]
        turn = int(done / self.pretrain * len(layers))
        with torch.no_grad():
            seen = cut(batch.target, network.side).flatten(1)  # type: ignore[arg-type]
            for layer in layers[:turn]:
                seen = layer(seen).float()
        masked = seen * (torch.rand(seen.shape, generator=batch.generator, device=seen.device) >= self.masked)
        layer = layers[turn]
        return F.binary_cross_entropy_with_logits(layer.back(layer(masked)).float(), seen)  # type: ignore[operator]
