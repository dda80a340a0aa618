from collections.abc import Callable

import pytest
import torch
from torch import Tensor


@pytest.mark.parametrize("gray", [0.1, 0.5, 0.9])
def test_the_mean_is_the_picture_and_the_variance_grows_with_it(gray: float, degrade: Callable[..., Tensor]) -> None:
    noisy = degrade(torch.full((1, 1, 256, 256), gray), kind="quantum", peak=30.0, clip=False)
    assert noisy.mean().item() == pytest.approx(gray, rel=0.01)
    assert noisy.var().item() == pytest.approx(gray / 30, rel=0.03)


def test_values_are_whole_photons(degrade: Callable[..., Tensor]) -> None:
    photons = 30 * degrade(torch.rand(1, 1, 32, 32), kind="quantum", peak=30.0, clip=False)
    torch.testing.assert_close(photons, photons.round())


def test_no_photons_give_black(degrade: Callable[..., Tensor]) -> None:
    assert not degrade(torch.zeros(1, 1, 16, 16), kind="quantum", peak=30.0, clip=True).any()
