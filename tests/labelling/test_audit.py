import numpy as np
import pytest

from xraydenoise.labelling import audit

LIMIT = 0.1


def test_a_good_label_is_measured(picture):
    pixels = picture(70, 50)
    found = audit.examine("abc", pixels, pixels + 0.02, LIMIT)
    assert found.shift == pytest.approx(0.02, abs=1e-6)
    assert found.block_shift == pytest.approx(0.02, abs=1e-6)
    assert found.detail == pytest.approx(1, abs=1e-4)
    assert found.correlation == pytest.approx(1, abs=1e-6)


def test_detail_falls_where_a_label_smooths_and_overshoot_is_told(picture):
    pixels = picture(70, 50)
    noisy = pixels + 0.05 * np.random.default_rng(0).standard_normal(pixels.shape).astype(np.float32)
    assert audit.examine("abc", noisy, pixels, LIMIT).detail < 0.5
    assert audit.examine("abc", pixels, np.where(pixels == pixels.max(), 1.03, pixels), LIMIT).overshoot == pytest.approx(0.03, abs=1e-6)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_one_pixel_that_is_no_number_is_refused(picture, value):
    label = picture(70, 50)
    label[3, 4] = value
    with pytest.raises(ValueError, match=r"image abc: 1 of 3500 label pixels are NaN"):
        audit.examine("abc", picture(70, 50), label, LIMIT)


def test_a_black_label_is_refused(picture):
    with pytest.raises(ValueError, match="image abc: the label is black"):
        audit.examine("abc", picture(70, 50), np.zeros((70, 50), np.float32), LIMIT)


def test_a_single_black_tile_is_refused_though_the_mean_hardly_moves(picture):
    label = picture(256, 256)
    label[64:96, 32:64] = 0
    with pytest.raises(ValueError, match="image abc: the label is black at row 64, column 32, where the input has a mean of"):
        audit.examine("abc", picture(256, 256), label, LIMIT)


@pytest.mark.parametrize(("shift", "refused"), [(0.09, False), (0.11, True), (-0.11, True)])
def test_a_mean_that_moved_further_than_the_limit_is_refused(picture, shift, refused):
    pixels = picture(70, 50)
    if not refused:
        audit.examine("abc", pixels, pixels + shift, LIMIT)
        return
    with pytest.raises(ValueError, match=rf"image abc: the label's mean is off by \{shift:+.3f}, label.max_shift allows 0.1"):
        audit.examine("abc", pixels, pixels + shift, LIMIT)


def test_a_tile_of_another_brightness_is_refused(picture):
    label = picture(256, 256)
    label[:32, :32] += 0.35
    with pytest.raises(ValueError, match=r"32 x 32 px is off by \+0.350, 3 x label.max_shift allows 0.3"):
        audit.examine("abc", picture(256, 256), label, LIMIT)


def test_a_label_of_another_size_is_refused(picture):
    with pytest.raises(ValueError, match=r"the label has \(10, 12\) px, the input \(12, 10\)"):
        audit.examine("abc", picture(12, 10), picture(10, 12), LIMIT)


def test_black_on_black_and_flat_pictures_pass():
    black, flat = np.zeros((40, 40), np.float32), np.full((40, 40), 0.5, np.float32)
    assert audit.examine("abc", black, black, LIMIT).detail == 1
    assert audit.examine("abc", flat, flat, LIMIT).correlation == 1
