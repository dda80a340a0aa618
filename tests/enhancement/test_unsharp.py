import numpy as np
import pytest

from xraydenoise.enhancement import unsharp


def test_an_edge_gets_overshoot_and_a_flat_picture_none():
    edge = np.repeat(np.array([[0.3, 0.7]], np.float32), 20, axis=1).repeat(20, axis=0)
    sharpened = unsharp.sharpen(edge, sigma=2.0, amount=2.0)
    assert sharpened.min() < 0.2
    assert sharpened.max() > 0.8
    np.testing.assert_allclose(unsharp.sharpen(np.full((20, 20), 0.3, np.float32), 2.0, 2.0), 0.3, atol=1e-6)


def test_the_finest_detail_gains_one_plus_the_amount():
    board = (0.5 + 0.01 * (np.indices((32, 32)).sum(0) % 2 * 2 - 1)).astype(np.float32)
    assert np.ptp(unsharp.sharpen(board, sigma=2.0, amount=2.0)) == pytest.approx(3 * np.ptp(board), rel=0.01)
