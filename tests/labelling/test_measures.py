import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xraydenoise.labelling import measures


def noise(sigma, shape=(96, 96)):
    return sigma * np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def test_an_identical_label_has_nothing_to_tell(picture):
    found = measures.measure(picture(96, 80), picture(96, 80), 1.0)
    assert (found.shift, found.block_shift, found.overshoot, found.added) == (0, 0, 0, 0)
    assert (found.residual, found.structure, found.structured) == (0, 0, 0)
    assert (found.detail, found.correlation) == (1, pytest.approx(1))


def test_a_brightness_shift_is_told_and_is_no_structure(picture):
    pixels = picture(70, 50)
    found = measures.measure(pixels, pixels + 0.02, math.nan)
    assert found.shift == pytest.approx(0.02, abs=1e-6)
    assert found.block_shift == pytest.approx(0.02, abs=1e-6)
    assert found.structured == 0
    assert found.added < 1e-3
    assert math.isnan(found.survival)


def test_removed_white_noise_is_neither_structure_nor_added_detail(picture):
    pixels = picture(96, 96)
    found = measures.measure(pixels + noise(0.05), pixels, 1.0)
    assert found.residual == pytest.approx(0.05, rel=0.05)
    assert found.structure < 0.02
    assert found.added < 0.01
    assert found.detail < 0.5


def test_a_blurred_label_leaves_anatomy_in_the_residual(picture):
    pixels = picture(96, 96)
    found = measures.measure(pixels, cv2.GaussianBlur(pixels, (0, 0), 4), 1.0)
    assert found.structure > 0.4
    assert found.added < 0.002
    assert found.detail < 0.1


def test_invented_texture_is_added_though_as_much_detail_was_removed_elsewhere(picture):
    """The energy of the whole is as it was, so `detail` sees nothing."""
    pixels, texture = picture(96, 192), np.zeros((96, 192), np.float32)
    texture[:, 96:] = noise(0.05)
    found = measures.measure(pixels + texture[:, ::-1], pixels + texture, 1.0)
    assert found.detail == pytest.approx(1, abs=0.02)
    fine = math.sqrt(measures.energy(noise(0.05)).mean())
    assert found.added == pytest.approx(fine / math.sqrt(2), rel=0.1)


def test_overshoot_is_told(picture):
    pixels = picture(70, 50)
    assert measures.measure(pixels, np.where(pixels == pixels.max(), 1.03, pixels), 1.0).overshoot == pytest.approx(0.03, abs=1e-6)


def test_what_all_pixels_of_each_square_share_is_the_intraclass_correlation():
    """A part that is constant over squares far larger than 4 px, plus white noise: the share is that of their variances."""
    rng = np.random.default_rng(0)
    common = np.kron(rng.standard_normal((16, 16)), np.ones((64, 64)))
    residual = 0.03 * common / common.std() + 0.04 * rng.standard_normal(common.shape)
    assert measures.shared(residual) == pytest.approx(0.03**2 / (0.03**2 + 0.04**2), rel=0.05)


@settings(max_examples=30)
@given(
    seed=st.integers(0, 99),
    height=st.integers(1, 60),
    width=st.integers(1, 60),
    sigma=st.floats(0, 5),
    scale=st.sampled_from([-1, 0.02, 1]),
)
def test_the_shared_part_is_a_share_whatever_the_residuals_size_sign_and_smoothness(seed, height, width, sigma, scale):
    residual = np.random.default_rng(seed).standard_normal((height, width))
    if sigma > 0.3:
        residual = cv2.GaussianBlur(residual, (0, 0), sigma).reshape(height, width)
    share = measures.shared(residual)
    assert 0 <= share <= 1
    if np.var(residual) > 1e-4:
        assert measures.shared(scale * residual) == pytest.approx(share)


def test_black_on_black_and_flat_pictures_pass():
    black, flat = np.zeros((40, 40), np.float32), np.full((40, 40), 0.5, np.float32)
    assert measures.measure(black, black, math.nan).detail == 1
    assert measures.measure(flat, flat, math.nan).correlation == 1
