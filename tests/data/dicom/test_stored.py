import io
import struct
from collections.abc import Callable
from pathlib import Path

import cv2
import data_store
import gdcm
import numpy as np
import pydicom
import pytest
from pydicom.data import data_manager
from pydicom.encaps import encapsulate, get_frame
from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from xraydenoise.data.decode import decode
from xraydenoise.data.picture import Picture, Refused

LIMIT = 4.0  # megapixels
NATIVE = [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian]
LOSSLESS = [RLELossless, JPEGLSLossless, JPEG2000Lossless, JPEGLossless, JPEGLosslessSV1]
REAL = {path.name: path for root in (data_manager.DATA_ROOT, Path(data_store.__file__).parent) for path in Path(root).rglob("*.dcm")}


def refusal(path: Path) -> str:
    with pytest.raises(Refused) as caught:
        decode(path, LIMIT, voi=False)
    return caught.value.reason


def every(bits: int, signed: bool = False) -> np.ndarray:
    """(H, W) of every value that `bits` can store, once or more, in the smallest container."""
    values = np.arange(max(2**bits, 1024)) % 2**bits - (2 ** (bits - 1) if signed else 0)
    return values.reshape(32, -1).astype(f"{'i' if signed else 'u'}{1 if bits == 8 else 2}")


def back(picture: Picture, signed: bool = False) -> np.ndarray:
    """The stored values again, from full scale."""
    return np.rint(picture.pixels * ((2**picture.bits - 1) / 65535)).astype(np.int64) - (2 ** (picture.bits - 1) if signed else 0)


@pytest.fixture
def compressed(make_dicom) -> Callable[..., Path]:
    """A file of the values in a lossless transfer syntax, written by pydicom's encoders or GDCM."""

    def make(values: np.ndarray, bits: int, syntax: UID, **entries: object) -> Path:
        path = make_dicom(values, bits=bits, **entries)
        if syntax in (JPEGLossless, JPEGLosslessSV1):
            kinds = {JPEGLossless: gdcm.TransferSyntax.JPEGLosslessProcess14, JPEGLosslessSV1: gdcm.TransferSyntax.JPEGLosslessProcess14_1}
            reader, change, writer = gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax(), gdcm.ImageWriter()
            reader.SetFileName(str(path))
            assert reader.Read()
            change.SetTransferSyntax(gdcm.TransferSyntax(kinds[syntax]))
            change.SetInput(reader.GetImage())
            assert change.Change()
            writer.SetFileName(str(path))
            writer.SetFile(reader.GetFile())
            writer.SetImage(change.GetOutput())
            assert writer.Write()
        else:
            dataset = pydicom.dcmread(path)
            dataset.compress(syntax)
            dataset.save_as(path)
        assert pydicom.dcmread(path).file_meta.TransferSyntaxUID == syntax
        return path

    return make


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 15, 16])
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("syntax", NATIVE, ids=lambda syntax: syntax.keyword)
def test_every_stored_value_of_every_depth_comes_back(bits: int, signed: bool, syntax: UID, make_dicom) -> None:
    values = every(bits, signed)
    picture = decode(make_dicom(values, bits=bits, syntax=syntax), LIMIT, voi=False)
    assert (picture.bits, picture.pixels.min(), picture.pixels.max()) == (bits, 0, 65535)
    np.testing.assert_array_equal(back(picture, signed), values)


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize("syntax", LOSSLESS, ids=lambda syntax: syntax.keyword)
def test_every_lossless_compression_keeps_every_value(bits: int, syntax: UID, compressed) -> None:
    picture = decode(compressed(every(bits), bits, syntax), LIMIT, voi=False)
    assert picture.bits == bits
    np.testing.assert_array_equal(back(picture), every(bits))


