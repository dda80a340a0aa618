"""Damaged files: cut, flipped, overwritten, filled up; each is refused and none passes with gray in the place of its pixels."""

import contextlib
import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGBaseline8Bit

from xraydenoise.data.decode import decode
from xraydenoise.data.picture import Refused

LIMIT = 1.0  # megapixels
NAMES = ["png8.png", "png16.png", "gray.jpg", "rgb.jpg", "progressive.jpg", "bitmap.bmp", "plain.tif", "lzw.tif", "deflated.tif"]
NAMES += ["shallow_lzw.tif", "packbits.tif"]
DICOM = ["plain.dcm", "deflated.dcm", "rle.dcm", "jpeg_2000.dcm", "jpeg_ls.dcm", "jpeg_lossless.dcm"]
CUT = {"truncated", "unreadable", "not_an_image", "damaged"}


def refusal(content: bytes, folder: Path) -> str:
    path = folder / "a"
    path.write_bytes(content)
    with pytest.raises(Refused) as caught:
        decode(path, LIMIT, voi=False)
    assert caught.value.detail
    assert "\n" not in caught.value.detail
    return caught.value.reason


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


@pytest.mark.parametrize("name", NAMES + DICOM)
def test_the_specimens_are_whole(name: str, specimens: dict[str, bytes], tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(specimens[name])
    assert decode(tmp_path / "a", LIMIT, voi=False).pixels.shape == (90, 120)


@pytest.mark.parametrize("share", [0.9, 0.5, 0.1, 0.005])
@pytest.mark.parametrize("name", ["gray.jpg", "rgb.jpg", "progressive.jpg"])
def test_a_cut_jpeg_is_refused_as_truncated(name: str, share: float, specimens: dict[str, bytes], tmp_path: Path) -> None:
    whole = specimens[name]
    assert refusal(whole[: int(len(whole) * share)], tmp_path) == "truncated"


@pytest.mark.parametrize("share", [0.99, 0.5, 0.1])
@pytest.mark.parametrize("name", ["png8.png", "png16.png"])
def test_a_cut_png_is_refused_as_truncated(name: str, share: float, specimens: dict[str, bytes], tmp_path: Path) -> None:
    whole = specimens[name]
    assert refusal(whole[: int(len(whole) * share)], tmp_path) == "truncated"


@pytest.mark.parametrize("name", NAMES + DICOM)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0.002, 0.995))
@pytest.mark.filterwarnings("ignore")
def test_a_file_cut_anywhere_is_refused(name: str, share: float, specimens: dict[str, bytes], tmp_path: Path) -> None:
    whole = specimens[name]
    assert refusal(whole[: max(1, int(len(whole) * share))], tmp_path) in CUT


@pytest.mark.parametrize("share", [0.9, 0.5, 0.3])
@pytest.mark.parametrize("name", ["gray.jpg", "rgb.jpg"])
def test_a_cut_jpeg_that_was_given_an_end_is_refused_as_damaged(
    name: str, share: float, specimens: dict[str, bytes], tmp_path: Path
) -> None:
    whole = specimens[name]
    assert refusal(whole[: int(len(whole) * share)] + b"\xff\xd9", tmp_path) == "damaged"


