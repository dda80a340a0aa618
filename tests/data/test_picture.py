import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xraydenoise.data.picture import Refused, gray, rescale, rescale_unit


@pytest.mark.parametrize("bits", range(2, 17))
@pytest.mark.parametrize("signed", [False, True])
def test_every_stored_value_comes_back_from_full_scale(bits: int, signed: bool) -> None:
    low = -(2 ** (bits - 1)) if signed else 0
    high = low + 2**bits - 1
    stored = np.arange(low, high + 1).astype(np.int16 if signed else np.uint16).reshape(2, -1)
    scaled = rescale(stored, low, high)
    assert (scaled.dtype, int(scaled.min()), int(scaled.max())) == (np.uint16, 0, 65535)
    np.testing.assert_array_equal(np.rint(scaled * ((high - low) / 65535)) + low, stored)


@given(bits=st.integers(1, 16), dtype=st.sampled_from([np.int32, np.uint32, np.int64]))
def test_both_ends_of_any_range_become_black_and_full_scale(bits: int, dtype: type) -> None:
    np.testing.assert_array_equal(rescale(np.array([[0, 2**bits - 1]], dtype), 0, 2**bits - 1), [[0, 65535]])


@pytest.mark.parametrize("dtype", [np.uint16, np.int16, np.int64])
def test_values_outside_the_announced_range_are_refused(dtype: type) -> None:
    with pytest.raises(Refused, match="0 to 1024 leave the announced range 0 to 1023"):
        rescale(np.array([[0, 1024]], dtype), 0, 1023)


def test_real_values_have_full_scale_one() -> None:
    np.testing.assert_array_equal(rescale_unit(np.array([[0, 0.5, 1]], np.float32)), [[0, 32768, 65535]])


@pytest.mark.parametrize(("value", "reason"), [(np.nan, "not_finite"), (-np.inf, "not_finite"), (1.01, "range"), (-0.01, "range")])
def test_real_values_without_a_known_full_scale_are_refused(value: float, reason: str) -> None:
    with pytest.raises(Refused) as caught:
        rescale_unit(np.array([[0.2, value]]))
    assert caught.value.reason == reason


def test_channels_within_the_loss_of_a_format_are_averaged_and_beyond_it_refused() -> None:
    pixels = np.full((200, 4, 3), 100, np.uint8)
    pixels[199, 0] = (98, 100, 105)
    assert gray(pixels, 255)[199, 0] == 101
    pixels[199, 0] = (98, 100, 107)
    with pytest.raises(Refused, match="differ by up to 9 of 255"):
        gray(pixels, 255)


def test_a_refusal_survives_the_way_from_a_worker_process() -> None:
    refused = pickle.loads(pickle.dumps(Refused("colour", "channels differ")))
    assert (refused.reason, refused.detail, str(refused)) == ("colour", "channels differ", "colour: channels differ")
