from math import log

import pytest

from xraydenoise.models.autoencoder import Config as Autoencoder
from xraydenoise.models.dncnn import Config as DnCNN
from xraydenoise.training.objectives import bce

OBJECTIVE = bce.Config(kind="bce")


def test_it_is_the_mean_cross_entropy_of_gray_values_as_probabilities(scaled, row) -> None:
    entropies = [-0.25 * log(0.4) - 0.75 * log(0.6), -log(0.3), -log(0.8)]
    batch = row([0.8, 0.6, 0.4], [0.25, 1.0, 0.0])
    assert OBJECTIVE.loss(scaled(0.5), batch, 0.0, None).item() == pytest.approx(sum(entropies) / 3)


def test_a_network_whose_pictures_may_leave_0_to_1_is_refused_with_the_reason() -> None:
    unbounded = DnCNN(kind="dncnn", channels=4, depth=3, unshuffle=1, batch_norm=True)
    with pytest.raises(
        ValueError, match=r"bce takes networks whose pictures lie in \[0, 1\], found .*'dncnn'.*; use mse, or one that ends"
    ):
        OBJECTIVE.check(unbounded, [])


def test_a_network_that_ends_in_a_sigmoid_is_taken() -> None:
    OBJECTIVE.check(Autoencoder(kind="autoencoder", channels=(4, 4)), [])
