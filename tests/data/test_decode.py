import zlib
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from xraydenoise.data.decode import decode
from xraydenoise.data.picture import Refused

LIMIT = 1.0  # megapixels


def refusal(path: Path, limit: float = LIMIT) -> str:
    with pytest.raises(Refused) as caught:
        decode(path, limit, voi=False)
    assert caught.value.detail
    return caught.value.reason


@pytest.mark.parametrize("name", ["a.png", "a.tif", "A.TIFF"])
def test_16_bit_formats_keep_every_level(name: str, make_picture) -> None:
    levels = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    picture = decode(make_picture(name, levels), LIMIT, voi=False)
    assert (picture.bits, picture.spacing, picture.patient, picture.burned_in) == (16, None, None, False)
    np.testing.assert_array_equal(picture.pixels, levels)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.bmp"])
def test_8_bit_white_is_full_scale_exactly(name: str, make_picture) -> None:
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    picture = decode(make_picture(name, pixels), LIMIT, voi=False)
    assert picture.bits == 8
    np.testing.assert_array_equal(picture.pixels, pixels.astype(np.uint16) * 257)


def test_a_jpeg_is_decoded_within_its_loss(ramp: np.ndarray, make_picture) -> None:
    pixels = (ramp >> 8).astype(np.uint8)
    assert np.abs(decode(make_picture("a.jpg", pixels), LIMIT, voi=False).pixels / 257 - pixels).mean() < 2


def test_the_format_is_told_by_the_content_and_not_by_the_name(ramp: np.ndarray, make_picture) -> None:
    path = make_picture("a.png", ramp)
    np.testing.assert_array_equal(decode(path.rename(path.with_name("a.jpeg")), LIMIT, voi=False).pixels, ramp)


def test_gray_in_three_channels_is_gray(ramp: np.ndarray, make_picture) -> None:
    np.testing.assert_array_equal(decode(make_picture("a.png", np.dstack([ramp] * 3)), LIMIT, voi=False).pixels, ramp)


def test_an_opaque_alpha_channel_is_dropped_and_a_transparent_one_refused(ramp: np.ndarray, make_picture) -> None:
    opaque = np.dstack([ramp, ramp, ramp, np.full_like(ramp, 65535)])
    np.testing.assert_array_equal(decode(make_picture("a.png", opaque), LIMIT, voi=False).pixels, ramp)
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
    assert decode(tmp_path / f"a.{suffix}", LIMIT, voi=False).pixels.shape == (32, 48)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_tiff_whose_white_is_zero_is_inverted_at_both_depths(dtype: type, ramp: np.ndarray, make_tiff) -> None:
    pixels = ramp if dtype is np.uint16 else (ramp >> 8).astype(np.uint8)
    black = decode(make_tiff("black.tif", pixels, photometric=1), LIMIT, voi=False).pixels
    white = decode(make_tiff("white.tif", pixels, photometric=0), LIMIT, voi=False).pixels
    np.testing.assert_array_equal(white, 65535 - black)


def test_a_tiff_of_two_pages_is_refused(ramp: np.ndarray, make_tiff) -> None:
    assert refusal(make_tiff("a.tif", ramp, pages=2)) == "frames"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("photometric", [0, 1])
def test_a_tiff_of_real_numbers_has_full_scale_one(dtype: type, photometric: int, ramp: np.ndarray, make_tiff) -> None:
    picture = decode(make_tiff("a.tif", (ramp / 65535).astype(dtype), photometric), LIMIT, voi=False)
    assert picture.bits == 8 * np.dtype(dtype).itemsize
    np.testing.assert_array_equal(picture.pixels, ramp if photometric == 1 else 65535 - ramp)


