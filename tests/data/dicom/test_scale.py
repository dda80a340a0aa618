import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_modality_lut, apply_voi, apply_windowing
from pydicom.sequence import Sequence

from xraydenoise.data.decode import decode
from xraydenoise.data.dicom.scale import full_scale
from xraydenoise.data.picture import Refused

LIMIT = 1.0  # megapixels
VALUES = np.arange(4096, dtype=np.uint16).reshape(64, 64)


def pixels(path, voi: bool) -> np.ndarray:
    return decode(path, LIMIT, voi).pixels


def table(count: int, first: int, depth: int, entries: np.ndarray) -> Sequence:
    item = Dataset()
    item.LUTDescriptor = [count, first, depth]
    item.ModalityLUTType = "US"
    item.LUTData = entries.astype("<u2").tobytes()
    return Sequence([item])


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(slope=st.floats(0.01, 100).flatmap(lambda size: st.sampled_from([size, -size])), intercept=st.floats(-5000, 5000))
def test_a_linear_rescale_changes_nothing_but_its_sign(slope: float, intercept: float, make_dicom) -> None:
    plain = pixels(make_dicom(VALUES, "a.dcm", bits=12), voi=False)
    path = make_dicom(VALUES, "b.dcm", bits=12, RescaleSlope=f"{slope:.6g}", RescaleIntercept=f"{intercept:.6g}")
    np.testing.assert_array_equal(pixels(path, voi=False), plain if slope > 0 else 65535 - plain)


