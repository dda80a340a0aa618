from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xraydenoise.labelling import tiles

BF16_TOLERANCE = 0.02  # fraction of full scale; x4plus on chest X-rays was seen off by at most .015, .0008 on average (256 x 256 px)


@given(length=st.integers(1, 2000), tile=st.integers(64, 512), data=st.data())
def test_tiles_cover_an_axis_share_their_overlap_and_are_as_few_as_there_can_be(length, tile, data):
    overlap = data.draw(st.integers(32, tile // 2))
    starts, side = tiles.cuts(length, tile, overlap)
    assert side <= tile
    assert (starts[0], starts[-1] + side) == (0, length)
    assert all(before + side - after >= overlap for before, after in pairwise(starts))
    assert len(starts) == 1 or overlap + (len(starts) - 1) * (tile - overlap) < length


@pytest.mark.parametrize(("height", "width"), [(1, 1), (5, 90), (64, 64), (150, 97)])
def test_a_label_has_the_size_of_its_picture(compact, picture, height, width):
    label = tiles.same_size(compact, picture(height, width), tile=64, overlap=32, precision=torch.float32)
    assert label.shape == (height, width)
    assert label.dtype == np.float32


def test_tiles_blend_to_what_the_whole_picture_gives(compact, picture):
    """The field of view of this network ends within the overlap, so only the ends of the ramps differ."""
    pixels = picture(150, 130)
    whole = tiles.same_size(compact, pixels, tile=256, overlap=32, precision=torch.float32)
    tiled = tiles.same_size(compact, pixels, tile=64, overlap=32, precision=torch.float32)
    assert np.abs(tiled - whole).max() < 0.002


def test_the_result_does_not_depend_on_how_many_tiles_go_at_once(compact, picture, monkeypatch):
    pixels = picture(150, 130)
    one = tiles.same_size(compact, pixels, tile=64, overlap=32, precision=torch.float32)
    monkeypatch.setitem(tiles.BATCH, "cpu", 4)
    np.testing.assert_allclose(tiles.same_size(compact, pixels, tile=64, overlap=32, precision=torch.float32), one, atol=1e-6)


@settings(max_examples=10)
@given(side=st.integers(64, 300), overlap=st.integers(32, 150))
def test_no_weight_of_a_ramp_is_zero_or_above_one(side, overlap):
    ramp = tiles.ramp(side, min(overlap, side // 2))
    assert 0 < ramp.min() <= ramp.max() <= 1
    np.testing.assert_array_equal(ramp, ramp[::-1])


def test_real_labels_look_like_their_input_and_come_out_the_same_twice(x4plus, picture):
    pixels = picture(32, 32)
    label = tiles.same_size(x4plus, pixels, tile=64, overlap=32, precision=torch.float32)
    assert np.corrcoef(label.ravel(), pixels.ravel())[0, 1] > 0.9
    assert abs(label.mean() - pixels.mean()) < 0.02
    np.testing.assert_array_equal(tiles.same_size(x4plus, pixels, tile=64, overlap=32, precision=torch.float32), label)


def test_half_precision_stays_within_its_tolerance(x4plus, picture):
    pixels = picture(32, 32)
    exact, half = (tiles.same_size(x4plus, pixels, 64, 32, precision) for precision in (torch.float32, torch.bfloat16))
    assert 0 < np.abs(exact - half).max() < BF16_TOLERANCE
