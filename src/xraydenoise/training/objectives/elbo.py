"""The variational autoencoder's evidence lower bound, negative: cross-entropy of the clean patch plus divergence of its code.

-E[log p(x|z) + log p(z) - log q(z|x)] (Kingma and Welling 2014), a mean over pixels; x is the clean patch, z drawn once from what the
network makes of the noisy one, and the divergence from the unit Gaussian in closed form.
"""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from xraydenoise.models import Network, vae
from xraydenoise.models.patches import cut
from xraydenoise.noise import Noise
from xraydenoise.training.objectives import Batch, Objective


class Config(Objective):
    kind: Literal["elbo"]

    def check(self, network: Network, mixture: Sequence[Noise]) -> None:  # noqa: ARG002
        if not isinstance(network, vae.Config):
            raise ValueError(f"elbo takes kind vae, whose code has a distribution, found {network.kind!r}; use mse")

    def loss(self, network: nn.Module, batch: Batch, done: float, classifier: nn.Module | None) -> Tensor:  # noqa: ARG002
        side: int = network.side  # type: ignore[assignment]
        target = cut(batch.target, side)
        mean, log_variance = network.posterior(cut(batch.noisy, side))  # type: ignore[operator]
        drawn = torch.randn(mean.shape, generator=batch.generator, device=mean.device)
        logits = network.decode(mean + (log_variance / 2).exp() * drawn)  # type: ignore[operator]
        divergence: Tensor = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=1)
        return F.binary_cross_entropy_with_logits(logits.float(), target) + divergence.mean() / side**2
