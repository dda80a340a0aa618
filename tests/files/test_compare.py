import cv2
import numpy as np
import pytest

from xraydenoise.files.compare import GAP, NARROWEST, png
from xraydenoise.files.shown import Shown

HEIGHT, WIDTH = 60, 300  # a panel as wide as its picture


def panels(before: Shown, after: Shown) -> list[np.ndarray]:
    """The pictures of the three panels, uint8, without their headings."""
    pixels = cv2.imdecode(np.frombuffer(png(before, after), np.uint8), cv2.IMREAD_UNCHANGED)
    height, width = before.values.shape
    panel = max(width, NARROWEST)
    starts = (place * (panel + GAP) + (panel - width) // 2 for place in range(3))
    return [pixels[-height:, start : start + width] for start in starts]


@pytest.fixture
def values() -> np.ndarray:
    """Integers (60, 300) of -500 to 499."""
    return np.random.default_rng(0).permutation(np.linspace(-500, 499, HEIGHT * WIDTH).astype(np.int16)).reshape(HEIGHT, WIDTH)


@pytest.mark.parametrize("inverted", [False, True])
def test_the_three_panels_have_one_scale_and_no_difference_is_mid_gray(values: np.ndarray, inverted: bool) -> None:
    before = Shown(values, None, inverted, 1)
    low, high = before.window
    after = before._replace(values=(values * 0.5).astype(np.int16))
    first, second, taken = panels(before, after)
    sign = -1 if inverted else 1
    for panel, picture in ((first, before), (second, after)):
        gray = 0.5 + sign * ((picture.values - low) / (high - low) - 0.5)
        np.testing.assert_allclose(panel, 255 * gray.clip(0, 1), atol=0.51)
    np.testing.assert_allclose(taken, 255 * (0.5 + sign * (values - after.values.astype(float)) / (high - low)).clip(0, 1), atol=0.51)
    assert (panels(before, before)[2] == 128).all()


def test_padding_is_black_and_never_a_difference(values: np.ndarray) -> None:
    padding = np.zeros(values.shape, bool)
    padding[:, :40] = True
    before = Shown(np.where(padding, 0, values), padding, True, 1)
    first, second, taken = panels(before, before._replace(values=values + 1))
    assert not first[:, :40].any()
    assert not second[:, :40].any()
    assert (taken[:, :40] == 128).all()


def test_headings_tell_that_only_the_first_of_several_is_shown(values: np.ndarray) -> None:
    one, many = (Shown(values, None, False, count) for count in (1, 7))
    strips = [cv2.imdecode(np.frombuffer(png(made, one), np.uint8), 0)[:-HEIGHT, :WIDTH] for made in (one, many)]
    assert (strips[1] > 200).sum() > 1.2 * (strips[0] > 200).sum() > 0


def test_a_small_picture_keeps_its_pixels_and_room_for_the_headings() -> None:
    small = Shown(np.arange(12, dtype=np.uint8).reshape(3, 4), None, False, 1)
    np.testing.assert_array_equal(np.diff(panels(small, small)[0].astype(int)) > 0, True)
