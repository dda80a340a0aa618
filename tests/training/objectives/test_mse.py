import pytest

from xraydenoise.training.objectives import mse

OBJECTIVE = mse.Config(kind="mse")


def test_it_is_the_mean_of_the_squared_errors(scaled, row) -> None:
    batch = row([0.5, 1.0, 0.0], [0.0, 0.5, 0.25])
    assert OBJECTIVE.loss(scaled(0.5), batch, 0.0, None).item() == pytest.approx((0.25**2 + 0 + 0.25**2) / 3)
