from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import RLELossless

from xraydenoise.data.decode import decode
from xraydenoise.data.picture import Refused

LIMIT = 1.0  # megapixels


def refusal(path: Path, limit: float = LIMIT) -> str:
    with pytest.raises(Refused) as caught:
        decode(path, limit)
    assert "\n" not in caught.value.detail
    return caught.value.reason


def levels(bits: int) -> np.ndarray:
    """uint16 (40, 60) over the whole range of `bits`."""
    return np.linspace(0, 2**bits - 1, 40 * 60).round().astype(np.uint16).reshape(40, 60)


@pytest.mark.parametrize("bits", [10, 12, 15, 16])
def test_the_greatest_stored_value_is_full_scale_at_every_depth(bits: int, make_dicom) -> None:
    picture = decode(make_dicom(levels(bits), bits=bits), LIMIT)
    assert picture.bits == bits
    np.testing.assert_array_equal(picture.pixels, np.rint(levels(bits) * (65535 / (2**bits - 1))).astype(np.uint16))


def test_full_scale_is_what_the_depth_allows_and_not_the_brightest_pixel(make_dicom) -> None:
    assert decode(make_dicom(levels(10) // 2, bits=10), LIMIT).pixels.max() == round(511 * 65535 / 1023)


def test_monochrome1_is_inverted(make_dicom) -> None:
    plain = decode(make_dicom(levels(12), "a.dcm", bits=12), LIMIT)
    inverted = decode(make_dicom(levels(12), "b.dcm", bits=12, PhotometricInterpretation="MONOCHROME1"), LIMIT)
    np.testing.assert_array_equal(inverted.pixels, 65535 - plain.pixels)


def test_signed_values_span_from_their_least_to_their_greatest(make_dicom) -> None:
    values = levels(12).astype(np.int16) - 2048
    np.testing.assert_array_equal(
        decode(make_dicom(values, "a.dcm", bits=12), LIMIT).pixels, decode(make_dicom(levels(12), "b.dcm", bits=12), LIMIT).pixels
    )


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(slope=st.floats(0.01, 100).flatmap(lambda size: st.sampled_from([size, -size])), intercept=st.floats(-5000, 5000))
def test_a_linear_rescale_changes_nothing_but_its_sign(slope: float, intercept: float, make_dicom) -> None:
    plain = decode(make_dicom(levels(12), "a.dcm", bits=12), LIMIT).pixels
    path = make_dicom(levels(12), "b.dcm", bits=12, RescaleSlope=f"{slope:.6g}", RescaleIntercept=f"{intercept:.6g}")
    np.testing.assert_array_equal(decode(path, LIMIT).pixels, plain if slope > 0 else 65535 - plain)


def test_a_modality_table_is_applied_before_scaling(make_dicom) -> None:
    table = Dataset()
    table.LUTDescriptor = [1024, 0, 8]
    table.ModalityLUTType = "US"
    entries = np.rint(255 * (np.arange(1024) / 1023) ** 2).astype(np.uint16)
    table.LUTData = entries.tobytes()
    values = levels(10)
    picture = decode(make_dicom(values, bits=10, ModalityLUTSequence=Sequence([table])), LIMIT)
    np.testing.assert_array_equal(picture.pixels, entries[values] * 257)


def test_run_length_coding_is_decoded(make_dicom) -> None:
    path = make_dicom(levels(16))
    dataset = pydicom.dcmread(path)
    dataset.compress(RLELossless)
    dataset.save_as(path)
    np.testing.assert_array_equal(decode(path, LIMIT).pixels, levels(16))


def test_a_secondary_capture_in_gray_rgb_is_gray_and_in_colour_refused(make_dicom) -> None:
    gray = np.arange(2400, dtype=np.uint32).reshape(40, 60).astype(np.uint8)
    same = np.ascontiguousarray(np.dstack([gray] * 3))
    entries = {"bits": 8, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0}
    np.testing.assert_array_equal(decode(make_dicom(same, "a.dcm", **entries), LIMIT).pixels, gray.astype(np.uint16) * 257)
    same[5, 5] = (200, 10, 10)
    assert refusal(make_dicom(same, "b.dcm", **entries)) == "colour"


def test_the_patient_is_hashed_and_the_same_in_every_file(make_dicom) -> None:
    first, second = (decode(make_dicom(levels(12), name, bits=12), LIMIT).patient for name in ("a.dcm", "b.dcm"))
    other = decode(make_dicom(levels(12), "c.dcm", bits=12, PatientID="Roe^Richard 1960"), LIMIT).patient
    assert first == second != other
    assert first is not None
    assert first.startswith("dicom-")
    assert "Doe" not in first
    assert decode(make_dicom(levels(12), "d.dcm", bits=12, PatientID=""), LIMIT).patient is None


@pytest.mark.parametrize(
    ("entries", "spacing"),
    [
        ({}, None),
        ({"PixelSpacing": [0.14, 0.14], "ImagerPixelSpacing": [0.2, 0.2]}, 0.14),
        ({"PixelSpacing": [0, 0], "ImagerPixelSpacing": [0.2, 0.2]}, 0.2),
        ({"PixelSpacing": [0.1, 0.2]}, None),
    ],
)
def test_the_spacing_is_the_first_that_makes_sense(entries: dict, spacing: float | None, make_dicom) -> None:
    assert decode(make_dicom(levels(12), bits=12, **entries), LIMIT).spacing == spacing


def test_the_view_says_body_part_side_and_projection(make_dicom) -> None:
    path = make_dicom(levels(12), bits=12, BodyPartExamined="CHEST", Laterality="L", ViewPosition="PA")
    assert decode(path, LIMIT).view == "chest L PA"
    assert decode(make_dicom(levels(12), "b.dcm", bits=12), LIMIT).view is None


def test_size_is_checked_before_the_pixels(make_dicom) -> None:
    assert refusal(make_dicom(levels(12), bits=12, Rows=60000, Columns=60000)) == "too_large"


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "photometric"),
        ({"NumberOfFrames": 2}, "frames"),
        ({"Rows": None}, "not_an_image"),
        ({"PixelData": None}, "not_an_image"),
        ({"BitsStored": None}, "unreadable"),
        ({"Rows": 400}, "unreadable"),
    ],
)
def test_a_header_that_is_no_radiograph_is_refused_with_a_reason(entries: dict, reason: str, make_dicom) -> None:
    assert refusal(make_dicom(levels(12), bits=12, **entries)) == reason


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0.05, 0.99))
@pytest.mark.filterwarnings("ignore")
def test_a_dicom_file_cut_anywhere_is_refused(share: float, make_dicom, tmp_path: Path) -> None:
    whole = make_dicom(levels(12), bits=12).read_bytes()
    (tmp_path / "cut").write_bytes(whole[: int(len(whole) * share)])
    assert refusal(tmp_path / "cut") in ("unreadable", "not_an_image")
