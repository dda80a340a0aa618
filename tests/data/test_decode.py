import zlib
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from xraydenoise.data.decode import decode
from xraydenoise.data.picture import Refused

LIMIT = 1.0  # megapixels


def refusal(path: Path, limit: float = LIMIT) -> str:
    with pytest.raises(Refused) as caught:
        decode(path, limit)
    assert caught.value.detail
    return caught.value.reason


@pytest.mark.parametrize("name", ["a.png", "a.tif", "A.TIFF"])
def test_16_bit_formats_keep_every_level(name: str, ramp: np.ndarray, make_picture) -> None:
    picture = decode(make_picture(name, ramp), LIMIT)
    assert (picture.bits, picture.spacing, picture.patient) == (16, None, None)
    np.testing.assert_array_equal(picture.pixels, ramp)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.bmp"])
def test_8_bit_white_is_full_scale_exactly(name: str, make_picture) -> None:
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    picture = decode(make_picture(name, pixels), LIMIT)
    assert picture.bits == 8
    np.testing.assert_array_equal(picture.pixels, pixels.astype(np.uint16) * 257)


def test_a_jpeg_is_decoded_within_its_loss(ramp: np.ndarray, make_picture) -> None:
    pixels = (ramp >> 8).astype(np.uint8)
    assert np.abs(decode(make_picture("a.jpg", pixels), LIMIT).pixels / 257 - pixels).mean() < 2


def test_the_format_is_told_by_the_content_and_not_by_the_name(ramp: np.ndarray, make_picture) -> None:
    path = make_picture("a.png", ramp)
    np.testing.assert_array_equal(decode(path.rename(path.with_name("a.jpeg")), LIMIT).pixels, ramp)


def test_gray_in_three_channels_is_gray(ramp: np.ndarray, make_picture) -> None:
    np.testing.assert_array_equal(decode(make_picture("a.png", np.dstack([ramp] * 3)), LIMIT).pixels, ramp)


def test_an_opaque_alpha_channel_is_dropped_and_a_transparent_one_refused(ramp: np.ndarray, make_picture) -> None:
    opaque = np.dstack([ramp, ramp, ramp, np.full_like(ramp, 65535)])
    np.testing.assert_array_equal(decode(make_picture("a.png", opaque), LIMIT).pixels, ramp)
    opaque[3, 4, 3] = 60000
    assert refusal(make_picture("b.png", opaque)) == "transparent"


def test_real_colour_is_refused(ramp: np.ndarray, make_picture) -> None:
    assert refusal(make_picture("a.png", np.dstack([ramp, ramp, ramp[::-1]]))) == "colour"


@pytest.mark.parametrize("suffix", ["jpeg", "png", "tiff"])
def test_exif_rotation_is_ignored_in_every_format(suffix: str, tmp_path: Path) -> None:
    pixels = np.zeros((32, 48), np.uint8)
    pixels[:16] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    Image.fromarray(pixels).save(tmp_path / f"a.{suffix}", exif=exif)
    assert decode(tmp_path / f"a.{suffix}", LIMIT).pixels.shape == (32, 48)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_tiff_whose_white_is_zero_is_inverted_at_both_depths(dtype: type, ramp: np.ndarray, make_tiff) -> None:
    pixels = ramp if dtype is np.uint16 else (ramp >> 8).astype(np.uint8)
    black = decode(make_tiff("black.tif", pixels, photometric=1), LIMIT).pixels
    white = decode(make_tiff("white.tif", pixels, photometric=0), LIMIT).pixels
    np.testing.assert_array_equal(white, 65535 - black)


def test_a_tiff_of_two_pages_is_refused(ramp: np.ndarray, make_tiff) -> None:
    assert refusal(make_tiff("a.tif", ramp, pages=2)) == "frames"


def test_a_float_tiff_is_refused_since_its_full_scale_is_unknown(ramp: np.ndarray, make_picture) -> None:
    assert refusal(make_picture("a.tif", ramp.astype(np.float32))) == "depth"


