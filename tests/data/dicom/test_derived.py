import shutil
from pathlib import Path
from typing import Any

import data_store
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    GrayscaleSoftcopyPresentationStateStorage,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from xraydenoise.data.decode import decode
from xraydenoise.data.dicom.derived import Noise, Software, derived
from xraydenoise.data.picture import Refused

LIMIT = 4.0  # megapixels
SOFTWARE = Software("xraydenoise", "1.2", "sha256 abc, strength 1", "Noise taken away.")
RADIOGRAPHS = {name: Path(data_store.__file__).parent / "data" / f"{name}.dcm" for name in ("RG1_UNCR", "RG3_UNCR", "RG3_UNCI")}


def one(values: np.ndarray, padding: np.ndarray | None) -> np.ndarray:
    """1 is taken away everywhere."""
    return np.ones(values.shape, np.float32)


def made(path: Path, noise: Noise = one, software: Software = SOFTWARE, compress: bool = False) -> pydicom.FileDataset:
    content = derived(path.read_bytes(), LIMIT, noise, software, compress)
    result = path.with_name(f"{path.stem}_derived.dcm")
    result.write_bytes(content)
    return pydicom.dcmread(result)


def ramp(bits: int, signed: bool) -> np.ndarray:
    """(40, 60) of the whole range that `bits` can store, without its least value."""
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    return np.linspace(low + 1, high, 2400).round().reshape(40, 60).astype(f"{'i' if signed else 'u'}{1 if bits == 8 else 2}")


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_stored_values_of_any_depth_and_sign_are_denoised_and_written_uncompressed(
    make_dicom, syntax: UID, bits: int, signed: bool
) -> None:
    result = made(make_dicom(ramp(bits, signed), bits=bits, syntax=syntax))
    np.testing.assert_array_equal(result.pixel_array, ramp(bits, signed).astype(int) - 1)
    assert result.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert (result.BitsStored, result.HighBit, result.PixelRepresentation) == (bits, bits - 1, int(signed))


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless])
def test_compressed_pixels_are_written_uncompressed(make_dicom, syntax: UID) -> None:
    path = make_dicom(ramp(12, False), bits=12)
    dataset = pydicom.dcmread(path)
    dataset.compress(syntax)
    dataset.save_as(path)
    result = made(path)
    np.testing.assert_array_equal(result.pixel_array, ramp(12, False) - 1)
    assert result.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert not result["PixelData"].is_undefined_length


def test_the_noise_is_asked_with_stored_values_and_results_stay_within_the_stored_bits(make_dicom) -> None:
    asked = []

    def far(values: np.ndarray, padding: np.ndarray | None) -> np.ndarray:
        asked.append((values, padding))
        return np.where(np.arange(60) < 30, 9000, -9000) * np.ones((40, 1))

    result = made(make_dicom(ramp(12, False), bits=12, WindowCenter=100, WindowWidth=50), far)
    np.testing.assert_array_equal(asked[0][0], ramp(12, False))
    assert asked[0][1] is None
    np.testing.assert_array_equal(result.pixel_array, np.where(np.arange(60) < 30, 0, 4095) * np.ones((40, 1)))


def test_values_in_the_upper_bits_come_down_and_overlays_beside_them_stay_overlays(make_dicom) -> None:
    drawn = np.indices((40, 60)).sum(axis=0) % 7 == 0
    stored = (ramp(12, False) << 4) | (drawn << 2).astype(np.uint16)
    path = make_dicom(stored, bits=12, HighBit=15)
    dataset = pydicom.dcmread(path)
    for element, vr, value in (
        (0x10, "US", 40),
        (0x11, "US", 60),
        (0x40, "CS", "G"),
        (0x50, "SS", [1, 1]),
        (0x100, "US", 16),
        (0x102, "US", 2),
    ):
        dataset.add_new((0x6000, element), vr, value)
    dataset.save_as(path)
    result = made(path)
    np.testing.assert_array_equal(result.pixel_array, ramp(12, False) - 1)
    np.testing.assert_array_equal(result.overlay_array(0x6000), drawn)
    assert (result[0x6000, 0x100].value, result[0x6000, 0x102].value) == (1, 0)


