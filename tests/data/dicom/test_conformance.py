"""Derived images before validators: none has an error that its source has not."""

import logging
import shutil
import subprocess
from pathlib import Path
from typing import Any

import data_store
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    UID,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    SecondaryCaptureImageStorage,
)

from xraydenoise.data.dicom.derived import Software, derived

SOFTWARE = Software("xraydenoise", "1.2", "sha256 abc, strength 1", "Noise taken away.")
RADIOGRAPHS = {name: Path(data_store.__file__).parent / "data" / f"{name}.dcm" for name in ("RG1_UNCR", "RG3_UNCR")}
FRAMES = np.random.default_rng(0).integers(1, 4000, (2, 40, 60)).astype(np.uint16)


def secondary_capture(values: np.ndarray, kind: UID = SecondaryCaptureImageStorage) -> Dataset:
    """A radiograph with all that its class wants."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = kind, "1.2.3.1"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.3", "1.2.4"
    dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate, dataset.PatientSex = "Doe^Jane", "7", "19700101", "F"
    dataset.StudyID, dataset.StudyDate, dataset.StudyTime = "1", "20200101", "120000"
    dataset.ReferringPhysicianName = dataset.AccessionNumber = dataset.PatientOrientation = ""
    dataset.Modality, dataset.ConversionType, dataset.BodyPartExamined = "OT", "DF", "CHEST"
    dataset.SeriesNumber = dataset.InstanceNumber = 1
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = values.shape[-2:]
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = int(values.dtype.kind == "i")
    dataset.PixelData = values.astype(values.dtype.newbyteorder("<")).tobytes()
    return dataset


def signed() -> Dataset:
    return secondary_capture(FRAMES[0].astype(np.int16) - 2048)


def multi_frame() -> Dataset:
    dataset = secondary_capture(FRAMES, MultiFrameGrayscaleWordSecondaryCaptureImageStorage)
    dataset.NumberOfFrames, dataset.BurnedInAnnotation = 2, "NO"
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType, dataset.PresentationLUTShape = 0, 1, "US", "IDENTITY"
    dataset.NominalScannedPixelSpacing = [0.2, 0.2]
    dataset.PageNumberVector, dataset.FrameIncrementPointer = [1, 2], 0x00182001
    return dataset


def overlaid() -> Dataset:
    """With an overlay in a bit above the stored ones, which the standard has not allowed since 2004."""
    dataset = secondary_capture(FRAMES[0] | (np.indices((40, 60)).sum(axis=0) % 7 == 0).astype(np.uint16) << 12)
    for element, vr, value in (
        (0x10, "US", 40),
        (0x11, "US", 60),
        (0x40, "CS", "G"),
        (0x50, "SS", [1, 1]),
        (0x100, "US", 16),
        (0x102, "US", 12),
    ):
        dataset.add_new((0x6000, element), vr, value)
    return dataset


def monochrome_1() -> Dataset:
    """A digital radiograph of the chest, low values bright."""
    dataset = secondary_capture(FRAMES[0], DigitalXRayImageStorageForPresentation)
    del dataset.ConversionType
    dataset.Modality, dataset.PhotometricInterpretation, dataset.PresentationLUTShape = "DX", "MONOCHROME1", "INVERSE"
    dataset.PresentationIntentType, dataset.ImageType = "FOR PRESENTATION", ["ORIGINAL", "PRIMARY", ""]
    dataset.Manufacturer = dataset.DetectorType = dataset.PositionerType = ""
    dataset.ViewPosition, dataset.ImageLaterality, dataset.PatientOrientation = "PA", "U", ["R", "F"]
    region = Dataset()
    region.CodeValue, region.CodingSchemeDesignator, region.CodeMeaning = "43799004", "SCT", "Thoracic cavity"
    dataset.AnatomicRegionSequence, dataset.AcquisitionContextSequence = [region], []
    dataset.PixelIntensityRelationship, dataset.PixelIntensityRelationshipSign = "LOG", -1
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = 0, 1, "US"
    dataset.WindowCenter, dataset.WindowWidth = 2000, 4000
    dataset.LossyImageCompression, dataset.BurnedInAnnotation = "00", "NO"
    dataset.ImagerPixelSpacing = [0.15, 0.15]
    return dataset


SYNTHETIC = (signed, multi_frame, overlaid, monochrome_1)


@pytest.fixture(params=[*RADIOGRAPHS, *(made.__name__ for made in SYNTHETIC)])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Two radiographs of pydicom-data, and one of each kind that is made here."""
    path = tmp_path / "source.dcm"
    made = {one.__name__: one for one in SYNTHETIC}.get(request.param)
    if made:
        made().save_as(path, enforce_file_format=True)
    else:
        shutil.copy(RADIOGRAPHS[request.param], path)
    return path


@pytest.fixture(params=[False, True], ids=["plain", "compressed"])
def result(request: pytest.FixtureRequest, source: Path) -> Path:
    path = source.with_name("result.dcm")
    path.write_bytes(derived(source.read_bytes(), 4.0, lambda values, _: np.ones(values.shape), SOFTWARE, request.param))
    return path


@pytest.mark.skipif(not shutil.which("dciodvfy"), reason="dciodvfy, of Debian's dicom3tools, is not installed")
def test_dciodvfy_finds_no_error_that_the_source_has_not(source: Path, result: Path) -> None:
    def errors(path: Path) -> set[str]:
        told = subprocess.run(["dciodvfy", path], capture_output=True, text=True, check=False).stderr
        return {line for line in told.splitlines() if line.startswith("Error")}

    assert errors(result) <= errors(source)
    if "Doe" in str(pydicom.dcmread(result).PatientName):  # made here, without errors but those of the old kind of overlay
        assert errors(result) == set()


def test_dicom_validator_finds_no_error_that_the_source_has_not(
    source: Path, result: Path, standard: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dicom_validator.validator.dicom_file_validator import DicomFileValidator

    mode = pydicom.config.settings.reading_validation_mode
    monkeypatch.setattr(pydicom.config.settings, "reading_validation_mode", mode)  # it changes this and leaves it so

    def errors(path: Path) -> set[str]:
        (found,) = DicomFileValidator(standard, log_level=logging.CRITICAL).validate(path).values()
        assert found.status.name in ("Passed", "Failed"), found.status
        return {f"{module}: {tag}: {error.code}" for module, tags in found.module_errors.items() for tag, error in tags.items()}

    assert errors(result) <= errors(source)


@pytest.fixture(scope="module")
def standard() -> Any:
    """What dicom-validator knows of the DICOM standard, from files that it has fetched before: it brings none and tests fetch nothing."""
    module = pytest.importorskip("dicom_validator.spec_reader.edition_reader", reason="dicom-validator is not installed")
    reader = module.EditionReader()
    editions = [path.name for path in sorted(reader.path.glob("*")) if path.is_dir() and reader.json_files_exist(path.name)]
    if not editions:
        pytest.skip(f"{reader.path} holds no edition of the DICOM standard; `validate_iods FILE` fetches the newest")
    return reader.load_dicom_info(editions[-1])
