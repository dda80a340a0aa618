from typing import get_args

import pytest
import torch

from xraydenoise.training.objectives import ObjectiveName, charbonnier, objective

ONE, OTHER = torch.tensor([0.0, 1.0]), torch.tensor([0.5, 0.0])


@pytest.mark.parametrize(("name", "value"), [("mse", 0.625), ("l1", 0.75), ("charbonnier", 0.75)])
def test_the_distance_is_the_one_that_is_named(name: ObjectiveName, value: float) -> None:
    assert objective(name)(ONE, OTHER).item() == pytest.approx(value, abs=1e-5)


def test_charbonnier_has_a_slope_at_zero_where_l1_has_a_corner() -> None:
    zero = torch.zeros(3, requires_grad=True)
    charbonnier(zero, torch.zeros(3)).backward()
    assert torch.equal(zero.grad, torch.zeros(3))


@pytest.mark.parametrize("name", get_args(ObjectiveName))
def test_every_objective_is_smallest_at_the_target(name: ObjectiveName) -> None:
    assert objective(name)(ONE, ONE) < objective(name)(ONE, OTHER)