@pytest.mark.parametrize(("value", "reason"), [(np.nan, "not_finite"), (np.inf, "not_finite"), (255.0, "range")])
def test_a_tiff_of_other_real_numbers_is_refused(value: float, reason: str, ramp: np.ndarray, make_tiff) -> None:
    pixels = (ramp / 65535).astype(np.float32)
    pixels[3, 4] = value
    assert refusal(make_tiff("a.tif", pixels)) == reason


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_a_tiff_of_packed_bits_keeps_every_level(bits: int, make_tiff) -> None:
    values = np.arange(2**bits, dtype=np.uint16).reshape(32, -1)
    packed = np.packbits((values[..., None] >> np.arange(bits - 1, -1, -1) & 1).astype(np.uint8).reshape(32, -1), axis=1)
    picture = decode(make_tiff("a.tif", values, strip=packed.tobytes(), tags={258: bits}), LIMIT, voi=False)
    assert picture.bits == bits
    np.testing.assert_array_equal(np.rint(picture.pixels * ((2**bits - 1) / 65535)), values)


def test_a_tiff_of_signed_or_wide_integers_is_refused_since_its_full_scale_is_unknown(ramp: np.ndarray, make_tiff) -> None:
    assert refusal(make_tiff("a.tif", ramp, tags={339: 2})) == "depth"
    assert refusal(make_tiff("b.tif", ramp.astype(np.uint32))) == "depth"


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_a_tiff_of_separate_planes_is_read_at_8_bit_and_refused_above(dtype: type, tmp_path: Path, ramp: np.ndarray) -> None:
    plane = (ramp / {np.uint8: 257, np.uint16: 1, np.float32: 65535}[dtype]).astype(dtype)
    tifffile.imwrite(tmp_path / "planar.tif", np.stack([plane] * 3), photometric="rgb", planarconfig="separate")
    if dtype is np.uint8:
        np.testing.assert_array_equal(decode(tmp_path / "planar.tif", LIMIT, voi=False).pixels, plane.astype(np.uint16) * 257)
    else:
        assert refusal(tmp_path / "planar.tif") == "planar"
    tifffile.imwrite(tmp_path / "gray.tif", plane, photometric="minisblack", planarconfig="separate")  # one plane is no planes
    assert decode(tmp_path / "gray.tif", LIMIT, voi=False).pixels.shape == plane.shape


def test_a_tiff_with_a_jpeg_inside_is_refused_since_damage_would_pass_unseen(tmp_path: Path, ramp: np.ndarray) -> None:
    Image.fromarray((ramp >> 8).astype(np.uint8)).save(tmp_path / "a.tif", compression="jpeg")
    assert refusal(tmp_path / "a.tif") == "compression"


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_a_lossless_tiff_is_decoded_exactly(compression: str, tmp_path: Path, ramp: np.ndarray) -> None:
    pixels = (ramp >> 8).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.tif", compression=compression)
    np.testing.assert_array_equal(decode(tmp_path / "a.tif", LIMIT, voi=False).pixels, pixels.astype(np.uint16) * 257)


def test_a_tiff_whose_tile_is_huge_is_refused(ramp: np.ndarray, make_tiff) -> None:
    tiles = {322: 60_000, 323: 60_000, 324: 8, 325: 4800, 259: 8}
    assert refusal(make_tiff("a.tif", ramp, tags=tiles)) == "too_large"


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_tiff_with_right_checksums_over_too_few_rows_is_refused(dtype: type, make_tiff) -> None:
    pixels = np.arange(40 * 60).reshape(40, 60).astype(dtype)
    for share, expected in ((40, None), (20, "damaged"), (0, "damaged")):
        strip = zlib.compress(pixels[:share].tobytes())
        path = make_tiff("a.tif", pixels, strip=strip, tags={259: 8})
        if expected is None:
            assert decode(path, LIMIT, voi=False).pixels.shape == (40, 60)
        else:
            assert refusal(path) == expected


