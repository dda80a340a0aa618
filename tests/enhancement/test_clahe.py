import cv2
import numpy as np
import pytest

from xraydenoise.enhancement import clahe


def test_it_agrees_with_opencv_on_eight_bits(radiograph):
    levels = np.rint(cv2.resize(radiograph, (256, 256)) * 255).astype(np.uint8)  # tiles large enough for OpenCV's whole-numbered limit
    theirs = cv2.createCLAHE(clipLimit=2.5, tileGridSize=(8, 8)).apply(levels) / 255
    ours = clahe.equalise(levels.astype(np.float32) / 255, limit=2.5)
    assert np.abs(ours - theirs).mean() < 0.02


def test_depth_is_kept_where_eight_bits_would_show_steps():
    ramp = np.tile(np.linspace(0.4, 0.45, 256, dtype=np.float32), (256, 1))
    assert len(np.unique(clahe.equalise(ramp, limit=2.5)[128])) > 200


@pytest.mark.parametrize("limit", [1.5, 3.0])
def test_no_curve_is_steeper_than_the_limit_and_the_share_of_what_was_clipped(limit):
    flat = np.full(1000, 0.5, np.float32)
    curve = clahe.curve(flat, limit)
    assert curve[0] == 0
    assert curve[-1] == pytest.approx(1, abs=1e-5)
    assert np.diff(curve).max() * clahe.BINS <= limit + 1


def test_a_flat_picture_stays_flat():
    assert np.ptp(clahe.equalise(np.full((50, 70), 0.3, np.float32), limit=2.5)) < 1e-6
