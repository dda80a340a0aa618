import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xraydenoise.evaluation import metrics

SIZES = st.tuples(st.integers(7, 24), st.integers(7, 24))
SEEDS = st.integers(0, 2**31)


def picture(shape: tuple[int, int], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(shape, dtype=np.float32)


@given(SIZES, SEEDS, st.floats(0.001, 0.5))
@settings(max_examples=20, deadline=None)
def test_psnr_of_a_constant_offset_is_minus_20_log10_of_it(shape: tuple[int, int], seed: int, offset: float) -> None:
    target = picture(shape, seed) * 0.5
    score = metrics.score(target + np.float32(offset), target)
    assert score.psnr == pytest.approx(-20 * np.log10(offset), abs=1e-3)
    assert score.mse == pytest.approx(offset**2, rel=1e-3)


def test_equal_pictures_score_the_cap_and_one() -> None:
    target = picture((9, 11))
    assert metrics.score(target, target) == (metrics.CAP, pytest.approx(1.0), 0.0)


def test_an_error_below_the_cap_reads_as_the_cap() -> None:
    target = np.full((8, 8), 0.5, np.float32)
    assert metrics.score(target + np.float32(1e-7), target).psnr == metrics.CAP


def test_values_outside_the_range_score_as_their_clipped_selves() -> None:
    target = picture((16, 16))
    wild = (target * 3 - 1).astype(np.float32)
    assert metrics.score(wild, target) == metrics.score(np.clip(wild, 0, 1), target)


@given(SIZES, SEEDS)
@settings(max_examples=10, deadline=None)
def test_ssim_agrees_with_its_formula_on_box_windows(shape: tuple[int, int], seed: int) -> None:
    target, other = picture(shape, seed).astype(np.float64), picture(shape, seed + 1).astype(np.float64)

    def box(pixels: np.ndarray) -> np.ndarray:
        return cv2.boxFilter(pixels, -1, (7, 7))[3:-3, 3:-3]

    sample = 49 / 48
    mean_t, mean_o = box(target), box(other)
    var_t, var_o = sample * (box(target**2) - mean_t**2), sample * (box(other**2) - mean_o**2)
    both = sample * (box(target * other) - mean_t * mean_o)
    expected = ((2 * mean_t * mean_o + 1e-4) * (2 * both + 9e-4)) / ((mean_t**2 + mean_o**2 + 1e-4) * (var_t + var_o + 9e-4))
    assert metrics.ssim(other.astype(np.float32), target.astype(np.float32)) == pytest.approx(expected.mean(), abs=1e-4)


def test_more_noise_scores_worse_by_every_metric() -> None:
    target = np.linspace(0.2, 0.8, 32 * 32, dtype=np.float32).reshape(32, 32)
    noise = np.random.default_rng(1).standard_normal(target.shape).astype(np.float32)
    little, much = metrics.score(target + 0.02 * noise, target), metrics.score(target + 0.1 * noise, target)
    assert little.psnr > much.psnr
    assert little.ssim > much.ssim
    assert little.mse < much.mse


def test_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\(8, 9\).*\(9, 8\)"):
        metrics.score(picture((8, 9)), picture((9, 8)))


def test_a_prediction_that_is_not_finite_is_refused() -> None:
    broken = picture((8, 8))
    broken[2, 3:5] = np.nan, np.inf
    with pytest.raises(ValueError, match="2 of 64 pixels"):
        metrics.score(broken, picture((8, 8)))


def test_a_picture_smaller_than_the_window_is_refused() -> None:
    with pytest.raises(ValueError, match="6x20 px"):
        metrics.score(picture((6, 20)), picture((6, 20)))
