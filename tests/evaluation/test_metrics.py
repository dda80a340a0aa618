from collections.abc import Callable

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view
from skimage.filters import gaussian
from skimage.metrics import structural_similarity

from xraydenoise.evaluation import metrics

SIZES = st.tuples(st.integers(11, 24), st.integers(11, 24))
TALL = st.tuples(st.integers(7, 200), st.integers(7, 40))  # more rows than are compared at once
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
    target = picture((11, 13))
    assert metrics.score(target, target) == (metrics.CAP, pytest.approx(1.0), 0.0, pytest.approx(1.0), pytest.approx(1.0))


def test_an_error_below_the_cap_reads_as_the_cap() -> None:
    target = np.full((12, 12), 0.5, np.float32)
    assert metrics.score(target + np.float32(1e-7), target).psnr == metrics.CAP


def test_values_outside_the_range_score_as_their_clipped_selves() -> None:
    target = picture((16, 16))
    wild = (target * 3 - 1).astype(np.float32)
    assert metrics.score(wild, target) == metrics.score(np.clip(wild, 0, 1), target)


@given(TALL, SEEDS, st.floats(0, 10), st.floats(0, 1))
@example((134, 9), 0, 5.0, 0.01)  # two whole strips
@example((135, 9), 0, 5.0, 0.01)  # and one row more
@settings(max_examples=25, deadline=None)
def test_ssim_is_that_of_scikit_image(shape: tuple[int, int], seed: int, smooth: float, noise: float) -> None:
    target = gaussian(picture(shape, seed), smooth)
    other = ((1 - noise) * target + noise * picture(shape, seed + 1)).astype(np.float32)
    expected = structural_similarity(target.astype(np.float64), other.astype(np.float64), data_range=1.0, win_size=7)
    assert metrics.ssim(other, target) == pytest.approx(expected, abs=1e-12)


def plain_ms_ssim(x: np.ndarray, y: np.ndarray, weights: list[float]) -> float:
    """Wang, Simoncelli and Bovik in plain NumPy, a window at a time."""
    axis = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    window = np.outer(axis, axis) / axis.sum() ** 2

    def mean(pixels: np.ndarray) -> np.ndarray:
        return np.einsum("ijkl,kl->ij", sliding_window_view(pixels, (11, 11)), window)

    product = 1.0
    for scale, weight in enumerate(weights):
        ux, uy = mean(x), mean(y)
        vx, vy, vxy = mean(x * x) - ux * ux, mean(y * y) - uy * uy, mean(x * y) - ux * uy
        found = (2 * vxy + 0.0009) / (vx + vy + 0.0009)
        if scale == len(weights) - 1:
            found *= (2 * ux * uy + 0.0001) / (ux * ux + uy * uy + 0.0001)
        product *= max(found.mean(), 0) ** (weight / sum(weights))
        x, y = (np.pad(pixels, [(0, side % 2) for side in pixels.shape], mode="edge") for pixels in (x, y))
        x, y = (sum(pixels[i::2, j::2] for i in (0, 1) for j in (0, 1)) / 4 for pixels in (x, y))
    return product


@pytest.mark.parametrize(
    ("shape", "scales"),
    [((11, 30), 1), ((21, 40), 1), ((22, 23), 2), ((64, 64), 3), ((88, 97), 4), ((175, 176), 4), ((176, 177), 5), ((181, 301), 5)],
)
def test_ms_ssim_is_that_of_its_paper_on_as_many_scales_as_the_picture_holds(shape: tuple[int, int], scales: int) -> None:
    target = gaussian(picture(shape), 2).astype(np.float64)
    other = target + 0.05 * np.random.default_rng(1).standard_normal(shape)
    expected = plain_ms_ssim(other, target, [0.0448, 0.2856, 0.3001, 0.2363, 0.1333][:scales])
    assert 0.1 < expected < 0.99
    assert metrics.ms_ssim(other, target) == pytest.approx(expected, abs=1e-12)


def test_the_weights_of_ms_ssim_are_those_of_its_paper() -> None:
    assert metrics.WEIGHTS.sum() == pytest.approx(1.0, abs=2e-4)  # as printed


def test_a_negative_counts_as_no_similarity_at_all() -> None:
    target = picture((64, 64))
    assert metrics.ssim(1 - target, target) < 0
    assert metrics.ms_ssim(1 - target, target) == 0


