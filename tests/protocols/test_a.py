import numpy as np
import pytest

from xraydenoise.evaluation import metrics
from xraydenoise.protocols import a


def test_the_batch_psnr_is_of_the_mean_error_of_each_eight_pictures_and_then_the_mean() -> None:
    errors = np.array([0.02] * 4 + [0.18] * 4 + [0.001] * 8)
    assert a.own_psnr(errors) == pytest.approx((10 + 30) / 2)  # mean errors .1 and .001


def test_the_batch_psnr_reads_6_decibels_low() -> None:
    rng = np.random.default_rng(1)
    target, prediction = rng.random((2, 40, 40)).astype(np.float32)
    assert metrics.psnr(prediction, target) - a.own_psnr(np.array([a.own_error(prediction, target)])) == pytest.approx(6.02, abs=0.001)


def test_equal_pictures_have_a_finite_batch_psnr() -> None:
    assert a.own_psnr(np.zeros(3)) == metrics.CAP


def test_a_bright_picture_is_only_divided_and_a_dark_one_shifted_first() -> None:
    bright, dark = np.array([[0.75, 1.0]]), np.array([[0.25, 0.5]])  # on [-1, 1]: .5 and 1, -.5 and 0
    np.testing.assert_allclose(a.stretched(bright), [[0.5, 1.0]])
    np.testing.assert_allclose(a.stretched(dark), [[0.0, 1.0]])
    np.testing.assert_allclose(a.stretched(np.zeros((1, 2))), [[0.0, 0.0]])


def test_the_ssim_of_a_bright_and_a_dark_even_picture_is_the_one_by_hand() -> None:
    bright, dark = np.full((16, 16), 0.9), np.full((16, 16), 0.3)  # stretched: all 1 and all 0, so luminance is .02 / 1.02 and the rest 1
    assert a.own_ssim(dark, bright) == pytest.approx(0.02 / 1.02)


def test_the_ssim_of_one_window_is_the_formula_under_a_gaussian_of_sigma_1_5() -> None:
    rng = np.random.default_rng(2)
    target, prediction = rng.random((2, 11, 11))  # both dip below half of full scale, and so are shifted
    bell = np.exp(-np.square(np.arange(-5, 6)) / (2 * 1.5**2))
    weights = np.outer(bell, bell) / bell.sum() ** 2
    x, y = ((picture - picture.min()) / (picture - picture.min()).max() for picture in (prediction, target))
    mean_x, mean_y = (weights * x).sum(), (weights * y).sum()
    var_x, var_y = (weights * np.square(x - mean_x)).sum(), (weights * np.square(y - mean_y)).sum()
    cov = (weights * (x - mean_x) * (y - mean_y)).sum()
    by_hand = (2 * mean_x * mean_y + 0.02) / (mean_x**2 + mean_y**2 + 0.02) * (2 * cov + 0.02) / (var_x + var_y + 0.02)
    assert a.own_ssim(prediction, target) == pytest.approx(by_hand)


def test_the_ssim_leaves_out_windows_that_reach_over_the_border() -> None:
    target = np.tile(np.linspace(0, 1, 31), (31, 1))
    inner = target.copy()
    inner[15, 15] = 0.5 - inner[15, 15] / 2
    corner = target.copy()
    corner[0, 0] = 0.5  # in one window alone, in its corner, with 1e-6 of its weight
    assert a.own_ssim(corner, target) == pytest.approx(1, abs=1e-6)
    assert a.own_ssim(inner, target) < 0.9999


def test_the_ssim_does_not_see_contrast_which_the_common_one_does() -> None:
    target = np.tile(np.linspace(0, 1, 31, dtype=np.float32), (31, 1))
    assert a.own_ssim(0.5 * target, target) == pytest.approx(1)
    assert metrics.ssim(0.5 * target, target) < 0.95


def test_a_picture_smaller_than_the_window_is_refused_with_its_size() -> None:
    with pytest.raises(ValueError, match="picture of 10x40 px is smaller than the window of 11x11 px"):
        a.own_ssim(np.zeros((10, 40)), np.zeros((10, 40)))
