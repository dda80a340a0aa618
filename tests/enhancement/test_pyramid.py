import numpy as np
import pytest

from xraydenoise.enhancement import pyramid


def test_gains_of_one_give_the_picture_back(radiograph):
    np.testing.assert_allclose(pyramid.amplify(radiograph, gains=(1.0,) * 6), radiograph, atol=1e-6)


@pytest.mark.parametrize("gain", [1.5, 8.0])
def test_a_larger_detail_stays_the_larger_and_keeps_its_sign(gain):
    detail = np.linspace(-1, 1, 1001, dtype=np.float32)
    amplified = pyramid.gained(detail, gain, soften=0.1)
    assert (np.diff(amplified) > 0).all()
    np.testing.assert_allclose(amplified, -amplified[::-1], atol=1e-6)


def test_faint_detail_gains_in_full_and_a_strong_edge_hardly():
    faint, strong = pyramid.gained(np.array([1e-4, 1.0]), 8.0, soften=0.1) / np.array([1e-4, 1.0])
    assert faint == pytest.approx(8, rel=0.01)
    assert strong < 1.7


def test_a_base_below_one_compresses_what_is_coarser_than_all_bands():
    ramp = np.tile(np.linspace(0, 1, 256, dtype=np.float32), (256, 1))
    compressed = pyramid.amplify(ramp, gains=(1.0, 1.0), base=0.5)
    assert np.ptp(compressed[64:192, 64:192]) == pytest.approx(0.5 * np.ptp(ramp[64:192, 64:192]), rel=0.02)
    assert compressed.mean() == pytest.approx(0.5, abs=0.01)
