import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xraydenoise.data.picture import Refused, gray, rescale


@given(bits=st.integers(1, 32), signed=st.booleans())
def test_both_ends_of_any_range_become_black_and_full_scale(bits: int, signed: bool) -> None:
    low = -(2 ** (bits - 1)) if signed and bits > 1 else 0
    high = low + 2**bits - 1
    np.testing.assert_array_equal(rescale(np.array([[low, high]], np.int64), low, high), [[0, 65535]])


def test_values_outside_the_announced_range_are_refused() -> None:
    with pytest.raises(Refused, match="0 to 1024 leave the announced range 0 to 1023"):
        rescale(np.array([[0, 1024]]), 0, 1023)


def test_channels_within_the_loss_of_a_format_are_averaged_and_beyond_it_refused() -> None:
    pixels = np.full((4, 4, 3), 100, np.uint8)
    pixels[0, 0] = (98, 100, 105)
    assert gray(pixels, 255)[0, 0] == 101
    pixels[0, 0] = (98, 100, 107)
    with pytest.raises(Refused, match="differ by up to 9 of 255"):
        gray(pixels, 255)