def test_a_cut_jpeg_within_a_dicom_file_that_was_given_an_end_is_refused_as_damaged(specimens: dict[str, bytes], tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(specimens["plain.dcm"])
    dataset = pydicom.dcmread(tmp_path / "b")
    dataset.file_meta.TransferSyntaxUID, dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = JPEGBaseline8Bit, 8, 8, 7
    code = specimens["gray.jpg"]
    dataset.PixelData = encapsulate([code[: len(code) // 2] + b"\xff\xd9"])
    dataset["PixelData"].VR = "OB"
    dataset.save_as(tmp_path / "b")
    assert refusal((tmp_path / "b").read_bytes(), tmp_path) == "damaged"


def test_a_jpeg_cut_behind_its_thumbnail_is_refused_as_truncated(specimens: dict[str, bytes], tmp_path: Path) -> None:
    whole = specimens["gray.jpg"]
    thumbnail = cv2.imencode(".jpg", np.arange(400, dtype=np.uint8).reshape(20, 20))[1].tobytes()  # has an end of its own
    segment = b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 2) + thumbnail
    (tmp_path / "whole.jpg").write_bytes(whole[:2] + segment + whole[2:])
    assert decode(tmp_path / "whole.jpg", LIMIT, voi=False).pixels.shape == (90, 120)
    assert refusal(whole[:2] + segment + whole[2 : len(whole) // 2], tmp_path) == "truncated"


@pytest.mark.parametrize("name", ["png8.png", "png16.png", "deflated.tif"])
def test_every_flipped_bit_of_checked_data_is_noticed(name: str, specimens: dict[str, bytes], tmp_path: Path) -> None:
    whole, rng = specimens[name], np.random.default_rng(2)
    first, last = (33, len(whole) - 12) if name.endswith("png") else _strip(whole)
    for at in rng.integers(first, last, 40):
        flipped = bytearray(whole)
        flipped[at] ^= 1 << int(rng.integers(8))
        assert refusal(bytes(flipped), tmp_path) in {"damaged", "truncated"}


def _strip(tiff: bytes) -> tuple[int, int]:
    (at,) = struct.unpack_from("<I", tiff, 4)
    (count,) = struct.unpack_from("<H", tiff, at)
    tags = {tag: value for tag, _, _, value in (struct.unpack_from("<HHII", tiff, at + 2 + 12 * entry) for entry in range(count))}
    return tags[273], tags[273] + tags[279]


SHORT = {"damaged", "unreadable", "truncated"}
UNPACKED = ["tiff_lzw", "packbits", "tiff_adobe_deflate"]


def pieces(content: bytes, change: Callable[[int], int]) -> bytes:
    """A TIFF by Pillow whose strips have other lengths, in its tags."""
    changed = bytearray(content)
    (at,) = struct.unpack_from("<I", content, 4)
    (count,) = struct.unpack_from("<H", content, at)
    for entry in range(at + 2, at + 2 + 12 * count, 12):
        tag, kind, values, place = struct.unpack_from("<HHII", content, entry)
        if tag == 279:
            code = {3: "<H", 4: "<I"}[kind]
            start = entry + 8 if values * struct.calcsize(code) <= 4 else place
            for length_at in range(start, start + values * struct.calcsize(code), struct.calcsize(code)):
                struct.pack_into(code, changed, length_at, change(struct.unpack_from(code, content, length_at)[0]))
    return bytes(changed)


def tiff(pixels: np.ndarray, compression: str | None = None) -> bytes:
    written = io.BytesIO()
    Image.fromarray(pixels).save(written, "tiff", compression=compression)
    return written.getvalue()


@pytest.mark.parametrize("share", [0.9, 0.5, 0.1])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("compression", [None, *UNPACKED])
def test_a_tiff_whose_strips_are_cut_is_refused(compression: str | None, dtype: type, share: float, tmp_path: Path) -> None:
    pixels = np.random.default_rng(4).integers(0, 200, (90, 120)).astype(dtype) / (200 if dtype is np.float32 else 1)
    whole = tiff(pixels.astype(dtype), compression)
    (tmp_path / "whole").write_bytes(pieces(whole, lambda length: length))
    assert decode(tmp_path / "whole", LIMIT, voi=False).pixels.shape == (90, 120)
    assert refusal(pieces(whole, lambda length: int(length * share)), tmp_path) in SHORT


def test_flipped_bits_that_libtiff_notices_are_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    smooth = cv2.normalize(cv2.GaussianBlur(rng.normal(size=(90, 120)), (0, 0), 6), None, 3, 250, cv2.NORM_MINMAX)
    whole = tiff(smooth.astype(np.uint8), "tiff_lzw")
    refused = 0
    for at in rng.integers(500, len(whole) - 500, 60):
        flipped = bytearray(whole)
        flipped[at] ^= 1 << int(rng.integers(8))
        (tmp_path / "a").write_bytes(flipped)
        try:
            decode(tmp_path / "a", LIMIT, voi=False)
        except Refused:
            refused += 1
    assert refused >= 8


def test_a_png_whose_end_chunk_is_missing_is_refused(specimens: dict[str, bytes], tmp_path: Path) -> None:
    assert refusal(specimens["png8.png"][:-12], tmp_path) == "truncated"


def test_a_png_with_right_checksums_over_too_few_rows_is_refused(specimens: dict[str, bytes], tmp_path: Path) -> None:
    rows = np.insert(np.arange(45 * 120, dtype=np.uint8).reshape(45, 120), 0, 0, axis=1).tobytes()  # filter 0 before each row
    half = specimens["png8.png"][:33] + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    assert refusal(half, tmp_path) == "unreadable"


@pytest.mark.parametrize("name", ["gray.jpg", "rgb.jpg"])
def test_most_overwritten_jpegs_are_noticed_and_the_others_have_no_gray_rest(
    name: str, specimens: dict[str, bytes], tmp_path: Path
) -> None:
    whole, rng = specimens[name], np.random.default_rng(3)
    reasons = []
    for at in rng.integers(700, len(whole) - 300, 20):
        broken = whole[:at] + bytes(200) + whole[at + 200 :]
        (tmp_path / "a").write_bytes(broken)
        try:
            decode(tmp_path / "a", LIMIT, voi=False)
        except Refused as refused:
            reasons.append(refused.reason)
    assert len(reasons) >= 15
    assert set(reasons) <= {"damaged", "unreadable", "truncated", "colour"}


def test_random_bytes_are_no_image(tmp_path: Path) -> None:
    for seed in range(20):
        assert refusal(np.random.default_rng(seed).bytes(5000), tmp_path) == "not_an_image"


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.binary(min_size=1, max_size=300),
    head=st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"BM", b"II*\0", b"MM\0*", bytes(128) + b"DICM"]),
)
@pytest.mark.filterwarnings("ignore")
def test_no_content_makes_the_decoder_fail_in_another_way(data: bytes, head: bytes, tmp_path: Path) -> None:
    refusal(head + data, tmp_path)


@pytest.mark.parametrize("level", [0, 255])
def test_all_black_and_all_white_are_refused_as_constant(level: int, tmp_path: Path) -> None:
    for suffix in (".png", ".jpg", ".bmp", ".tif"):
        assert refusal(cv2.imencode(suffix, np.full((40, 40), level, np.uint8))[1].tobytes(), tmp_path) == "constant"


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".jpg"])
def test_a_single_pixel_is_constant_and_a_single_row_a_picture(suffix: str, tmp_path: Path) -> None:
    assert refusal(cv2.imencode(suffix, np.full((1, 1), 9, np.uint8))[1].tobytes(), tmp_path) == "constant"
    row = (np.arange(10_000) // 40 % 256).astype(np.uint8)
    for pixels in (row[None], row[:, None]):
        (tmp_path / "row").write_bytes(cv2.imencode(suffix, pixels)[1].tobytes())
        assert decode(tmp_path / "row", LIMIT, voi=False).pixels.shape == pixels.shape


def survivors(specimen: bytes, damage: Callable[[bytes, int], bytes], folder: Path) -> int:
    """Of 20 files that are damaged where their pixels lie, those that pass as another picture."""
    (folder / "whole").write_bytes(specimen)
    whole = decode(folder / "whole", LIMIT, voi=False).pixels
    passed = 0
    for at in np.linspace(0.2, 0.9, 20) * len(specimen):
        (folder / "a").write_bytes(damage(specimen, int(at)))
        with contextlib.suppress(Refused):
            passed += not np.array_equal(decode(folder / "a", LIMIT, voi=False).pixels, whole)
    return passed


def with_more(whole: bytes, at: int) -> bytes:
    return whole[:at] + bytes(range(1, 21)) + whole[at:]


def with_less(whole: bytes, at: int) -> bytes:
    return whole[:at] + whole[at + 20 :]


def zeroed(whole: bytes, at: int) -> bytes:
    return whole[:at] + bytes(200) + whole[at + 200 :]


@pytest.mark.parametrize("name", ["plain.dcm", "deflated.dcm", "jpeg_lossless.dcm", "plain.tif", "packbits.tif", "bitmap.bmp"])
@pytest.mark.parametrize("damage", [with_more, with_less])
@pytest.mark.filterwarnings("ignore")
def test_bytes_that_were_added_or_lost_among_the_pixels_are_noticed_by_what_is_left_over(
    damage: Callable[[bytes, int], bytes], name: str, specimens: dict[str, bytes], tmp_path: Path
) -> None:
    assert survivors(specimens[name], damage, tmp_path) == 0


@pytest.mark.parametrize("name", ["deflated.dcm", "jpeg_lossless.dcm", "packbits.tif", "rle.dcm"])
@pytest.mark.filterwarnings("ignore")
def test_zeros_in_the_place_of_coded_pixels_are_noticed_by_what_is_left_over(
    name: str, specimens: dict[str, bytes], tmp_path: Path
) -> None:
    assert survivors(specimens[name], zeroed, tmp_path) <= 1  # as many pixels by chance


def with_element(whole: bytes, tag: int, representation: str, value: bytes) -> bytes:
    """The DICOM file with one more element."""
    dataset = pydicom.dcmread(io.BytesIO(whole))
    dataset.add_new(tag, representation, value)
    written = io.BytesIO()
    dataset.save_as(written)
    return written.getvalue()


def with_profile(bitmap: bytes) -> bytes:
    """The BMP with an embedded profile behind its pixels, as version 5 has it: the header counts it."""
    return bitmap[:2] + struct.pack("<I", len(bitmap) + 500) + bitmap[6:] + bytes(range(1, 251)) * 2


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("plain.dcm", lambda whole: with_element(whole, 0xFFFCFFFC, "OB", bytes(range(100)))),  # DataSetTrailingPadding
        ("plain.dcm", lambda whole: with_element(whole, 0x7FE10010, "LO", b"vendor")),
        ("plain.dcm", lambda whole: whole + bytes(512)),
        ("plain.dcm", lambda whole: whole + b"\0"),
        ("plain.dcm", lambda whole: whole + b"\r\n"),
        ("deflated.dcm", lambda whole: with_element(whole, 0xFFFCFFFC, "OB", bytes(100))),
        ("deflated.dcm", lambda whole: whole + b"\0"),
        ("bitmap.bmp", lambda whole: whole + bytes(2)),
        ("bitmap.bmp", lambda whole: whole[:2] + bytes(4) + whole[6:]),  # a header that does not say how long the file is
        ("bitmap.bmp", with_profile),
        ("plain.tif", lambda whole: whole + bytes(3)),
    ],
)
def test_what_tools_write_behind_the_pixels_is_no_damage(
    name: str, written: Callable[[bytes], bytes], specimens: dict[str, bytes], tmp_path: Path
) -> None:
    for path, content in (("whole", specimens[name]), ("more", written(specimens[name]))):
        (tmp_path / path).write_bytes(content)
    assert len(specimens[name]) < len(written(specimens[name])) or name == "bitmap.bmp"
    whole, more = (decode(tmp_path / path, LIMIT, voi=False).pixels for path in ("whole", "more"))
    assert np.array_equal(whole, more)


