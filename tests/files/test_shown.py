from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest

from xraydenoise.data.picture import Refused
from xraydenoise.files import formats
from xraydenoise.files.shown import Shown, shown
from xraydenoise.inference import Denoiser


def npy(pixels: np.ndarray) -> bytes:
    written = BytesIO()
    np.save(written, pixels)
    return written.getvalue()


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_a_picture_is_shown_with_the_values_of_its_file(kind: type[np.integer], noisy: np.ndarray) -> None:
    pixels = np.rint(noisy * np.iinfo(kind).max).astype(kind)
    found = shown(cv2.imencode(".png", pixels)[1].tobytes())
    np.testing.assert_array_equal(found.values, pixels)
    assert (found.padding, found.inverted, found.note) == (None, False, "")


@pytest.mark.parametrize("shape", [(3, 40, 56), (3, 1, 40, 56)])
def test_of_several_pictures_the_first_is_shown_and_the_note_says_so(shape: tuple[int, ...], noisy: np.ndarray) -> None:
    pixels = np.stack([noisy, noisy + 1, noisy + 2]).reshape(shape).astype(">f4")
    found = shown(npy(pixels))
    np.testing.assert_array_equal(found.values, noisy.astype(np.float32))
    assert found.note == "first of 3"


def test_a_result_is_read_as_what_it_is(noisy: np.ndarray, denoise: Denoiser, tmp_path: Path) -> None:
    pixels = np.rint(noisy * 255).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "a.bmp"), pixels)
    np.testing.assert_array_equal(shown(formats.denoised(tmp_path / "a.bmp", denoise)).values, denoise(pixels))
    with pytest.raises(Refused, match="not_an_image"):
        shown(b"no picture")


def test_the_window_is_that_of_nearly_all_values_which_are_no_padding() -> None:
    values = np.linspace(0, 1000, 10_000).reshape(100, 100)
    values[0, 0], values[:, 90:] = 1e6, -1e6
    padding = np.zeros((100, 100), bool)
    padding[:, 90:] = True
    assert Shown(values, padding, False, 1).window == pytest.approx((5, 985), abs=10)


@pytest.mark.parametrize("padding", [None, np.ones((9, 9), bool)])
def test_a_picture_of_one_value_and_one_of_padding_alone_have_a_window_all_the_same(padding: np.ndarray | None) -> None:
    assert Shown(np.full((9, 9), 7, np.uint8), padding, False, 1).window == (7, 8)
    rare = np.zeros((100, 100))
    rare[0, 0] = 3
    assert Shown(rare, None, False, 1).window == (0, 3)
