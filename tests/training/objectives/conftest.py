from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from xraydenoise.training.classifier import Classifier
from xraydenoise.training.objectives import Batch


class Scaled(nn.Module):
    """h(y) = factor * y + 0: linear, so that an objective's value can be worked out by hand."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, noisy: Tensor) -> Tensor:
        return self.factor * noisy


@pytest.fixture
def scaled() -> Callable[[float], nn.Module]:
    return Scaled


@pytest.fixture
def drawn() -> Callable[..., Batch]:
    """A batch of `count` crops of `side` px, target and noise drawn from `seed`, the noisy picture clipped; labels 0, 1, 0, ..."""

    def drawn(side: int = 16, count: int = 2, seed: int = 0) -> Batch:
        generator = torch.Generator().manual_seed(seed)
        target = torch.rand(count, 1, side, side, generator=generator)
        noisy = (target + 0.1 * torch.randn(target.shape, generator=generator)).clamp(0, 1)
        return Batch(noisy, target, torch.arange(count) % 2, generator)

    return drawn


@pytest.fixture
def row() -> Callable[..., Batch]:
    """One picture of one row: noisy and target, number by number."""

    def row(noisy: list[float], target: list[float]) -> Batch:
        pictures = (torch.tensor(numbers).view(1, 1, 1, -1) for numbers in (noisy, target))
        return Batch(*pictures, torch.tensor([0]), torch.Generator().manual_seed(0))

    return row


@pytest.fixture
def judge() -> Classifier:
    """A frozen classifier of two classes that has learnt nothing."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = Classifier(channels=2, classes=2)
    return network.eval().requires_grad_(False)