def test_a_bitmap_of_32_bit_is_gray_and_not_transparent(ramp: np.ndarray, make_picture) -> None:
    gray = (ramp >> 8).astype(np.uint8)
    path = make_picture("a.bmp", np.dstack([gray] * 3 + [np.zeros_like(gray)]))
    data = bytearray(path.read_bytes())
    data[30:34] = bytes(4)  # not compressed, as most programs write it: the fourth byte is padding
    path.write_bytes(data)
    np.testing.assert_array_equal(decode(path, LIMIT, voi=False).pixels, gray.astype(np.uint16) * 257)


def test_an_animated_png_is_refused(tmp_path: Path, ramp: np.ndarray) -> None:
    first, second = (Image.fromarray((ramp >> shift).astype(np.uint8)) for shift in (8, 9))
    first.save(tmp_path / "a.png", save_all=True, append_images=[second])
    assert refusal(tmp_path / "a.png") == "frames"


def test_a_cmyk_jpeg_is_refused_as_colour(tmp_path: Path, ramp: np.ndarray) -> None:
    Image.fromarray((ramp >> 8).astype(np.uint8)).convert("CMYK").save(tmp_path / "a.jpg")
    assert refusal(tmp_path / "a.jpg") == "colour"


@pytest.mark.parametrize("quality", [50, 95])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_has_the_pixels_that_opencv_gives(quality: int, channels: int, progressive: bool, tmp_path: Path, ramp: np.ndarray) -> None:
    pixels = (ramp >> 8).astype(np.uint8)
    picture = Image.fromarray(pixels if channels == 1 else np.dstack([pixels] * 3))
    picture.save(tmp_path / "a.jpg", quality=quality, progressive=progressive)
    expected = cv2.imread(str(tmp_path / "a.jpg"), cv2.IMREAD_UNCHANGED)
    expected = expected if channels == 1 else expected[..., 1]
    np.testing.assert_array_equal(decode(tmp_path / "a.jpg", LIMIT, voi=False).pixels, expected.astype(np.uint16) * 257)


def test_an_empty_a_constant_and_a_text_file_are_refused(tmp_path: Path, make_picture) -> None:
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("a page that says 404")
    assert refusal(tmp_path / "empty.png") == "empty"
    assert refusal(tmp_path / "text.png") == "not_an_image"
    assert refusal(make_picture("flat.png", np.full((40, 40), 9, np.uint8))) == "constant"


def test_a_jpeg_cut_behind_its_thumbnail_is_refused_as_truncated(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (90, 120), dtype=np.uint8)
    whole = cv2.imencode(".jpg", noise)[1].tobytes()
    thumbnail = cv2.imencode(".jpg", noise[:20, :20])[1].tobytes()  # has an end-of-image marker of its own
    segment = b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    (tmp_path / "whole.jpg").write_bytes(whole[:2] + segment + whole[2:])
    (tmp_path / "cut.jpg").write_bytes(whole[:2] + segment + whole[2 : len(whole) // 2])
    assert decode(tmp_path / "whole.jpg", LIMIT, voi=False).pixels.shape == (90, 120)
    assert refusal(tmp_path / "cut.jpg") == "truncated"


def test_a_progressive_jpeg_with_many_scans_is_read_to_its_end(ramp: np.ndarray, tmp_path: Path) -> None:
    Image.fromarray((ramp >> 8).astype(np.uint8)).save(tmp_path / "a.jpg", progressive=True)
    assert decode(tmp_path / "a.jpg", LIMIT, voi=False).pixels.shape == ramp.shape


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "tif"])
def test_a_picture_above_the_limit_is_refused_by_its_header(suffix: str, make_picture) -> None:
    path = make_picture(f"a.{suffix}", np.random.default_rng(0).integers(0, 256, (300, 400), dtype=np.uint8))
    assert refusal(path, limit=0.1) == "too_large"
    assert decode(path, 0.12, voi=False).pixels.shape == (300, 400)


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
    np.testing.assert_array_equal(decode(tmp_path / "a.png", LIMIT, voi=False).pixels, pixels.astype(np.uint16) * 257)
