from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from xraydenoise.data import store

SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=9)
PICTURES = st.lists(hnp.arrays(np.uint16, SHAPES), min_size=1, max_size=5)
REAL = hnp.arrays(np.float32, SHAPES, elements=st.floats(-4, 4, width=32))


@given(pictures=PICTURES)
@settings(max_examples=40, deadline=None)
def test_pictures_of_any_mix_of_sizes_come_back_as_they_were(pictures: list[np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("store") / "a.npy"
    with store.Writer(path) as writer:
        offsets = [writer.append(picture) for picture in pictures]
    opened = store.open_store(path)
    for offset, picture in zip(offsets, pictures, strict=True):
        found = store.read(opened, offset, *picture.shape)
        assert found.dtype == np.float32
        np.testing.assert_array_equal(store.quantize(found), picture)


@given(picture=REAL)
@settings(max_examples=20, deadline=None)
def test_a_float_store_keeps_values_beyond_full_scale_exactly(picture: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("store") / "a.npy"
    with store.Writer(path, np.float32) as writer:
        offset = writer.append(picture)
    np.testing.assert_array_equal(store.read(store.open_store(path), offset, *picture.shape), picture)


def test_every_level_survives_the_way_through_floats_and_the_device(tmp_path: Path) -> None:
    levels = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    with store.Writer(tmp_path / "a.npy") as writer:
        writer.append(levels.astype(np.float32) / store.FULL_SCALE)
    opened = store.open_store(tmp_path / "a.npy")
    np.testing.assert_array_equal(opened, levels.ravel())
    on_device = store.scale(store.resident(opened, torch.device("cpu")))
    np.testing.assert_array_equal(on_device.numpy(), levels.ravel().astype(np.float32) / store.FULL_SCALE)


def test_the_file_is_one_flat_array_that_numpy_opens(tmp_path: Path) -> None:
    with store.Writer(tmp_path / "a.npy") as writer:
        assert [writer.append(np.ones((2, 3))), writer.append(np.zeros((1, 4)))] == [0, 6]
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), [65535] * 6 + [0] * 4)


@pytest.mark.parametrize(
    ("pixels", "fault"),
    [
        (np.zeros(4), r"shape \(H, W\)"),
        (np.zeros((0, 4)), r"shape \(H, W\)"),
        (np.full((2, 2), 1.01), "found 1.01 to 1.01"),
        (np.full((2, 2), np.nan), "found nan to nan"),
        (np.zeros((2, 2), np.int64), "found int64"),
    ],
)
def test_what_a_store_cannot_hold_is_refused_and_leaves_no_file(pixels: np.ndarray, fault: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=fault), store.Writer(tmp_path / "a.npy") as writer:
        writer.append(pixels)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("pixels", [np.full((2, 2), np.inf), np.zeros((2, 2), np.uint16)])
def test_a_float_store_refuses_infinity_and_whole_numbers(pixels: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="finite floats"), store.Writer(tmp_path / "a.npy", np.float32) as writer:
        writer.append(pixels)


def test_the_store_has_no_name_before_it_is_complete(tmp_path: Path) -> None:
    with store.Writer(tmp_path / "a.npy") as writer:
        writer.append(np.ones((2, 2)))
        assert not (tmp_path / "a.npy").exists()
    assert (tmp_path / "a.npy").exists()


def test_a_store_with_kept_values_goes_on_behind_them_and_stays_on_failure(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    assert store.unfinished(path).read() == b""

    def interrupted() -> None:
        with store.Writer(path, kept=0) as writer:
            writer.append(np.ones((2, 3)))
            writer.append(np.zeros((1, 4)))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with store.unfinished(path) as left:
        assert np.frombuffer(left.read(), np.uint16).tolist() == [65535] * 6 + [0] * 4
    with store.Writer(path, kept=6) as writer:
        assert writer.append(np.full((1, 2), 7, np.uint16)) == 6
    np.testing.assert_array_equal(store.open_store(path), [65535] * 6 + [7] * 2)
    assert list(tmp_path.iterdir()) == [path]