def test_padding_stays_and_no_other_pixel_becomes_padding(make_dicom) -> None:
    values = np.full((40, 60), 500, np.uint16)
    values[:, :10], values[:, 10:20] = 100, 101
    asked = []

    def noise(values: np.ndarray, padding: np.ndarray | None) -> np.ndarray:
        asked.append(padding)
        return one(values, padding)

    result = made(make_dicom(values, bits=12, PixelPaddingValue=100), noise).pixel_array
    np.testing.assert_array_equal(asked[0], np.broadcast_to(np.arange(60) < 10, (40, 60)))
    np.testing.assert_array_equal(result[0], [100] * 10 + [101] * 10 + [499] * 40)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless, JPEG2000Lossless])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_the_frames_of_a_multi_frame_image_are_denoised_one_by_one(make_dicom, kind: type[np.integer], syntax: UID) -> None:
    frames = np.random.default_rng(0).integers(1, 255, (3, 33, 41)).astype(kind)
    path = make_dicom(np.zeros((33, 41), kind), bits=8 if kind == np.uint8 else 12, NumberOfFrames=3)
    dataset = pydicom.dcmread(path)
    dataset.PixelData = frames.tobytes() + b"\0" * (frames.nbytes % 2)
    if syntax.is_compressed:
        dataset.compress(syntax, encoding_plugin="pydicom" if syntax == RLELossless else "pylibjpeg")  # GDCM's RLE encoder aborts here
    dataset.save_as(path)
    asked = []

    def noise(values: np.ndarray, padding: np.ndarray | None) -> np.ndarray:
        asked.append(values)
        return one(values, padding)

    result = made(path, noise)
    np.testing.assert_array_equal(asked, frames)
    np.testing.assert_array_equal(result.pixel_array, frames - 1)


def test_overlays_in_the_bits_of_frames_stay_overlays_of_frames(make_dicom) -> None:
    drawn = np.indices((2, 40, 60)).sum(axis=0) % 7 == 0
    path = make_dicom(ramp(12, False), bits=12, NumberOfFrames=2)
    dataset = pydicom.dcmread(path)
    dataset.PixelData = (ramp(12, False) | (drawn << 12).astype(np.uint16)).tobytes()
    for element, vr, value in ((0x10, "US", 40), (0x11, "US", 60), (0x100, "US", 16), (0x102, "US", 12)):
        dataset.add_new((0x6000, element), vr, value)
    dataset.save_as(path)
    result = made(path)
    np.testing.assert_array_equal(result.pixel_array, np.stack([ramp(12, False) - 1] * 2))
    np.testing.assert_array_equal(result.overlay_array(0x6000), drawn)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", [8, 10, 12, 16])
def test_compressed_results_hold_the_same_pixels_and_differ_in_nothing_else(make_dicom, bits: int, signed: bool) -> None:
    path = make_dicom(ramp(bits, signed), bits=bits, SeriesInstanceUID="1.2.3.4")
    plain, small = made(path), made(path, compress=True)
    assert small.file_meta.TransferSyntaxUID == JPEGLSLossless
    assert small["PixelData"].is_undefined_length
    np.testing.assert_array_equal(small.pixel_array, plain.pixel_array)
    assert [element for element in small if element.keyword != "PixelData"] == [one for one in plain if one.keyword != "PixelData"]
    assert derived(path.read_bytes(), LIMIT, one, SOFTWARE, True) == derived(path.read_bytes(), LIMIT, one, SOFTWARE, True)


def test_frames_and_overlays_are_compressed_too(make_dicom) -> None:
    drawn = np.indices((2, 40, 60)).sum(axis=0) % 7 == 0
    path = make_dicom(ramp(12, False), bits=12, NumberOfFrames=2)
    dataset = pydicom.dcmread(path)
    dataset.PixelData = (ramp(12, False) | (drawn << 12).astype(np.uint16)).tobytes()
    for element, vr, value in ((0x10, "US", 40), (0x11, "US", 60), (0x100, "US", 16), (0x102, "US", 12)):
        dataset.add_new((0x6000, element), vr, value)
    dataset.save_as(path)
    result = made(path, compress=True)
    np.testing.assert_array_equal(result.pixel_array, np.stack([ramp(12, False) - 1] * 2))
    np.testing.assert_array_equal(result.overlay_array(0x6000), drawn)


