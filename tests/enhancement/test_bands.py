from itertools import pairwise

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xraydenoise.enhancement import bands

SIDES = st.one_of(st.integers(1, 12), st.integers(13, 90))


def pictures(count, height, width, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).random((count, 1, height, width), np.float32))


@settings(max_examples=25, deadline=None)
@given(height=SIDES, width=SIDES, seed=st.integers(0, 99))
def test_the_bands_of_a_picture_of_any_size_add_up_to_it(height, width, seed):
    whole = pictures(2, height, width, seed)
    split = bands.split(whole)
    assert split.shape == (2, 8, height, width)
    torch.testing.assert_close(split.sum(1, keepdim=True), whole, atol=2e-6, rtol=0)


def test_each_band_is_a_difference_of_two_gaussian_blurs_with_reflected_borders():
    pixels = pictures(1, 300, 280)[0, 0].numpy()
    blurred = [pixels]
    for sigma in bands.SIGMAS:
        side = 2 * 4 * sigma + 1
        blurred.append(cv2.GaussianBlur(pixels, (side, side), sigma, borderType=cv2.BORDER_REFLECT))
    expected = [*(finer - coarser for finer, coarser in pairwise(blurred)), blurred[-1]]
    found = bands.split(torch.from_numpy(pixels)[None, None])[0].numpy()
    np.testing.assert_allclose(found, np.stack(expected), atol=2e-5)


@pytest.mark.parametrize("length", [1, 2, 5, 100])
def test_a_blur_keeps_the_mean_though_the_kernel_is_longer_than_the_line(length):
    for matrix in bands.kernels(length, torch.device("cpu")):
        torch.testing.assert_close(matrix.sum(0), torch.ones(length), atol=1e-5, rtol=0)
        torch.testing.assert_close(matrix.sum(1), torch.ones(length), atol=1e-5, rtol=0)
        assert (matrix >= 0).all()


def test_a_batch_gives_what_its_pictures_give_one_by_one():
    batch = pictures(5, 40, 33)
    one_by_one = torch.cat([bands.split(one[None]) for one in batch])
    torch.testing.assert_close(bands.split(batch), one_by_one, atol=1e-6, rtol=0)


def test_autocast_does_not_change_the_bands():
    whole = pictures(2, 40, 33)
    with torch.autocast("cpu", torch.bfloat16):
        cast = bands.split(whole)
    assert cast.dtype == torch.float32
    assert torch.equal(cast, bands.split(whole))