def test_full_scale_is_what_the_depth_allows_and_not_the_brightest_pixel(make_dicom) -> None:
    assert pixels(make_dicom(VALUES // 2, bits=12), voi=False).max() == round(2047 * 65535 / 4095)


def test_a_modality_table_is_applied_before_scaling(make_dicom) -> None:
    entries = np.rint(255 * (np.arange(3000) / 2999) ** 2)
    path = make_dicom(VALUES, bits=12, ModalityLUTSequence=table(3000, 500, 8, entries))
    np.testing.assert_array_equal(pixels(path, voi=False), entries[np.clip(VALUES.astype(int) - 500, 0, 2999)] * 257)


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize(("center", "width"), [(2048, 4096), (1500.5, 300), (40, 1.5)])
def test_a_window_is_the_one_that_pydicom_computes(function: str, center: float, width: float, make_dicom) -> None:
    entries = {"WindowCenter": center, "WindowWidth": width, "VOILUTFunction": function, "RescaleSlope": 1, "RescaleIntercept": -1024}
    dataset = Dataset()
    dataset.BitsStored, dataset.PixelRepresentation, dataset.PhotometricInterpretation = 12, 0, "MONOCHROME2"
    for keyword, entry in entries.items():
        setattr(dataset, keyword, entry)
    expected = (apply_windowing(apply_modality_lut(VALUES, dataset), dataset) + 1024) / 4095
    found = pixels(make_dicom(VALUES, bits=12, **entries), voi=True) / 65535
    np.testing.assert_allclose(found, expected, atol=0.51 / 65535)


def test_a_window_is_left_alone_unless_it_is_asked_for(make_dicom) -> None:
    plain = pixels(make_dicom(VALUES, "a.dcm", bits=12), voi=True)
    path = make_dicom(VALUES, "b.dcm", bits=12, WindowCenter=[1000, 9], WindowWidth=[200, 9])
    np.testing.assert_array_equal(pixels(path, voi=False), plain)
    assert pixels(path, voi=True)[VALUES < 900].max() == 0
    assert pixels(path, voi=True)[VALUES > 1100].min() == 65535


def test_a_window_after_a_negative_slope_keeps_its_bright_side(make_dicom) -> None:
    path = make_dicom(VALUES, bits=12, RescaleSlope=-1, RescaleIntercept=4095, WindowCenter=1000, WindowWidth=200)
    assert pixels(path, voi=True)[VALUES > 3195].max() == 0  # modality values below 900
    assert pixels(path, voi=True)[VALUES < 2995].min() == 65535


def test_inversion_follows_the_window(make_dicom) -> None:
    entries = {"WindowCenter": 1000, "WindowWidth": 200}
    plain = pixels(make_dicom(VALUES, "a.dcm", bits=12, **entries), voi=True)
    inverted = make_dicom(VALUES, "b.dcm", bits=12, PhotometricInterpretation="MONOCHROME1", **entries)
    np.testing.assert_array_equal(pixels(inverted, voi=True), 65535 - plain)


def test_a_voi_table_wins_over_a_window_and_is_the_one_that_pydicom_computes(make_dicom) -> None:
    entries = np.rint(65535 * (np.arange(4000) / 3999) ** 0.5)
    voi = table(4000, 20, 16, entries)
    dataset = Dataset()
    dataset.file_meta = Dataset()
    dataset.VOILUTSequence = voi
    voi[0]["LUTData"].VR = "US"
    voi[0].LUTData = [int(entry) for entry in entries]
    path = make_dicom(VALUES, bits=12, VOILUTSequence=voi, WindowCenter=9, WindowWidth=3)
    np.testing.assert_array_equal(pixels(path, voi=True), apply_voi(VALUES, dataset))


def test_a_voi_table_of_8_bit_may_have_more_than_256_entries(make_dicom) -> None:
    entries = np.arange(4096) // 16
    path = make_dicom(VALUES, bits=12, VOILUTSequence=table(4096, 0, 8, entries))
    np.testing.assert_array_equal(pixels(path, voi=True), (VALUES // 16).astype(np.uint16) * 257)


@pytest.mark.parametrize("voi", [False, True])
def test_a_table_may_begin_below_zero_though_its_descriptor_is_unsigned(voi: bool, make_dicom) -> None:
    item = table(4096, 0, 12, np.arange(4096)[::-1])
    item[0].add_new("LUTDescriptor", "US", [4096, 2**16 - 1024, 12])
    values, entries = (VALUES, {"VOILUTSequence": item, "RescaleSlope": 1, "RescaleIntercept": -1024})
    if not voi:
        values, entries = VALUES.astype(np.int16) - 1024, {"ModalityLUTSequence": item}
    plain = pixels(make_dicom(VALUES, "a.dcm", bits=12), voi=False)
    np.testing.assert_array_equal(pixels(make_dicom(values, "b.dcm", bits=13, **entries), voi), 65535 - plain)


@pytest.mark.parametrize("depth", [8, 12, 16])  # Agfa's CR gives the 16 bit that an entry takes
@pytest.mark.parametrize("sequence", ["ModalityLUTSequence", "VOILUTSequence"])
def test_white_of_a_table_is_white_of_the_picture_whatever_depth_its_descriptor_gives(sequence: str, depth: int, make_dicom) -> None:
    entries = np.rint(4095 * (np.arange(4096) / 4095) ** 0.5)
    found = pixels(make_dicom(VALUES, bits=12, **{sequence: table(4096, 0, depth, entries)}), voi=True)
    np.testing.assert_array_equal(found, np.rint(entries * (65535 / 4095)).reshape(64, 64))


def test_a_table_of_65536_entries_says_0(make_dicom) -> None:
    values = np.linspace(0, 65535, 4096).astype(np.uint16).reshape(64, 64)
    path = make_dicom(values, bits=16, VOILUTSequence=table(0, 0, 16, np.arange(65536)[::-1]))
    np.testing.assert_array_equal(pixels(path, voi=True), 65535 - values)


@pytest.mark.parametrize("count", [4095, 4096])
def test_the_entries_of_a_table_of_8_bit_may_be_packed(count: int, make_dicom) -> None:
    entries = (np.arange(count) // 16).astype(np.uint8)
    item = table(count, 0, 8, entries)
    item[0].LUTData = entries.tobytes() + bytes(count % 2)
    path = make_dicom(VALUES, bits=12, VOILUTSequence=item)
    np.testing.assert_array_equal(pixels(path, voi=True), entries[np.minimum(VALUES, count - 1)].astype(np.uint16) * 257)


def test_a_table_shorter_than_it_says_is_refused(make_dicom) -> None:
    with pytest.raises(Refused, match="damaged: lookup table of 50 entries"):
        pixels(make_dicom(VALUES, bits=12, ModalityLUTSequence=table(100, 0, 12, np.arange(50))), voi=False)


@pytest.mark.parametrize("entries", [{"WindowWidth": 0}, {"WindowWidth": 200, "VOILUTFunction": "CUBIC"}])
def test_a_window_that_the_standard_does_not_know_is_refused(entries: dict, make_dicom) -> None:
    with pytest.raises(Refused, match="window: "):
        pixels(make_dicom(VALUES, bits=12, WindowCenter=100, **entries), voi=True)


def test_real_values_beyond_one_are_taken_where_a_window_says_what_is_white() -> None:
    dataset = Dataset()
    dataset.WindowCenter, dataset.WindowWidth, dataset.VOILUTFunction = 500, 1000, "LINEAR_EXACT"
    np.testing.assert_array_equal(full_scale(dataset, np.array([[0.0, 250, 1000, 2000]]), None, voi=True), [[0, 16384, 65535, 65535]])
