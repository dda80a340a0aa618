import pytest
import torch

from xraydenoise.training.objectives import charbonnier

OBJECTIVE = charbonnier.Config(kind="charbonnier")


def test_it_is_the_mean_of_the_smoothed_absolute_errors(scaled, row) -> None:
    batch = row([0.5, 1.0, 0.002], [0.0, 0.5, 0.0])
    smoothed = [(error**2 + 1e-6) ** 0.5 for error in (0.25, 0.0, 0.001)]
    assert OBJECTIVE.loss(scaled(0.5), batch, 0.0, None).item() == pytest.approx(sum(smoothed) / 3)


def test_it_has_a_slope_at_zero_where_l1_has_a_corner(scaled, row) -> None:
    network = scaled(1.0)
    OBJECTIVE.loss(network, row([0.2, 0.7], [0.2, 0.7]), 0.0, None).backward()
    assert torch.equal(network.factor.grad, torch.tensor(0.0))
