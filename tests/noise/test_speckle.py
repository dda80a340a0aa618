from collections.abc import Callable

import pytest
import torch
from torch import Tensor


@pytest.mark.parametrize("gray", [0.1, 0.5, 0.9])
def test_the_mean_is_the_picture_and_the_spread_grows_with_it(gray: float, degrade: Callable[..., Tensor]) -> None:
    noisy = degrade(torch.full((1, 1, 256, 256), gray), kind="speckle", sigma=0.2, clip=False)
    assert noisy.mean().item() == pytest.approx(gray, abs=4 * 0.2 * gray / 256)
    assert noisy.var().item() == pytest.approx((0.2 * gray) ** 2, rel=0.03)


def test_black_stays_black(degrade: Callable[..., Tensor]) -> None:
    assert not degrade(torch.zeros(1, 1, 16, 16), kind="speckle", sigma=0.5, clip=False).any()


def test_only_clipping_keeps_it_in_range(degrade: Callable[..., Tensor]) -> None:
    white = torch.ones(1, 1, 64, 64)
    free = degrade(white, kind="speckle", sigma=0.5, clip=False)
    assert free.max() > 1
    assert torch.equal(degrade(white, kind="speckle", sigma=0.5, clip=True), free.clamp(0, 1))


def test_each_picture_has_a_spread_of_its_own(degrade: Callable[..., Tensor]) -> None:
    spreads = degrade(torch.full((8, 1, 128, 128), 0.5), kind="speckle", sigma=[0.02, 0.5], clip=False).std(dim=(1, 2, 3))
    assert spreads.min() > 0.5 * 0.02 * 0.95
    assert spreads.max() < 0.5 * 0.5 * 1.05
    assert spreads.max() / spreads.min() > 1.5


@pytest.mark.parametrize("sigma", [-0.1, 1.5, [0.5, 1.5]])
def test_limits_are_kept(sigma: object, degrade: Callable[..., Tensor]) -> None:
    with pytest.raises(ValueError, match="sigma: must be at least 0 and at most 1"):
        degrade(torch.zeros(1, 1, 8, 8), kind="speckle", sigma=sigma, clip=True)
