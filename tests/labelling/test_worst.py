import numpy as np
import pytest

from xraydenoise.labelling import worst


@pytest.fixture
def pairs():
    """Two pairs of different sizes, as the stores hold them."""
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 65536, size, np.uint16) for size in ((40, 30), (40, 30), (64, 64), (64, 64))]
    return [worst.Pair("abc-7", "detail 1.40, at most 1", *pictures[:2]), worst.Pair("defä", "shift", *pictures[2:])]


def test_pairs_are_read_as_they_were_kept_in_the_same_bytes(pairs, tmp_path):
    for name in ("one.npz", "two.npz"):
        worst.save(tmp_path / name, pairs)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    for read, kept in zip(worst.load(tmp_path / "one.npz"), pairs, strict=True):
        assert (read.image, read.reason) == (kept.image, kept.reason)
        np.testing.assert_array_equal(read.input, kept.input)
        np.testing.assert_array_equal(read.label, kept.label)
        assert read.label.dtype == np.uint16


def test_the_picture_has_a_row_a_pair_and_residuals_are_gray_where_nothing_changed(pairs):
    same = [pair._replace(label=pair.input) for pair in pairs]
    picture = worst.draw(same)
    assert picture.dtype == np.uint8
    rows = [6 * 40 + 8, 4 * 64 + 8]
    assert picture.shape == (sum(rows), 3 * (4 * 64 + 8))
    assert set(np.unique(picture[4 : rows[0] - 4, 2 * (6 * 30 + 8) + 4 :][:, : 6 * 30])) == {128}
    np.testing.assert_array_equal(picture[rows[0] :, :264], picture[rows[0] :, 264:528])


def test_a_label_too_bright_is_white_in_the_residual(pairs):
    dark = np.full((32, 32), 10000, np.uint16)
    picture = worst.draw([pairs[0]._replace(input=dark, label=dark + np.uint16(0.11 * 65535))])
    assert picture[128, 2 * 264 + 128] == 255
