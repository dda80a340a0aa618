import os
import struct
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import (
    MPEG4HP41,
    BasicTextSRStorage,
    ComputedRadiographyImageStorage,
    DeflatedExplicitVRLittleEndian,
    GrayscaleSoftcopyPresentationStateStorage,
    KeyObjectSelectionDocumentStorage,
    MediaStorageDirectoryStorage,
)

from xraydenoise.data.decode import decode
from xraydenoise.data.dicom import stored
from xraydenoise.data.magic import is_dicom
from xraydenoise.data.picture import Refused

LIMIT = 1.0  # megapixels


def refusal(path: Path, limit: float = LIMIT) -> str:
    with pytest.raises(Refused) as caught:
        decode(path, limit, voi=False)
    assert "\n" not in caught.value.detail
    return caught.value.reason


def levels(bits: int) -> np.ndarray:
    """uint16 (40, 60) over the whole range of `bits`."""
    return np.linspace(0, 2**bits - 1, 40 * 60).round().astype(np.uint16).reshape(40, 60)


def test_monochrome1_is_inverted(make_dicom) -> None:
    plain = decode(make_dicom(levels(12), "a.dcm", bits=12), LIMIT, voi=False)
    inverted = decode(make_dicom(levels(12), "b.dcm", bits=12, PhotometricInterpretation="MONOCHROME1"), LIMIT, voi=False)
    np.testing.assert_array_equal(inverted.pixels, 65535 - plain.pixels)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_an_inverse_presentation_shape_means_one_inversion_and_never_two(photometric: str, make_dicom) -> None:
    plain = decode(make_dicom(levels(12), "a.dcm", bits=12, PresentationLUTShape="IDENTITY"), LIMIT, voi=False)
    path = make_dicom(levels(12), "b.dcm", bits=12, PhotometricInterpretation=photometric, PresentationLUTShape="INVERSE")
    np.testing.assert_array_equal(decode(path, LIMIT, voi=False).pixels, 65535 - plain.pixels)


@pytest.mark.parametrize(
    ("entries", "burned_in"), [({}, False), ({"BurnedInAnnotation": "NO"}, False), ({"BurnedInAnnotation": "YES"}, True)]
)
def test_text_burned_into_the_pixels_is_flagged_where_the_header_says_so(entries: dict, burned_in: bool, make_dicom) -> None:
    assert decode(make_dicom(levels(12), bits=12, **entries), LIMIT, voi=False).burned_in is burned_in


def test_a_single_frame_that_says_so_is_accepted(make_dicom) -> None:
    assert decode(make_dicom(levels(12), bits=12, NumberOfFrames=1), LIMIT, voi=False).pixels.shape == (40, 60)


def test_a_syntax_without_a_decoder_is_refused_by_its_name(make_dicom) -> None:
    path = make_dicom(levels(12), bits=12, syntax=MPEG4HP41, PixelData=encapsulate([bytes(10)]))
    with pytest.raises(Refused, match="transfer_syntax: MPEG-4 AVC"):
        decode(path, LIMIT, voi=False)


def test_a_deflated_file_is_read_and_a_deflated_bomb_refused(make_dicom) -> None:
    path = make_dicom(levels(12), bits=12, syntax=DeflatedExplicitVRLittleEndian)
    np.testing.assert_array_equal(
        decode(path, LIMIT, voi=False).pixels, decode(make_dicom(levels(12), "b.dcm", bits=12), LIMIT, voi=False).pixels
    )
    bomb = make_dicom(np.zeros((4000, 4000), np.uint16), "c.dcm", syntax=DeflatedExplicitVRLittleEndian)
    assert bomb.stat().st_size < 100_000
    assert refusal(bomb) == "too_large"


def test_a_deflated_bomb_is_refused_whatever_its_meta_information_says_of_its_own_length(make_dicom) -> None:
    bomb = make_dicom(np.zeros((4000, 4000), np.uint16), syntax=DeflatedExplicitVRLittleEndian)
    content = bomb.read_bytes()
    meta = 144 + struct.unpack_from("<I", content, 140)[0]  # its end
    filling = b"\x02\0\x02\1OB\0\0" + struct.pack("<I", 6000) + bytes(6000)
    for changed in (
        content[:140] + struct.pack("<I", len(content)) + content[144:],
        content[:140] + struct.pack("<I", 2**32 - 1) + content[144:],
        content[:132] + content[144:],
        content[:132] + filling + content[144:],
        content[:meta] + filling + content[meta:],
    ):
        bomb.write_bytes(changed)
        assert refusal(bomb) == "too_large"


def test_a_deflated_file_that_was_cut_is_refused(make_dicom) -> None:
    path = make_dicom(levels(12), bits=12, syntax=DeflatedExplicitVRLittleEndian)
    path.write_bytes(path.read_bytes()[:-20])
    assert refusal(path) == "truncated"


