import math

import cv2
import numpy as np
import pytest

from xraydenoise.labelling import measures


def noise(sigma, shape=(96, 96)):
    return sigma * np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def test_an_identical_label_has_moved_nothing(picture):
    found = measures.measure(picture(96, 80), picture(96, 80), 1.0)
    assert (found.shift, found.detail) == (0, 1)


def test_a_brightness_shift_is_told_and_is_no_detail(picture):
    pixels = picture(70, 50)
    found = measures.measure(pixels, pixels + 0.02, math.nan)
    assert found.shift == pytest.approx(0.02, abs=1e-6)
    assert found.mean_label - found.mean_input == pytest.approx(0.02, abs=1e-6)
    assert found.detail == pytest.approx(1, abs=1e-4)
    assert math.isnan(found.survival)


@pytest.mark.parametrize("ratio", [0.47, 0.88, 1.4])
def test_detail_of_noise_is_the_ratio_of_standard_deviations(ratio):
    """White noise on a flat picture is detail alone."""
    assert measures.measure(0.5 + noise(0.05), 0.5 + noise(ratio * 0.05), 1.0).detail == pytest.approx(ratio, rel=1e-3)


def test_removed_noise_is_less_detail_and_invented_texture_more(picture):
    pixels = picture(96, 96)
    assert measures.measure(pixels + noise(0.05), pixels, 1.0).detail < 0.7
    assert measures.measure(pixels, pixels + noise(0.05), 1.0).detail > 1.4


def test_a_sharpened_collimator_does_not_hide_that_the_rest_was_smoothed():
    """Its edge takes nearly all of the variance: the ratio of standard deviations would be above 1."""
    edge = (np.arange(96) > 48).astype(np.float32) * 0.8 + 0.1
    softened = cv2.GaussianBlur(np.tile(edge, (96, 1)), (0, 0), 1)
    assert measures.measure(softened + noise(0.02), np.tile(edge, (96, 1)), 1.0).detail < 0.9


def test_coarse_changes_are_no_detail(picture):
    pixels = picture(96, 96)
    waves = cv2.GaussianBlur(noise(1.0), (0, 0), 8)
    assert measures.measure(pixels, pixels + 0.05 * waves / waves.std(), 1.0).detail == pytest.approx(1, abs=0.03)


def test_the_block_that_moved_furthest_is_told_with_its_sign(picture):
    pixels = picture(100, 70)
    label = pixels.copy()
    label[64:96, 32:64] -= 0.1
    assert measures.block_shift(pixels, label) == pytest.approx(-0.1, abs=1e-5)


def test_flat_pictures_pass():
    black, flat = np.zeros((40, 40), np.float32), np.full((40, 40), 0.5, np.float32)
    assert measures.measure(black, black, math.nan).detail == 1
    assert measures.measure(flat, flat, math.nan).detail == 1


@pytest.mark.parametrize(("height", "width", "count"), [(65, 33, 6), (96, 32, 3), (20, 40, 2)])
def test_blocks_cover_a_picture_and_none_is_smaller_than_another(height, width, count):
    found = measures.blocks(height, width)
    covered = np.zeros((height, width), bool)
    for place in found:
        covered[place] = True
        assert covered[place].shape == (min(height, 32), min(width, 32))
    assert covered.all()
    assert len(found) == count