def test_an_empty_a_constant_and_a_text_file_are_refused(tmp_path: Path, make_picture) -> None:
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("a page that says 404")
    assert refusal(tmp_path / "empty.png") == "empty"
    assert refusal(tmp_path / "text.png") == "not_an_image"
    assert refusal(make_picture("flat.png", np.full((40, 40), 9, np.uint8))) == "constant"


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "tif"])
@settings(max_examples=25, deadline=None)
@given(share=st.floats(0.002, 0.995))
def test_a_picture_cut_anywhere_is_refused(suffix: str, share: float, tmp_path_factory: pytest.TempPathFactory) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (90, 120), dtype=np.uint8)
    whole = cv2.imencode(f".{suffix}", noise)[1].tobytes()
    path = tmp_path_factory.mktemp("cut") / f"a.{suffix}"
    path.write_bytes(whole[: max(1, int(len(whole) * share))])
    assert refusal(path) in ("truncated", "unreadable", "not_an_image")


def test_a_jpeg_cut_behind_its_thumbnail_is_refused_as_truncated(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (90, 120), dtype=np.uint8)
    whole = cv2.imencode(".jpg", noise)[1].tobytes()
    thumbnail = cv2.imencode(".jpg", noise[:20, :20])[1].tobytes()  # has an end-of-image marker of its own
    segment = b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    (tmp_path / "whole.jpg").write_bytes(whole[:2] + segment + whole[2:])
    (tmp_path / "cut.jpg").write_bytes(whole[:2] + segment + whole[2 : len(whole) // 2])
    assert decode(tmp_path / "whole.jpg", LIMIT).pixels.shape == (90, 120)
    assert refusal(tmp_path / "cut.jpg") == "truncated"


def test_a_progressive_jpeg_with_many_scans_is_read_to_its_end(ramp: np.ndarray, tmp_path: Path) -> None:
    Image.fromarray((ramp >> 8).astype(np.uint8)).save(tmp_path / "a.jpg", progressive=True)
    assert decode(tmp_path / "a.jpg", LIMIT).pixels.shape == ramp.shape


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "tif"])
def test_a_picture_above_the_limit_is_refused_by_its_header(suffix: str, make_picture) -> None:
    path = make_picture(f"a.{suffix}", np.random.default_rng(0).integers(0, 256, (300, 400), dtype=np.uint8))
    assert refusal(path, limit=0.1) == "too_large"
    assert decode(path, 0.12).pixels.shape == (300, 400)


def test_a_png_bomb_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    size = (60_000).to_bytes(4, "big")
    header = b"IHDR" + size + size + bytes([8, 0, 0, 0, 0])
    chunk = (13).to_bytes(4, "big") + header + zlib.crc32(header).to_bytes(4, "big")
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk)
    assert refusal(tmp_path / "a.png", limit=64) == "too_large"


def test_a_file_too_big_for_any_allowed_picture_is_not_even_read(tmp_path: Path) -> None:
    with (tmp_path / "a.png").open("wb") as file:
        file.truncate(2**34)  # sparse: takes no room
    assert refusal(tmp_path / "a.png", limit=64) == "too_large"


@settings(max_examples=60, deadline=None)
@given(
    data=st.binary(min_size=1, max_size=300), head=st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"BM", b"II*\0", b"MM\0*"])
)
def test_no_content_makes_the_decoder_fail_in_another_way(data: bytes, head: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("any") / "a"
    path.write_bytes(head + data)
    refusal(path)


def test_a_palette_picture_of_grays_is_gray(tmp_path: Path) -> None:
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    buffer = BytesIO()
    Image.fromarray(pixels).convert("P").save(buffer, "png")
    (tmp_path / "a.png").write_bytes(buffer.getvalue())
    np.testing.assert_array_equal(decode(tmp_path / "a.png", LIMIT).pixels, pixels.astype(np.uint16) * 257)
