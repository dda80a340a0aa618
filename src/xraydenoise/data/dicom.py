"""DICOM radiographs (CR, DX, MG, secondary capture) as gray pictures: modality values over their whole range, no window."""

import hashlib
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_modality_lut

from xraydenoise.data.picture import FULL_SCALE, Picture, Refused, check_size, gray, rescale

PREAMBLE = 128  # bytes before the magic
MAGIC = b"DICM"


def is_dicom(path: Path) -> bool:
    """Whether the file holds DICOM's magic after its preamble, whatever its name."""
    with path.open("rb") as file:
        file.seek(PREAMBLE)
        return file.read(len(MAGIC)) == MAGIC


def read(path: Path, max_megapixels: float) -> Picture:
    """The picture in `path`: MONOCHROME1 inverted, PatientID hashed; Rows x Columns are checked before the pixels are decoded.

    Raises Refused, as `decode.decode` does.
    """
    try:
        _check(pydicom.dcmread(path, stop_before_pixels=True), max_megapixels)
        return _picture(pydicom.dcmread(path))
    except Refused:
        raise
    except Exception as error:  # damaged files make pydicom raise nearly any class
        raise Refused("unreadable", f"{type(error).__name__}: {' '.join(str(error).split())}") from error


def _check(header: Dataset, max_megapixels: float) -> None:
    if "Rows" not in header or "Columns" not in header:
        raise Refused("not_an_image", f"DICOM of modality {header.get('Modality', 'unknown')} holds no picture")
    check_size(int(header.Rows), int(header.Columns), max_megapixels)
    if int(header.get("NumberOfFrames") or 1) > 1:
        raise Refused("frames", f"has {header.NumberOfFrames} frames; expected one radiograph a file")
    if header.PhotometricInterpretation not in ("MONOCHROME1", "MONOCHROME2", "RGB"):
        raise Refused("photometric", f"{header.PhotometricInterpretation!r} is not gray; expected MONOCHROME1 or MONOCHROME2")


def _picture(dataset: Dataset) -> Picture:
    """Stored values -> modality values -> full scale -> inversion. A linear rescale maps the stored range onto the rescaled one,
    so that on the scale from one end to the other nothing of it is left but its sign."""
    if "PixelData" not in dataset:
        raise Refused("not_an_image", f"DICOM of modality {dataset.get('Modality', 'unknown')} holds no PixelData")
    bits = int(dataset.BitsStored)
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if dataset.PixelRepresentation == 1 else (0, 2**bits - 1)
    values = gray(dataset.pixel_array, high)
    inverted = dataset.PhotometricInterpretation == "MONOCHROME1"
    if dataset.get("ModalityLUTSequence"):
        values = np.asarray(apply_modality_lut(values, dataset))
        low, high = 0, 2 ** int(dataset.ModalityLUTSequence[0].LUTDescriptor[2]) - 1
    elif float(dataset.get("RescaleSlope") or 1) < 0:
        inverted = not inverted
    pixels = rescale(values, low, high)
    return Picture(FULL_SCALE - pixels if inverted else pixels, bits, _spacing(dataset), _patient(dataset), _view(dataset))


def _spacing(dataset: Dataset) -> float | None:
    """mm a pixel, where rows and columns agree: in the patient's plane if calibrated, else at the detector."""
    for keyword in ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"):
        rows, columns = dataset.get(keyword) or (0, 0)
        if float(rows) > 0 and float(rows) == float(columns):
            return float(rows)
    return None


def _patient(dataset: Dataset) -> str | None:
    """A name for the patient that is the same in every file and is not the PatientID."""
    patient = str(dataset.get("PatientID") or "").strip()
    return f"dicom-{hashlib.sha256(patient.encode()).hexdigest()[:12]}" if patient else None


def _view(dataset: Dataset) -> str | None:
    """Body part, side and projection, as far as they are there: "chest PA"."""
    body = str(dataset.get("BodyPartExamined") or "").lower()
    side = str(dataset.get("ImageLaterality") or dataset.get("Laterality") or "")
    return " ".join(part for part in (body, side, str(dataset.get("ViewPosition") or "")) if part) or None
