from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from xraydenoise.data import prepare
from xraydenoise.data.config import MIN_SIDE, DecodeConfig, IngestConfig
from xraydenoise.data.picture import Refused

SPLIT = {"train": 0.6, "val": 0.2, "test": 0.2}


def config(size: int) -> DecodeConfig:
    return DecodeConfig(size=size, max_megapixels=1, voi=False)


@settings(max_examples=30, deadline=None)
@given(height=st.integers(1, 90), width=st.integers(1, 90), size=st.integers(MIN_SIDE, 64), level=st.integers(0, 65535))
def test_scaling_keeps_the_shape_within_a_pixel_and_a_flat_picture_flat(height: int, width: int, size: int, level: int) -> None:
    scaled = prepare.scale(np.full((height, width), level, np.uint16), size)
    factor = min(1, size / max(height, width))
    assert max(scaled.shape) == min(size, max(height, width))
    assert abs(scaled.shape[0] - height * factor) <= 1
    assert abs(scaled.shape[1] - width * factor) <= 1
    assert (scaled == level).all()


def test_a_new_pixel_is_the_mean_over_its_area() -> None:
    pixels = np.random.default_rng(3).integers(0, 65536, (96, 144), dtype=np.uint16)
    means = pixels.reshape(32, 3, 48, 3).mean(axis=(1, 3))
    assert np.abs(prepare.scale(pixels, 48) - means).max() <= 0.51


def test_a_picture_is_never_enlarged() -> None:
    pixels = np.random.default_rng(3).integers(0, 65536, (40, 50), dtype=np.uint16)
    np.testing.assert_array_equal(prepare.scale(pixels, 64), pixels)


def test_the_id_follows_the_pixels_and_not_the_format_the_name_or_the_working_size(make_picture, make_dicom) -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (64, 80), dtype=np.uint8)
    paths = [make_picture("a.png", pixels), make_picture("b.bmp", pixels), make_picture("c.png", pixels.astype(np.uint16) * 257)]
    paths.append(make_dicom(pixels, "d.dcm", bits=8))
    assert len({prepare.prepare(path, config(size)).image for path in paths for size in (40, 80)}) == 1
    assert prepare.prepare(make_picture("e.png", pixels[::-1]), config(80)).image != prepare.prepare(paths[0], config(80)).image


def test_the_id_tells_pictures_of_another_shape_apart() -> None:
    pixels = np.zeros((40, 60), np.uint16)
    assert prepare.content_id(pixels) != prepare.content_id(pixels.reshape(60, 40))


def test_a_picture_keeps_its_native_size_and_spacing(make_dicom) -> None:
    pixels = np.random.default_rng(3).integers(0, 4096, (200, 100), dtype=np.uint16)
    prepared = prepare.prepare(make_dicom(pixels, bits=12, PixelSpacing=[0.1, 0.1]), config(80))
    assert prepared.spacing == 0.1
    assert (prepared.native_height, prepared.native_width, prepared.pixels.shape) == (200, 100, (80, 40))


def test_a_sliver_is_refused(make_picture) -> None:
    with pytest.raises(Refused, match="too_small: 64 x 16 px"):
        prepare.prepare(make_picture("a.png", np.arange(128 * 32, dtype=np.uint16).reshape(32, 128)), config(64))


def test_results_come_in_the_order_of_the_files_with_refusals_among_them(tmp_path: Path) -> None:
    generator = np.random.default_rng(3)
    paths = []
    for number in range(12):
        side = 200 if number % 3 == 0 else 40  # big ones take longer, so that threads finish out of order
        paths.append(tmp_path / f"{number}.png")
        cv2.imwrite(str(paths[-1]), generator.integers(0, 65536, (side, side + number), dtype=np.uint16))
    paths[5].write_text("no image")
    results = list(prepare.stream(paths, config(64), workers=3))
    assert [isinstance(result, Refused) for result in results] == [number == 5 for number in range(12)]
    assert [result.native_width % 20 for result in results if isinstance(result, prepare.Prepared)] == [n for n in range(12) if n != 5]


@pytest.mark.parametrize(
    ("entries", "fault"),
    [
        ({"split": {**SPLIT, "train": 0.7}}, "must sum to 1, found 1.1"),
        ({"split": {"train": 1.0, "val": 0.0, "test": 0.0}}, "greater than 0"),
        ({"size": 8}, "greater than or equal to 32"),
        ({"max_bad": 1.5}, "less than or equal to 1"),
        ({"window": True}, "Extra inputs"),
    ],
)
def test_a_wrong_entry_is_refused(entries: dict, fault: str) -> None:
    good = {"size": 64, "max_megapixels": 64, "voi": False, "max_bad": 0.5, "split": SPLIT}
    IngestConfig.model_validate(good)
    with pytest.raises(ValidationError, match=fault):
        IngestConfig.model_validate({**good, **entries})
