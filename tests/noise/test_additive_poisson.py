from collections.abc import Callable

import pytest
import torch
from torch import Tensor


@pytest.mark.parametrize("rate", [1.0, 5.0])
def test_mean_and_variance_of_what_is_added(rate: float, degrade: Callable[..., Tensor]) -> None:
    clean = torch.rand(1, 1, 256, 256, generator=torch.Generator().manual_seed(2))
    added = degrade(clean, kind="additive_poisson", factor=0.2, rate=rate, clip=False) - clean
    assert added.mean().item() == pytest.approx(0.2 * rate, rel=0.02)
    assert added.var().item() == pytest.approx(0.04 * rate, rel=0.03)


def test_it_only_brightens(degrade: Callable[..., Tensor]) -> None:
    clean = torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(2))
    assert (degrade(clean, kind="additive_poisson", factor=[0.1, 0.25], rate=1.0, clip=True) >= clean).all()
