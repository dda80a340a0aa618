import pytest

from xraydenoise.training.objectives import l1

OBJECTIVE = l1.Config(kind="l1")


def test_it_is_the_mean_of_the_absolute_errors(scaled, row) -> None:
    batch = row([0.5, 1.0, 0.0], [0.0, 0.5, 0.75])
    assert OBJECTIVE.loss(scaled(0.5), batch, 0.0, None).item() == pytest.approx((0.25 + 0 + 0.75) / 3)
