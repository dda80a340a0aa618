import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xraydenoise.labelling import lesions


def test_the_disc_has_its_contrast_in_the_middle_half_of_it_at_the_radius_and_none_beyond_two(picture):
    pixels = 0.5 * picture(64, 64)
    added = lesions.insert(pixels, (30, 20)) - pixels
    assert added[30, 20] == pytest.approx(lesions.CONTRAST, abs=1e-3)
    assert added[30, 20 + lesions.RADIUS] == pytest.approx(lesions.CONTRAST / 2, rel=0.3)
    away = np.hypot(np.arange(64)[:, None] - 30, np.arange(64) - 20)
    assert np.abs(added[away > lesions.REACH]).max() < 1e-5


def test_the_smoothest_place_is_taken(picture):
    rough = picture(96, 96) + 0.05 * np.random.default_rng(0).standard_normal((96, 96))
    pixels = np.clip(rough, 0.05, 0.9).astype(np.float32)
    pixels[30:60, 40:70] = 0.5 + 0.001 * np.random.default_rng(1).standard_normal((30, 30))
    row, column = lesions.place(pixels)
    assert 36 <= row <= 53
    assert 46 <= column <= 63
    assert lesions.place(pixels) == (row, column)


def test_no_place_is_taken_in_air_in_saturation_in_paint_or_at_the_border(picture):
    pixels = np.clip(picture(96, 96), 0.3, 0.8)
    pixels[:40, :40] = 0.02 + 0.0001 * np.random.default_rng(0).standard_normal((40, 40))  # air
    pixels[:40, 56:] = 0.97 + 0.0001 * np.random.default_rng(0).standard_normal((40, 40))  # no room above
    pixels[56:, :40] = 0.5  # paint
    pixels[56:, 88:] = 0.5 + 0.0001 * np.random.default_rng(0).standard_normal((40, 8))
    row, column = lesions.place(pixels)
    square = pixels[row - 6 : row + 7, column - 6 : column + 7]
    assert square.min() >= 0.3
    assert square.max() <= 0.92
    assert square.std() > 0.001
    assert min(row, column) >= 14
    assert max(row, column) < 96 - 14


@pytest.mark.parametrize("pixels", [np.zeros((64, 64)), np.ones((64, 64)), np.full((64, 64), 0.5), np.eye(28), np.eye(1)])
def test_a_picture_without_a_place_has_none(pixels):
    assert lesions.place(pixels.astype(np.float32)) is None


@settings(max_examples=30)
@given(gain=st.floats(-1, 3), offset=st.floats(-0.2, 0.2), row=st.integers(14, 49), column=st.integers(14, 33))
def test_a_label_that_scales_its_input_scales_the_lesion_wherever_it_is(picture, gain, offset, row, column):
    pixels = 0.8 * picture(64, 48)
    with_lesion = lesions.insert(pixels, (row, column))
    assert lesions.survival(gain * pixels + offset, gain * with_lesion + offset, (row, column)) == pytest.approx(gain, abs=1e-4)


def test_survival_tells_a_lesion_wiped_out_from_one_blurred_and_one_kept(picture):
    pixels = 0.8 * picture(64, 64)
    spot = (32, 20)
    present = lesions.insert(pixels, spot)
    assert lesions.survival(pixels, pixels, spot) == 0
    assert lesions.survival(pixels, present, spot) == pytest.approx(1, abs=1e-5)
    blurred = [cv2.GaussianBlur(one, (0, 0), 3) for one in (pixels, present)]
    assert 0.1 < lesions.survival(*blurred, spot) < 0.5