@pytest.mark.parametrize("bits", [12, 16])
@pytest.mark.parametrize("syntax", LOSSLESS, ids=lambda syntax: syntax.keyword)
def test_every_lossless_compression_keeps_the_sign(bits: int, syntax: UID, compressed) -> None:
    picture = decode(compressed(every(bits, signed=True), bits, syntax), LIMIT, voi=False)
    np.testing.assert_array_equal(back(picture, signed=True), every(bits, signed=True))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_baseline_jpeg_has_the_pixels_of_the_same_jpeg_in_a_file_of_its_own(channels: int, make_dicom, tmp_path: Path) -> None:
    pixels = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (80, 96), dtype=np.uint8), (0, 0), 3)
    pixels = cv2.normalize(pixels, None, 0, 255, cv2.NORM_MINMAX)
    code = cv2.imencode(".jpg", pixels if channels == 1 else np.dstack([pixels] * 3))[1].tobytes()
    (tmp_path / "a.jpg").write_bytes(code)
    photometric = {} if channels == 1 else {"PhotometricInterpretation": "YBR_FULL_422", "PlanarConfiguration": 0}
    path = make_dicom(pixels if channels == 1 else np.dstack([pixels] * 3), bits=8, **photometric)
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    dataset.PixelData = encapsulate([code])
    dataset.save_as(path)
    np.testing.assert_allclose(decode(path, LIMIT, voi=False).pixels, decode(tmp_path / "a.jpg", LIMIT, voi=False).pixels, atol=257)


