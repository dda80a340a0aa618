from typing import Any

import numpy as np
import pydicom
import pytest

from xraydenoise.data.dicom.frames import first

LIMIT = 4.0  # megapixels
VALUES = np.arange(2400, dtype=np.uint16).reshape(40, 60)


@pytest.mark.parametrize(
    ("entries", "inverted"),
    [
        ({}, False),
        ({"PhotometricInterpretation": "MONOCHROME1"}, True),
        ({"PhotometricInterpretation": "MONOCHROME1", "PresentationLUTShape": "INVERSE"}, True),  # DX says the same thing twice
        ({"RescaleSlope": -1, "RescaleIntercept": 4095}, True),
        ({"PhotometricInterpretation": "MONOCHROME1", "RescaleSlope": -1, "RescaleIntercept": 4095}, False),
        ({"PhotometricInterpretation": "MONOCHROME1", "RescaleSlope": 2, "RescaleIntercept": 0}, True),
    ],
)
def test_stored_values_are_told_with_whether_low_ones_are_bright(make_dicom, entries: dict[str, Any], inverted: bool) -> None:
    found = first(make_dicom(VALUES, bits=12, **entries).read_bytes(), LIMIT)
    np.testing.assert_array_equal(found.values, VALUES)
    assert (found.padding, found.inverted, found.frames) == (None, inverted, 1)


def test_the_first_of_several_frames_and_its_padding_are_found(make_dicom) -> None:
    path = make_dicom(VALUES, bits=12, NumberOfFrames=2, PixelPaddingValue=7)
    dataset = pydicom.dcmread(path)
    dataset.PixelData = VALUES.tobytes() + (VALUES + 1).tobytes()
    dataset.save_as(path)
    found = first(path.read_bytes(), LIMIT)
    np.testing.assert_array_equal(found.values, np.where(VALUES == 7, 0, VALUES))
    assert found.padding is not None
    np.testing.assert_array_equal(found.padding, VALUES == 7)
    assert found.frames == 2
