"""What the registered model takes, and what it refuses."""

from collections.abc import Callable

import numpy as np
import pytest

from xraydenoise.registry import store


@pytest.fixture
def scaled() -> Callable[[np.ndarray], np.ndarray]:
    store.silence()  # before MLflow is imported
    from xraydenoise.registry import pyfunc

    return pyfunc.scaled


@pytest.mark.parametrize("shape", [(64, 48, 1), (64, 48, 2), (64, 48, 3), (64, 48, 4), (5, 64, 48, 3), (1, 1, 48, 3), (1, 64, 48, 1)])
def test_pictures_with_channels_last_are_refused(scaled, shape):
    with pytest.raises(ValueError, match=r"found \(.*\), which looks like channels last; give gray pictures without"):
        scaled(np.zeros(shape, np.uint8))


@pytest.mark.parametrize("shape", [(64, 48), (5, 4), (3, 64, 48), (1, 8, 8), (5, 1, 64, 48)])
def test_a_gray_picture_or_several_keep_their_shape(scaled, shape):
    assert scaled(np.full(shape, 255, np.uint8)).shape == shape


@pytest.mark.parametrize("shape", [(64,), (2, 3, 64, 48), (0, 64, 48), (64, 48, 0)])
def test_arrays_of_no_picture_are_refused(scaled, shape):
    with pytest.raises(ValueError, match=r"must be of shape \(H, W\), \(B, H, W\) or \(B, 1, H, W\), found \(\d"):
        scaled(np.zeros(shape, np.uint8))
