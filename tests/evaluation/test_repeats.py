import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xraydenoise.evaluation import repeats


def draw(region: np.ndarray, number: int) -> np.ndarray:
    return region + 0.05 * np.random.default_rng([7, number]).standard_normal(region.shape)


@given(st.integers(2, 9), st.integers(1, 12), st.integers(1, 12), st.integers(0, 2**31))
@settings(max_examples=30, deadline=None)
def test_bias_and_variance_add_up_to_the_mean_squared_error(draws: int, height: int, width: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    predictions, truth = rng.random((draws, height, width), dtype=np.float32), rng.random((height, width), dtype=np.float32)
    found = repeats.decompose(predictions, truth)
    assert found.bias2 + found.variance == pytest.approx(np.square(predictions.astype(np.float64) - truth).mean())


def test_known_bias_and_variance_are_found_without_bias_from_few_draws() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random((64, 64))
    bias = 0.02 * rng.standard_normal(truth.shape)
    found = [repeats.decompose(truth + bias + 0.1 * rng.standard_normal((3, *truth.shape)), truth) for _ in range(200)]
    assert np.mean([one.variance for one in found]) == pytest.approx(0.01, rel=0.01)
    assert np.mean([one.bias2 for one in found]) == pytest.approx(np.square(bias).mean(), rel=0.03)  # the naive one reads .0037


def test_predictions_that_do_not_vary_are_all_bias() -> None:
    found = repeats.decompose(np.full((4, 8, 9), 0.75), np.full((8, 9), 0.5))
    assert found == (pytest.approx(0.0625), 0)


def test_a_stronger_filter_trades_noise_for_bias() -> None:
    picture = np.kron(np.random.default_rng(0).random((24, 24)), np.ones((8, 8))) * 0.8 + 0.1

    def blurred(sigma: float) -> repeats.Decomposed:
        return repeats.repeat(lambda noisy: np.stack([cv2.GaussianBlur(one, (0, 0), sigma) for one in noisy]), draw, picture, 6, 96)

    weak, strong = blurred(0.7), blurred(3)
    assert weak.bias2 < strong.bias2
    assert weak.variance > strong.variance


def test_doing_nothing_has_the_variance_of_the_noise_and_no_bias() -> None:
    found = repeats.repeat(np.copy, draw, np.full((40, 50), 0.5), 12, 96)
    assert found.variance == pytest.approx(0.0025, rel=0.05)
    assert abs(found.bias2) < 2e-5


def test_the_typical_region_holds_as_much_detail_as_the_picture() -> None:
    rng = np.random.default_rng(0)
    amount = np.linspace(0, 1, 300)[None] ** 2  # the same from top to bottom, more to the right
    picture = (0.5 + 0.2 * amount * rng.standard_normal((200, 300))).astype(np.float32)
    found = repeats.typical(picture, 64)
    assert found.shape == (64, 64)
    assert found.var() == pytest.approx(picture.var(), rel=0.1)


@pytest.mark.parametrize(("shape", "expected"), [((40, 200), (40, 96)), ((96, 96), (96, 96)), ((33, 50), (33, 50))])
def test_a_small_picture_is_taken_whole(shape: tuple[int, int], expected: tuple[int, int]) -> None:
    picture = np.random.default_rng(0).random(shape)
    found = repeats.typical(picture, 96)
    assert found.shape == expected
    np.testing.assert_array_equal(found, repeats.typical(picture, 96))


@pytest.mark.parametrize("shape", [(1, 4, 4), (3, 4, 5), (4, 4)])
def test_a_single_draw_and_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="two or more of"):
        repeats.decompose(np.zeros(shape), np.zeros((4, 4)))


def test_a_prediction_that_is_not_finite_is_refused() -> None:
    with pytest.raises(ValueError, match="NaN or infinity"):
        repeats.repeat(lambda noisy: np.full_like(noisy, np.nan), draw, np.full((20, 20), 0.5), 2, 16)
