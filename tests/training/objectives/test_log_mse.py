import math

import pytest
import torch

from xraydenoise.training.objectives import Batch, log_mse

OBJECTIVE = log_mse.Config(kind="log_mse", epsilon=1e-6)


def test_it_is_the_mean_over_crops_of_the_logarithm_of_each_crops_error(scaled) -> None:
    noisy, target = torch.ones(2, 1, 1, 2), torch.tensor([[0.5, 0.0], [0.4, 0.4]]).view(2, 1, 1, 2)
    batch = Batch(noisy, target, torch.zeros(2), torch.Generator())
    errors = (0.25**2 / 2 + 0.25**2 / 2 + 0, 0.15**2)  # a prediction of .25 against .5 and 0, and against .4
    expected = sum(math.log(error + 1e-6) for error in errors) / 2
    assert OBJECTIVE.loss(scaled(0.25), batch, 0.0, None).item() == pytest.approx(expected, rel=1e-5)


def test_a_crop_without_error_reads_the_logarithm_of_epsilon(scaled, row) -> None:
    batch = row([0.5, 0.25], [0.5, 0.25])
    assert OBJECTIVE.loss(scaled(1.0), batch, 0.0, None).item() == pytest.approx(math.log(1e-6), rel=1e-5)


def test_ten_times_the_noise_has_no_larger_a_gradient(scaled, row) -> None:
    gradients = []
    for size in (0.01, 0.1):
        network = scaled(1.0)
        OBJECTIVE.loss(network, row([0.5 + size, 0.5 - size], [0.5, 0.5]), 0.0, None).backward()
        gradients.append(abs(network.factor.grad.item()))
    assert gradients[0] == pytest.approx(gradients[1], rel=0.05)


@pytest.mark.parametrize("epsilon", [0.0, -1e-6])
def test_an_epsilon_that_is_not_positive_is_refused(epsilon: float) -> None:
    with pytest.raises(ValueError, match="greater than 0"):
        log_mse.Config(kind="log_mse", epsilon=epsilon)
