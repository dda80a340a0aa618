from collections.abc import Callable

import pytest
import torch
from torch import Tensor

GRAY = torch.full((1, 1, 256, 256), 0.5)


def test_mean_and_spread_are_those_of_the_entry(degrade: Callable[..., Tensor]) -> None:
    added = degrade(GRAY, kind="gaussian", mean=0.1, sigma=0.2, clip=False) - GRAY
    assert added.mean().item() == pytest.approx(0.1, abs=0.004)
    assert added.std().item() == pytest.approx(0.2, rel=0.02)


@pytest.mark.parametrize(("factor", "mean", "sigma"), [(0.2, 1.0, 2.0), (0.5, 0.0, 1.0)])
def test_what_is_published_with_a_factor_can_be_written(factor: float, mean: float, sigma: float, degrade: Callable[..., Tensor]) -> None:
    noisy = degrade(GRAY, kind="gaussian", mean=factor * mean, sigma=factor * sigma, clip=True)
    standard = degrade(GRAY, kind="gaussian", mean=0.0, sigma=1.0, clip=False) - GRAY
    torch.testing.assert_close(noisy, (GRAY + factor * (mean + sigma * standard)).clamp(0, 1))


def test_clipping_cuts_what_leaves_the_scale_and_moves_the_error(degrade: Callable[..., Tensor]) -> None:
    black = torch.zeros(1, 1, 256, 256)
    free = degrade(black, kind="gaussian", mean=0.0, sigma=0.2, clip=False)
    clipped = degrade(black, kind="gaussian", mean=0.0, sigma=0.2, clip=True)
    assert torch.equal(clipped, free.clamp(0, 1))
    assert clipped.square().mean().item() == pytest.approx(free.square().mean().item() / 2, rel=0.05)


def test_each_picture_has_a_spread_of_its_own(degrade: Callable[..., Tensor]) -> None:
    noisy = degrade(GRAY.expand(8, 1, 256, 256), kind="gaussian", mean=0.0, sigma=[0.02, 0.25], clip=False)
    spreads = noisy.std(dim=(1, 2, 3))
    assert spreads.min() > 0.015
    assert spreads.max() < 0.26
    assert spreads.max() / spreads.min() > 1.5