def test_a_deflated_dicom_file_may_end_with_gzips_checksum(specimens: dict[str, bytes], tmp_path: Path) -> None:
    whole = specimens["deflated.dcm"]
    length = whole.index(b"UL\x04\0", 132) + 4  # of the rest of the header that is not deflated
    inflate = zlib.decompressobj(-15)
    inflated = inflate.decompress(whole[length + 4 + struct.unpack_from("<I", whole, length)[0] :])
    content, trailer = whole.removesuffix(inflate.unused_data), struct.pack("<II", zlib.crc32(inflated), len(inflated))
    (tmp_path / "a").write_bytes(content + trailer)
    assert decode(tmp_path / "a", LIMIT, voi=False).pixels.shape == (90, 120)
    assert refusal(content + trailer[::-1], tmp_path) == "damaged"


def test_a_tiff_whose_exif_lies_behind_its_pixels_is_no_damage(tmp_path: Path) -> None:
    written, exif = io.BytesIO(), Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = "a comment"
    Image.fromarray(np.random.default_rng(4).integers(0, 200, (90, 120)).astype(np.uint8)).save(written, "tiff", exif=exif)
    (tmp_path / "a").write_bytes(written.getvalue())
    assert decode(tmp_path / "a", LIMIT, voi=False).pixels.shape == (90, 120)