@pytest.mark.parametrize(("bits", "reason"), [(8, None), (12, "depth"), (16, "depth")])
def test_a_baseline_jpeg_cannot_hold_more_than_8_stored_bits(bits: int, reason: str | None, make_dicom) -> None:
    pixels = (np.arange(4096) // 16).astype(np.uint8).reshape(64, 64)
    path = make_dicom(pixels.astype(np.uint16), bits=bits)
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    dataset.PixelData = encapsulate([cv2.imencode(".jpg", pixels)[1].tobytes()])
    dataset["PixelData"].VR = "OB"
    dataset.save_as(path)
    if reason is None:
        assert decode(path, LIMIT, voi=False).bits == 8
    else:
        assert refusal(path) == reason


def test_a_12_bit_jpeg_may_hold_fewer_stored_bits_and_not_more(tmp_path: Path) -> None:
    dataset = pydicom.dcmread(REAL["JPGExtended.dcm"])
    for bits in (10, 16):  # its values need 10
        dataset.BitsStored, dataset.HighBit = bits, bits - 1
        dataset.save_as(tmp_path / f"{bits}.dcm")
    np.testing.assert_array_equal(
        back(decode(tmp_path / "10.dcm", LIMIT, voi=False)), back(decode(REAL["JPGExtended.dcm"], LIMIT, voi=False))
    )
    assert refusal(tmp_path / "16.dcm") == "depth"


@pytest.mark.parametrize("syntax", [JPEGLosslessSV1, JPEG2000Lossless, JPEGLSLossless], ids=lambda syntax: syntax.keyword)
def test_a_lossless_picture_may_announce_more_or_fewer_bits_than_are_stored(syntax: UID, compressed) -> None:
    for coded, stored in ((16, 12), (12, 16)):
        path = compressed(every(12), coded, syntax)
        dataset = pydicom.dcmread(path)
        dataset.BitsStored, dataset.HighBit = stored, stored - 1
        dataset.save_as(path)
        np.testing.assert_array_equal(back(decode(path, LIMIT, voi=False)), every(12))


def test_an_offset_table_cannot_put_another_picture_in_the_place_of_the_one_that_was_checked(compressed) -> None:
    path = compressed(every(12), 12, JPEG2000Lossless)
    dataset = pydicom.dcmread(path)
    first = get_frame(dataset.PixelData, 0, number_of_frames=1)
    other = get_frame(pydicom.dcmread(compressed(every(12)[::-1], 12, JPEG2000Lossless)).PixelData, 0, number_of_frames=1)
    dataset.PixelData = encapsulate([first, other], has_bot=False)
    dataset.ExtendedOffsetTable = struct.pack("<Q", 8 + len(first) + len(first) % 2)
    dataset.ExtendedOffsetTableLengths = struct.pack("<Q", len(other))
    dataset.save_as(path)
    np.testing.assert_array_equal(back(decode(path, LIMIT, voi=False)), every(12))


@pytest.mark.parametrize("original", ["RG3_UNCR.dcm", "RG1_UNCR.dcm", "MR2_UNCR.dcm"])
def test_a_real_lossless_jpeg_2000_equals_its_uncompressed_twin(original: str) -> None:
    plain = decode(REAL[original], LIMIT, voi=False)
    np.testing.assert_array_equal(decode(REAL[original.replace("UNCR", "J2KR")], LIMIT, voi=False).pixels, plain.pixels)


@pytest.mark.parametrize(
    "name", ["JPGLosslessP14SV1_1s_1f_8b.dcm", "JPEG-LL.dcm", "JPEGLSNearLossless_16.dcm", "MR_small_RLE.dcm", "image_dfl.dcm"]
)
def test_real_files_of_other_programs_have_the_values_that_pydicom_reads(name: str) -> None:
    dataset = pydicom.dcmread(REAL[name])
    picture = decode(REAL[name], LIMIT, voi=False)
    np.testing.assert_array_equal(back(picture, signed=dataset.PixelRepresentation == 1), dataset.pixel_array)


def test_a_real_12_bit_jpeg_is_decoded_though_pydicom_shuts_its_plugin_out() -> None:
    lossy = decode(REAL["JPGExtended.dcm"], LIMIT, voi=False)
    original = pydicom.dcmread(REAL["JPEG2000_UNC.dcm"]).pixel_array
    assert lossy.bits == 12
    assert np.corrcoef(back(lossy).ravel(), original.ravel())[0, 1] > 0.95


def test_gray_in_three_channels_is_gray_and_colour_refused(make_dicom) -> None:
    gray = np.arange(2400, dtype=np.uint32).reshape(40, 60).astype(np.uint8)
    expected = gray.astype(np.uint16) * 257
    same = np.ascontiguousarray(np.dstack([gray] * 3))
    rgb = {"bits": 8, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0}
    np.testing.assert_array_equal(decode(make_dicom(same, "a.dcm", **rgb), LIMIT, voi=False).pixels, expected)
    luma = np.dstack([gray, np.full_like(gray, 128), np.full_like(gray, 128)])
    np.testing.assert_array_equal(
        decode(make_dicom(luma, "b.dcm", **rgb | {"PhotometricInterpretation": "YBR_FULL"}), LIMIT, voi=False).pixels, expected
    )
    same[5, 5] = (200, 10, 10)
    assert refusal(make_dicom(same, "c.dcm", **rgb)) == "colour"


def test_a_picture_at_the_upper_end_of_its_container_is_taken_from_there(make_dicom) -> None:
    picture = decode(make_dicom(every(12) << 4, bits=12, HighBit=15), LIMIT, voi=False)
    np.testing.assert_array_equal(back(picture), every(12))


@pytest.mark.parametrize("signed", [False, True])
def test_an_overlay_in_the_unused_bits_is_not_part_of_the_picture(signed: bool, make_dicom) -> None:
    values = every(12, signed)
    with_overlay = values ^ (np.arange(values.size).reshape(values.shape) % 3 == 0).astype(values.dtype) * np.array(0x2000, values.dtype)
    entries = {"OverlayBitsAllocated": 16, "OverlayBitPosition": 13}
    path = make_dicom(with_overlay, bits=12)
    dataset = pydicom.dcmread(path)
    block = dataset.add_new
    block((0x6000, 0x0100), "US", entries["OverlayBitsAllocated"])
    block((0x6000, 0x0102), "US", entries["OverlayBitPosition"])
    dataset.save_as(path)
    np.testing.assert_array_equal(back(decode(path, LIMIT, voi=False), signed), values)


def test_other_bits_beyond_the_stored_ones_are_refused_since_the_depth_must_be_wrong(make_dicom) -> None:
    assert refusal(make_dicom(every(13), bits=12)) == "range"


def test_a_sign_that_was_not_carried_on_upward_is(make_dicom) -> None:
    values = every(12, signed=True)
    assert (values & 0x0FFF).max() == 4095
    np.testing.assert_array_equal(back(decode(make_dicom(values & 0x0FFF, bits=12), LIMIT, voi=False), signed=True), values)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_is_black_even_where_it_lies_outside_the_stored_bits(photometric: str, make_dicom) -> None:
    values = every(12, signed=True)
    plain = decode(make_dicom(values, "a.dcm", bits=12, PhotometricInterpretation=photometric), LIMIT, voi=False).pixels
    padded = values.copy()
    padded[:, :7] = -5000
    path = make_dicom(padded, "b.dcm", bits=12, PhotometricInterpretation=photometric, PixelPaddingValue=-5000)
    pixels = decode(path, LIMIT, voi=False).pixels
    assert pixels[:, :7].max() == 0
    np.testing.assert_array_equal(pixels[:, 7:], plain[:, 7:])


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("padding", [63536, 65535, 256, -2000])
def test_a_padding_left_over_from_another_depth_makes_no_gray_level_black(padding: int, photometric: str, make_dicom) -> None:
    plain = decode(make_dicom(every(8), "a.dcm", bits=8, PhotometricInterpretation=photometric), LIMIT, voi=False).pixels
    path = make_dicom(every(8), "b.dcm", bits=8, PhotometricInterpretation=photometric)
    dataset = pydicom.dcmread(path)
    dataset.add_new("PixelPaddingValue", "SS" if padding < 0 else "US", padding)
    dataset.save_as(path)
    np.testing.assert_array_equal(decode(path, LIMIT, voi=False).pixels, plain)


@pytest.mark.parametrize(("vr", "padding"), [("SS", -5000), ("US", 2**16 - 5000)])
@pytest.mark.parametrize("syntax", NATIVE, ids=lambda syntax: syntax.keyword)
def test_a_padding_is_found_whichever_sign_its_representation_has(vr: str, padding: int, syntax: UID, make_dicom) -> None:
    values = every(12, signed=True)
    values[:, :7] = -5000
    path = make_dicom(values, bits=12, syntax=syntax)
    dataset = pydicom.dcmread(path)
    dataset.add_new("PixelPaddingValue", vr, padding)
    dataset.save_as(path)
    assert decode(path, LIMIT, voi=False).pixels[:, :7].max() == 0


def test_a_padding_range_is_black_and_an_empty_limit_is_none(make_dicom) -> None:
    values = every(12)
    found = decode(make_dicom(values, "a.dcm", bits=12, PixelPaddingValue=4095, PixelPaddingRangeLimit=4000), LIMIT, voi=False).pixels
    assert found[values >= 4000].max() == 0
    assert found[values < 4000].max() == round(3999 * 65535 / 4095)
    path = make_dicom(values, "b.dcm", bits=12, PixelPaddingValue=4095, PixelPaddingRangeLimit=None or "")
    assert decode(path, LIMIT, voi=False).pixels.max() == round(4094 * 65535 / 4095)


def test_a_padding_is_found_under_an_overlay(make_dicom) -> None:
    values = every(12)
    values[:3] = 0
    values[:, ::2] |= 0x2000
    path = make_dicom(values, bits=12, PixelPaddingValue=0, PhotometricInterpretation="MONOCHROME1")
    dataset = pydicom.dcmread(path)
    dataset.add_new((0x6000, 0x0100), "US", 16)
    dataset.add_new((0x6000, 0x0102), "US", 13)
    dataset.save_as(path)
    assert decode(path, LIMIT, voi=False).pixels[:3].max() == 0


def test_a_picture_that_is_constant_but_for_its_padding_is_refused(make_dicom) -> None:
    values = np.full((40, 60), 700, np.uint16)
    values[:5] = 0
    assert refusal(make_dicom(values, bits=12, PixelPaddingValue=0)) == "constant"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_real_pixels_have_full_scale_one(dtype: type, ramp: np.ndarray, make_dicom) -> None:
    picture = decode(make_dicom((ramp / 65535).astype(dtype)), LIMIT, voi=False)
    assert picture.bits == 8 * np.dtype(dtype).itemsize
    np.testing.assert_array_equal(picture.pixels, ramp)


@pytest.mark.parametrize(("value", "reason"), [(np.nan, "not_finite"), (np.inf, "not_finite"), (700.0, "range")])
def test_other_real_pixels_are_refused(value: float, reason: str, ramp: np.ndarray, make_dicom) -> None:
    values = (ramp / 65535).astype(np.float32)
    values[5, 6] = value
    assert refusal(make_dicom(values)) == reason


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless], ids=lambda syntax: syntax.keyword)
def test_real_pixels_that_are_compressed_are_refused_since_nothing_checked_them(syntax: UID, compressed) -> None:
    path = compressed(every(12), 12, syntax)
    dataset = pydicom.dcmread(path)
    dataset.FloatPixelData = dataset.PixelData
    del dataset.PixelData
    dataset.save_as(path)
    assert refusal(path) == "transfer_syntax"


@pytest.mark.parametrize("syntax", [JPEGLSLossless, JPEG2000Lossless, JPEGLosslessSV1], ids=lambda syntax: syntax.keyword)
def test_a_compressed_picture_of_another_size_than_the_header_says_is_refused(syntax: UID, compressed) -> None:
    path = compressed(every(12), 12, syntax)
    dataset = pydicom.dcmread(path)
    dataset.Rows = 31
    written = io.BytesIO()
    dataset.save_as(written)
    path.write_bytes(written.getvalue())
    assert refusal(path) == "damaged"
