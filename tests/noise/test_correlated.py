import math
from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from torch import Tensor

GAUSSIAN = {"kind": "gaussian", "mean": 0.0, "sigma": 0.1, "clip": False}
GRAY = torch.full((1, 1, 256, 256), 0.5)


def kernel(sigma: float) -> list[float]:
    """The weights of one row of the 5x5 px, worked out apart from the code under test."""
    weights = [math.exp(-(place**2) / (2 * sigma**2)) for place in range(-2, 3)]
    return [weight / sum(weights) for weight in weights]


def shared(noise: Tensor, down: int, right: int) -> float:
    """The correlation of pixels that lie so far from each other."""
    height, width = noise.shape[-2] - down, noise.shape[-1] - right
    one, other = noise[..., :height, :width], noise[..., down:, right:]
    return float((one * other).mean() / noise.square().mean())


@pytest.mark.parametrize("sigma", [0.35, 0.95])
def test_the_variance_falls_by_the_kernels_sum_of_squares(sigma: float, degrade: Callable[..., Tensor]) -> None:
    noise = degrade(GRAY, kind="correlated", noise=GAUSSIAN, sigma=sigma, clip=False) - GRAY
    left = sum(weight**2 for weight in kernel(sigma)) ** 2
    assert noise.var().item() == pytest.approx(left * 0.1**2, rel=0.03)
    assert noise.mean().item() == pytest.approx(0, abs=0.002)


@pytest.mark.parametrize("sigma", [0.35, 0.95])
def test_neighbours_share_it_as_much_as_the_kernel_says_and_pixels_far_off_do_not(sigma: float, degrade: Callable[..., Tensor]) -> None:
    noise = degrade(GRAY, kind="correlated", noise=GAUSSIAN, sigma=sigma, clip=False) - GRAY
    row = kernel(sigma)
    beside = sum(one * other for one, other in pairwise(row)) / sum(weight**2 for weight in row)
    assert shared(noise, 0, 1) == pytest.approx(beside, abs=0.02)
    assert shared(noise, 1, 0) == pytest.approx(beside, abs=0.02)
    assert shared(noise, 1, 1) == pytest.approx(beside**2, abs=0.02)
    assert shared(noise, 0, 5) == pytest.approx(0, abs=0.02)


def test_at_the_edges_it_is_as_strong_as_inside_and_of_mean_0(degrade: Callable[..., Tensor]) -> None:
    noise = degrade(torch.full((64, 1, 32, 32), 0.5), kind="correlated", noise=GAUSSIAN, sigma=0.95, clip=False) - 0.5
    edge = torch.cat([noise[..., :1, :].flatten(), noise[..., -1:, :].flatten(), noise[..., :1].flatten(), noise[..., -1:].flatten()])
    assert edge.std().item() == pytest.approx(noise[..., 4:-4, 4:-4].std().item(), rel=0.05)
    assert edge.mean().item() == pytest.approx(0, abs=0.002)


def test_the_picture_itself_is_not_blurred(degrade: Callable[..., Tensor]) -> None:
    clean = torch.rand(2, 1, 16, 20, generator=torch.Generator().manual_seed(2))
    silent = GAUSSIAN | {"sigma": 0.0}
    torch.testing.assert_close(degrade(clean, kind="correlated", noise=silent, sigma=0.95, clip=False), clean)


def test_each_picture_has_a_blur_of_its_own(degrade: Callable[..., Tensor]) -> None:
    noise = degrade(torch.full((8, 1, 128, 128), 0.5), kind="correlated", noise=GAUSSIAN, sigma=[0.35, 0.95], clip=False) - 0.5
    spreads = noise.std(dim=(1, 2, 3))
    assert spreads.max() / spreads.min() > 1.3


def test_it_follows_the_brightness_as_the_noise_in_it_does(degrade: Callable[..., Tensor]) -> None:
    quantum = {"kind": "quantum", "peak": 30.0, "clip": False}
    spreads = [
        (degrade(torch.full((1, 1, 256, 256), gray), kind="correlated", noise=quantum, sigma=0.6, clip=False) - gray).var().item()
        for gray in (0.2, 0.8)
    ]
    assert spreads[1] / spreads[0] == pytest.approx(4, rel=0.05)


def test_a_noise_in_it_that_is_clipped_before_the_blur_is_refused_with_the_way_out(degrade: Callable[..., Tensor]) -> None:
    with pytest.raises(ValueError, match=r"noise: gaussian with clip true is clipped before the blur; use a noise with clip false"):
        degrade(GRAY, kind="correlated", noise=GAUSSIAN | {"clip": True}, sigma=0.5, clip=True)


def test_a_blur_too_narrow_to_be_one_is_refused(degrade: Callable[..., Tensor]) -> None:
    with pytest.raises(ValueError, match=r"sigma: must be at least 0\.1"):
        degrade(GRAY, kind="correlated", noise=GAUSSIAN, sigma=0.05, clip=True)
