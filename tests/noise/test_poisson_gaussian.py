from collections.abc import Callable

import pytest
import torch
from torch import Tensor


@pytest.mark.parametrize("gray", [0.1, 0.5, 0.9])
def test_the_mean_is_the_picture_and_the_variances_of_both_parts_add_up(gray: float, degrade: Callable[..., Tensor]) -> None:
    noisy = degrade(torch.full((1, 1, 256, 256), gray), kind="poisson_gaussian", peak=50.0, sigma=0.1, clip=False)
    variance = gray / 50 + 0.1**2
    assert noisy.mean().item() == pytest.approx(gray, abs=4 * variance**0.5 / 256)
    assert noisy.var().item() == pytest.approx(variance, rel=0.03)


def test_without_photons_the_detector_alone_is_left(degrade: Callable[..., Tensor]) -> None:
    noisy = degrade(torch.zeros(1, 1, 256, 256), kind="poisson_gaussian", peak=50.0, sigma=0.1, clip=False)
    assert noisy.std().item() == pytest.approx(0.1, rel=0.02)


def test_without_detector_noise_it_is_quantum_noise(degrade: Callable[..., Tensor]) -> None:
    clean = torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(2))
    quantum = degrade(clean, kind="quantum", peak=50.0, clip=True)
    assert torch.equal(degrade(clean, kind="poisson_gaussian", peak=50.0, sigma=0.0, clip=True), quantum)


def test_each_picture_has_a_spread_of_its_own(degrade: Callable[..., Tensor]) -> None:
    gray = torch.full((8, 1, 128, 128), 0.5)
    spreads = degrade(gray, kind="poisson_gaussian", peak=1000.0, sigma=[0.02, 0.25], clip=False).std(dim=(1, 2, 3))
    assert spreads.max() / spreads.min() > 1.5


@pytest.mark.parametrize("wrong", [{"peak": 0.0}, {"sigma": -0.1}, {"sigma": 1.5}], ids=str)
def test_limits_are_kept(wrong: dict[str, float], degrade: Callable[..., Tensor]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(wrong))}: must be at least"):
        degrade(torch.zeros(1, 1, 8, 8), **{"kind": "poisson_gaussian", "peak": 50.0, "sigma": 0.1, "clip": True} | wrong)