@given(SIZES, SEEDS)
@settings(max_examples=20, deadline=None)
def test_similarities_do_not_care_which_picture_is_which_nor_how_it_lies(shape: tuple[int, int], seed: int) -> None:
    first, second = picture(shape, seed), picture(shape, seed + 1)
    for measure in (metrics.ssim, metrics.ms_ssim, metrics.edges):
        expected = measure(first, second)
        assert measure(second, first) == pytest.approx(expected, abs=1e-12)
        assert measure(first.T, second.T) == pytest.approx(expected, abs=1e-12)
        if measure is not metrics.ms_ssim:  # whose scales start from a corner
            assert measure(first[::-1, ::-1], second[::-1, ::-1]) == pytest.approx(expected, abs=1e-12)


@given(TALL, SEEDS)
@settings(max_examples=20, deadline=None)
def test_edges_are_the_correlation_of_laplacians(shape: tuple[int, int], seed: int) -> None:
    target, other = picture(shape, seed).astype(np.float64), picture(shape, seed + 1).astype(np.float64)
    other = 0.5 * (target + other)

    def fine(x: np.ndarray) -> np.ndarray:
        return (x[:-2, 1:-1] + x[2:, 1:-1] + x[1:-1, :-2] + x[1:-1, 2:] - 4 * x[1:-1, 1:-1]).ravel()

    assert metrics.edges(other, target) == pytest.approx(np.corrcoef(fine(other), fine(target))[0, 1], abs=1e-10)


@given(SEEDS, st.floats(0.1, 1), st.floats(-0.5, 0.5))
@settings(max_examples=20, deadline=None)
def test_edges_do_not_care_for_brightness_and_contrast(seed: int, contrast: float, brightness: float) -> None:
    target, other = picture((16, 18), seed).astype(np.float64), picture((16, 18), seed + 1).astype(np.float64)
    assert metrics.edges(contrast * other + brightness, target) == pytest.approx(metrics.edges(other, target), abs=1e-9)
    assert metrics.edges(contrast * target + brightness, target) == pytest.approx(1.0)


@pytest.mark.parametrize("contrast", [0.3, 0.7, 0.9])
def test_rounding_takes_no_score_beyond_1(contrast: float) -> None:
    """A picture of black and white alone, dimmed: 1.000000000000001 was no number of a table of scores, and stopped the stage."""
    target = (np.random.default_rng(0).random((80, 80)) > 0.5).astype(np.float32)
    assert metrics.edges(np.float32(contrast) * target, target) == 1
    assert metrics.edges(np.float32(contrast) * (1 - target), target) == -1


def test_more_blur_keeps_fewer_edges_and_is_less_similar_at_every_step() -> None:
    target = np.kron(picture((16, 16)), np.ones((12, 12), np.float32))
    blurred = [metrics.score(cv2.GaussianBlur(target, (0, 0), sigma), target) for sigma in (0.4, 0.7, 1, 2, 4)]
    for name in ("edges", "ms_ssim", "ssim", "psnr"):
        values = [getattr(score, name) for score in blurred]
        assert values == sorted(set(values), reverse=True)
    assert blurred[0].edges > 0.9
    assert blurred[-1].edges < 0.2


def test_a_flat_prediction_keeps_no_edge_unless_there_is_none() -> None:
    flat = np.full((16, 16), 0.3, np.float32)
    assert metrics.edges(flat, picture((16, 16))) == 0
    assert metrics.edges(picture((16, 16)), flat) == 0
    assert metrics.edges(flat, flat + np.float32(0.1)) == 1


def test_more_noise_scores_worse_by_every_metric() -> None:
    target = 0.2 + 0.6 * np.kron(picture((8, 8)), np.ones((4, 4), np.float32))
    noise = np.random.default_rng(1).standard_normal(target.shape).astype(np.float32)
    little, much = metrics.score(target + 0.02 * noise, target), metrics.score(target + 0.1 * noise, target)
    assert little.psnr > much.psnr
    assert little.ssim > much.ssim
    assert little.mse < much.mse
    assert little.ms_ssim > much.ms_ssim
    assert little.edges > much.edges


def test_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\(8, 9\).*\(9, 8\)"):
        metrics.score(picture((8, 9)), picture((9, 8)))


def test_a_prediction_that_is_not_finite_is_refused() -> None:
    broken = picture((8, 8))
    broken[2, 3:5] = np.nan, np.inf
    with pytest.raises(ValueError, match="2 of 64 pixels"):
        metrics.score(broken, picture((8, 8)))


@pytest.mark.parametrize(("measure", "side"), [(metrics.ssim, 7), (metrics.ms_ssim, 11), (metrics.score, 11)])
def test_a_picture_smaller_than_the_window_is_refused(measure: Callable[..., object], side: int) -> None:
    measure(picture((side, 20)), picture((side, 20)))
    with pytest.raises(ValueError, match=f"{side - 1}x20 px"):
        measure(picture((side - 1, 20)), picture((side - 1, 20)))