def test_padding_beside_the_stored_bits_is_refused_where_the_codec_would_lose_it(make_dicom) -> None:
    values = ramp(12, False)
    values[:, :10] = 63536
    path = make_dicom(values, bits=12, PixelPaddingValue=63536)
    np.testing.assert_array_equal(np.frombuffer(made(path).PixelData, "<u2").reshape(40, 60)[:, :10], 63536)  # pixel_array masks it
    with pytest.raises(Refused, match=r"^range: padding lies outside the 12 stored bits, which are all that JPEG-LS holds$"):
        made(path, compress=True)


@pytest.fixture
def described(make_dicom) -> Path:
    return make_dicom(
        ramp(12, False),
        bits=12,
        SOPClassUID=DigitalXRayImageStorageForPresentation,
        StudyInstanceUID="1.2.3",
        SeriesInstanceUID="1.2.3.4",
        FrameOfReferenceUID="1.2.5",
        ImageType=["ORIGINAL", "PRIMARY", "", "LEFT"],
        SeriesDescription="Thorax p.a.",
        DerivationDescription="Edges enhanced",
        PhotometricInterpretation="MONOCHROME1",
        WindowCenter=[100, 200],
        WindowWidth=[50, 60],
        RescaleSlope=2,
        RescaleIntercept=-5,
        PixelSpacing=[0.2, 0.2],
        BurnedInAnnotation="YES",
        SmallestImagePixelValue=1,
        LargestImagePixelValue=4095,
        InstanceCreationDate="20200101",
        IconImageSequence=[Dataset()],
        DigitalSignaturesSequence=[Dataset()],
    )


def test_it_is_a_derived_image_in_a_series_of_its_own_that_names_its_source_and_what_made_it(described: Path) -> None:
    source, result = pydicom.dcmread(described), made(described)
    assert result.file_meta.MediaStorageSOPInstanceUID == result.SOPInstanceUID != source.SOPInstanceUID
    assert result.SeriesInstanceUID != source.SeriesInstanceUID
    assert all(uid.startswith("2.25.") and uid.is_valid for uid in (result.SOPInstanceUID, result.SeriesInstanceUID))
    assert result.ImageType == ["DERIVED", "SECONDARY", "", "LEFT"]
    assert result.SeriesDescription == "Thorax p.a. denoised"
    assert result.DerivationDescription == "Edges enhanced; Noise taken away."
    assert [item.CodeValue for item in result.DerivationCodeSequence] == ["113087"]
    (referenced,) = result.SourceImageSequence
    assert (referenced.ReferencedSOPClassUID, referenced.ReferencedSOPInstanceUID) == (source.SOPClassUID, source.SOPInstanceUID)
    (equipment,) = result.ContributingEquipmentSequence
    assert (equipment.Manufacturer, equipment.SoftwareVersions) == ("xraydenoise", "1.2")


def test_patient_study_geometry_and_display_stay_and_what_would_be_wrong_goes(described: Path) -> None:
    source, result = pydicom.dcmread(described), made(described)
    changed = {element.keyword for element in source if element.keyword not in result or result[element.tag].value != element.value}
    gone = {"InstanceCreationDate", "IconImageSequence", "DigitalSignaturesSequence"}
    renamed = {"SOPInstanceUID", "SeriesInstanceUID", "ImageType", "SeriesDescription", "DerivationDescription"}
    assert changed == gone | renamed | {"PixelData", "SmallestImagePixelValue", "LargestImagePixelValue"}
    assert (result.SmallestImagePixelValue, result.LargestImagePixelValue) == (0, 4094)


def test_the_same_input_gives_the_same_bytes_and_other_settings_another_image(described: Path) -> None:
    content = described.read_bytes()
    assert derived(content, LIMIT, one, SOFTWARE) == derived(content, LIMIT, one, SOFTWARE)
    for other in (SOFTWARE._replace(settings="sha256 abc, strength 0.5"), SOFTWARE._replace(version="1.3")):
        assert made(described, software=other).SOPInstanceUID != made(described).SOPInstanceUID


def test_the_pictures_of_a_series_are_in_one_new_series(make_dicom) -> None:
    first, second, other = (
        made(make_dicom(ramp(8, False), f"{name}.dcm", bits=8, SeriesInstanceUID=series))
        for name, series in (("a", "1.2.3"), ("b", "1.2.3"), ("c", "1.2.4"))
    )
    assert first.SeriesInstanceUID == second.SeriesInstanceUID != other.SeriesInstanceUID
    assert first.SOPInstanceUID != second.SOPInstanceUID


