import numpy as np
import pytest

from xraydenoise.enhancement import tone


def test_gamma_keeps_black_and_white_and_darkens_the_middle():
    np.testing.assert_allclose(tone.gamma(np.array([[0, 0.5, 1]], np.float32), 2.0), [[0, 0.25, 1]], atol=1e-6)


def test_gamma_cuts_values_outside_the_range_first():
    np.testing.assert_array_equal(tone.gamma(np.array([[-0.2, 1.5]], np.float32), 1.8), [[0, 1]])


def test_a_window_saturates_what_lies_outside():
    windowed = tone.window(np.array([[0.1, 0.2, 0.5, 0.8, 0.9]], np.float32), 0.2, 0.8)
    assert windowed == pytest.approx(np.array([[0, 0, 0.5, 1, 1]]), abs=1e-6)


def test_equalisation_spreads_the_values_evenly_and_keeps_their_order():
    pixels = np.random.default_rng(0).beta(2, 8, (64, 64)).astype(np.float32)
    equalised = tone.equalise(pixels)
    counts, _ = np.histogram(equalised, bins=8, range=(0, 1))
    assert counts.min() > 0.95 * counts.max()
    assert np.array_equal(np.argsort(equalised, axis=None), np.argsort(pixels, axis=None))


def test_equalisation_leaves_a_constant_picture_alone():
    flat = np.full((8, 8), 0.3, np.float32)
    np.testing.assert_array_equal(tone.equalise(flat), flat)