def test_the_magic_tells_a_file_from_a_folder_and_from_others(make_dicom, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("x" * 300)
    assert is_dicom(make_dicom(levels(12)))
    assert [is_dicom(path) for path in (tmp_path, tmp_path / "text", tmp_path / "missing")] == [False, False, False]


def test_the_patient_is_hashed_and_the_same_in_every_file(make_dicom) -> None:
    first, second = (decode(make_dicom(levels(12), name, bits=12), LIMIT, voi=False).patient for name in ("a.dcm", "b.dcm"))
    other = decode(make_dicom(levels(12), "c.dcm", bits=12, PatientID="Roe^Richard 1960"), LIMIT, voi=False).patient
    assert first == second != other
    assert first is not None
    assert first.startswith("dicom-")
    assert "Doe" not in first


def test_the_study_is_hashed_and_told_beside_the_patient(make_dicom) -> None:
    pictures = [decode(make_dicom(levels(12), bits=12, StudyInstanceUID=study), LIMIT, voi=False) for study in ("1.2.3", "1.2.4", "")]
    first, second, none = (picture.study for picture in pictures)
    assert first != second
    assert (none, first[:6], "1.2.3" in first) == (None, "study-", False)


@pytest.mark.parametrize(
    "name",
    [
        *("", "ANONYMOUS", "Anonymized", "anon", "0000", "XXX", "N/A", "Unknown", "no id", "PatientID", "De-identified"),
        *("nan", "NaN", "<NA>", "#N/A", "NULL", "missing"),
        *("<removed>", "(empty)", "Anonymous^", "ANONYMOUS^PATIENT", "NOT PROVIDED", "Not Available", "confidential"),
    ],
)
def test_a_placeholder_is_nobody_however_it_is_written(make_dicom, name: str) -> None:
    assert decode(make_dicom(levels(12), bits=12, PatientID=name), LIMIT, voi=False).patient is None


@pytest.mark.parametrize("name", ["ANON0012", "0x12", "PATIENT 7", "100", "Noid-3", "0001", "ANON-17", "NA-2", "Doe^Anna"])
def test_a_pseudonym_is_somebody(make_dicom, name: str) -> None:
    assert decode(make_dicom(levels(12), bits=12, PatientID=name), LIMIT, voi=False).patient is not None


@pytest.mark.parametrize(
    ("entries", "spacing"),
    [
        ({}, None),
        ({"PixelSpacing": [0.14, 0.14], "ImagerPixelSpacing": [0.2, 0.2]}, 0.14),
        ({"PixelSpacing": [0, 0], "ImagerPixelSpacing": [0.2, 0.2]}, 0.2),
        ({"PixelSpacing": [0.1, 0.2]}, None),
        ({"PixelSpacing": [0.2, 0.1], "ImagerPixelSpacing": [0.1, 0.1]}, None),
        ({"PixelSpacing": 0.1}, None),
    ],
)
def test_the_spacing_is_the_first_that_makes_sense(entries: dict, spacing: float | None, make_dicom) -> None:
    assert decode(make_dicom(levels(12), bits=12, **entries), LIMIT, voi=False).spacing == spacing


@pytest.mark.parametrize("malformed", [b"0,143\\0,143 ", b"\\ ", b"\\0.2", b"a\\b ", b"1e999\\1e999 "])
@pytest.mark.parametrize(("next_entries", "spacing"), [({}, None), ({"ImagerPixelSpacing": [0.2, 0.2]}, 0.2)])
def test_a_malformed_spacing_costs_neither_the_picture_nor_the_next_one(
    malformed: bytes, next_entries: dict, spacing: float | None, make_dicom
) -> None:
    path = make_dicom(levels(12), bits=12, PixelSpacing=["7.123456", "7.123456"], **next_entries)
    path.write_bytes(path.read_bytes().replace(b"7.123456\\7.123456 ", malformed.ljust(18)))
    assert decode(path, LIMIT, voi=False).spacing == spacing


def test_the_view_says_body_part_side_and_projection(make_dicom) -> None:
    path = make_dicom(levels(12), bits=12, BodyPartExamined="CHEST", Laterality="L", ViewPosition="PA")
    assert decode(path, LIMIT, voi=False).view == "chest L PA"
    assert decode(make_dicom(levels(12), "b.dcm", bits=12), LIMIT, voi=False).view is None


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
        ({"BitsStored": 17}, "depth"),
        ({"HighBit": 10}, "depth"),
        ({"RescaleSlope": 0, "RescaleIntercept": 0}, "range"),
    ],
)
def test_a_header_that_is_no_radiograph_is_refused_with_a_reason(entries: dict, reason: str, make_dicom) -> None:
    assert refusal(make_dicom(levels(12), bits=12, **entries)) == reason


@pytest.mark.parametrize(
    "kind",
    [BasicTextSRStorage, GrayscaleSoftcopyPresentationStateStorage, KeyObjectSelectionDocumentStorage, MediaStorageDirectoryStorage],
)
def test_what_is_no_image_by_its_class_is_no_picture_and_says_so(kind: str, make_dicom) -> None:
    with pytest.raises(Refused, match=f"^no_picture: DICOM of class {kind.name},"):
        decode(make_dicom(levels(12), bits=12, SOPClassUID=kind, Rows=None, Columns=None, PixelData=None), LIMIT, voi=False)


@pytest.mark.parametrize("entries", [{"PixelData": None}, {"PixelData": None, "Rows": None, "Columns": None}])
@pytest.mark.parametrize("kind", [ComputedRadiographyImageStorage, "1.2.840.10008.5.1.4"])
def test_an_image_or_an_unknown_object_without_pixels_is_bad(entries: dict, kind: str, make_dicom) -> None:
    assert refusal(make_dicom(levels(12), bits=12, SOPClassUID=kind, **entries)) == "not_an_image"


def test_decoding_in_several_threads_gives_stderr_back(monkeypatch) -> None:
    monkeypatch.setattr(stored, "_run", lambda *_: time.sleep(0.05))
    before = os.fstat(2)
    threads = [threading.Thread(target=stored._heard, args=(None, b"")) for _ in range(4)]
    for thread in threads:
        thread.start()
        time.sleep(0.01)
    for thread in threads:
        thread.join()
    assert os.path.samestat(os.fstat(2), before)