def test_that_pixels_were_compressed_with_loss_is_carried_on(make_dicom) -> None:
    flagged = made(make_dicom(ramp(8, False), bits=8, LossyImageCompression="01", LossyImageCompressionRatio=10))
    assert (flagged.LossyImageCompression, flagged.LossyImageCompressionRatio) == ("01", 10)
    path = make_dicom(ramp(8, False), bits=8)
    dataset = pydicom.dcmread(path)
    dataset.compress(JPEGLSNearLossless, jls_error=2)
    assert "LossyImageCompression" not in dataset
    dataset.save_as(path)
    forgotten = made(path)
    assert (forgotten.LossyImageCompression, forgotten.LossyImageCompressionMethod) == ("01", "ISO_14495_1")
    assert forgotten.LossyImageCompressionRatio > 1


def test_tables_of_a_big_endian_file_keep_their_values(make_dicom) -> None:
    table = Dataset()
    table.LUTDescriptor = [256, 0, 16]
    entries = np.arange(256, dtype=np.uint16) * 257
    table.add_new("LUTData", "OW", entries.astype(">u2").tobytes())
    result = made(make_dicom(ramp(8, False), bits=8, syntax=ExplicitVRBigEndian, VOILUTSequence=[table]))
    np.testing.assert_array_equal(np.frombuffer(result.VOILUTSequence[0].LUTData, "<u2"), entries)


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ({"NumberOfFrames": 2}, "truncated: 4800 bytes of pixels; 2 frames take 9600"),
        ({"NumberOfFrames": 999999}, "too_large: "),
        ({"BitsStored": 10, "HighBit": 9}, "range: values 1 to 4095 leave the announced range 0 to 1023"),
        ({"Rows": 9999, "Columns": 999}, "too_large: "),
        ({"PixelData": b"\0\0"}, "unreadable: "),
    ],
)
def test_a_file_that_cannot_become_one_is_refused_with_the_reason(make_dicom, entries: dict[str, Any], said: str) -> None:
    path = make_dicom(ramp(12, False), bits=12, **entries)
    with pytest.raises(Refused, match=f"^{said}"):
        derived(path.read_bytes(), LIMIT, one, SOFTWARE)


def test_a_file_without_a_uid_to_refer_to_is_refused(make_dicom) -> None:
    path = make_dicom(ramp(12, False), bits=12)
    dataset = pydicom.dcmread(path)
    dataset.SOPInstanceUID = ""
    dataset.save_as(path)
    with pytest.raises(Refused, match=r"^damaged: has no SOPInstanceUID"):
        derived(path.read_bytes(), LIMIT, one, SOFTWARE)


def test_colour_real_numbers_and_objects_without_a_picture_are_refused(make_dicom) -> None:
    for path, said in (
        (
            make_dicom(np.dstack([ramp(8, False)] * 3), "rgb.dcm", bits=8, PhotometricInterpretation="RGB", PlanarConfiguration=0),
            "colour: RGB",
        ),
        (make_dicom(np.zeros((9, 9), np.float32), "real.dcm"), "depth: holds no PixelData"),
        (
            make_dicom(
                ramp(8, False), "state.dcm", SOPClassUID=GrayscaleSoftcopyPresentationStateStorage, Rows=None, Columns=None, PixelData=None
            ),
            "no_picture: ",
        ),
    ):
        with pytest.raises(Refused, match=f"^{said}"):
            derived(path.read_bytes(), LIMIT, one, SOFTWARE)


@pytest.mark.parametrize("name", RADIOGRAPHS)
def test_a_real_radiograph_is_read_back_by_pydicom_and_by_us(name: str, tmp_path: Path) -> None:
    source = Path(shutil.copy(RADIOGRAPHS[name], tmp_path))
    result = made(source, lambda values, _: np.full(values.shape, -1.0))
    before = pydicom.dcmread(source)
    assert result.PhotometricInterpretation == before.PhotometricInterpretation == "MONOCHROME1"
    np.testing.assert_array_equal(result.pixel_array, np.minimum(before.pixel_array + 1, 2**before.BitsStored - 1))
    again = Path(result.filename)
    assert decode(again, LIMIT, voi=False).pixels.mean() == pytest.approx(decode(source, LIMIT, voi=False).pixels.mean(), abs=70)
