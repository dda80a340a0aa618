"""Files as scanners and people write them: DICOM with any header, TIFF with any tag, pictures in every format."""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

MakeDicom = Callable[..., Path]
MakePicture = Callable[..., Path]


@pytest.fixture
def ramp() -> np.ndarray:
    """uint16 (40, 60) with every tenth level of full scale and both its ends."""
    return np.linspace(0, 65535, 40 * 60).round().astype(np.uint16).reshape(40, 60)


@pytest.fixture
def make_picture(tmp_path: Path) -> MakePicture:
    """Write pixels with OpenCV: make_picture("a.png", pixels)."""

    def make(name: str, pixels: np.ndarray) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(path), pixels)
        return path

    return make


@pytest.fixture
def make_dicom(tmp_path: Path) -> MakeDicom:
    """Write stored values (H, W) or (H, W, 3) as a radiograph; keywords set or (with None) remove header entries."""

    def make(values: np.ndarray, name: str = "a.dcm", bits: int = 16, syntax: UID = ExplicitVRLittleEndian, **entries: Any) -> Path:
        dataset = Dataset()
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = syntax
        dataset.SOPClassUID, dataset.SOPInstanceUID = SecondaryCaptureImageStorage, generate_uid()
        dataset.Modality, dataset.PatientID = "DX", "Doe^Jane 1970"
        dataset.Rows, dataset.Columns = values.shape[:2]
        dataset.SamplesPerPixel = 1 if values.ndim == 2 else values.shape[2]
        dataset.PhotometricInterpretation = "MONOCHROME2"
        dataset.BitsAllocated = 8 * values.dtype.itemsize
        if values.dtype.kind == "f":
            setattr(dataset, "FloatPixelData" if values.dtype == np.float32 else "DoubleFloatPixelData", values.tobytes())
        else:
            dataset.BitsStored, dataset.HighBit = bits, bits - 1
            dataset.PixelRepresentation = int(np.issubdtype(values.dtype, np.signedinteger))
            data = values.astype(values.dtype.newbyteorder("<" if syntax.is_little_endian else ">")).tobytes()
            dataset.PixelData = data + b"\0" * (len(data) % 2)
        for keyword, entry in entries.items():
            if entry is None:
                delattr(dataset, keyword)
            else:
                setattr(dataset, keyword, entry)
        if "PixelData" in dataset and dataset.BitsAllocated == 8:
            dataset["PixelData"].VR = "OB"
        path = tmp_path / name
        dataset.save_as(path, enforce_file_format=True)
        return path

    return make


@pytest.fixture
def make_tiff(tmp_path: Path) -> Callable[..., Path]:
    """Write a TIFF of one strip and any tags, which OpenCV's writer cannot: make_tiff("a.tif", pixels, photometric=0)."""

    def make(
        name: str, pixels: np.ndarray, photometric: int = 1, pages: int = 1, strip: bytes | None = None, tags: dict[int, int] | None = None
    ) -> Path:
        path = tmp_path / name
        path.write_bytes(_tiff(pixels, photometric, pages, pixels.tobytes() if strip is None else strip, tags or {}))
        return path

    return make


def _tiff(pixels: np.ndarray, photometric: int, pages: int, strip: bytes, others: dict[int, int]) -> bytes:
    height, width = pixels.shape
    tags = {256: width, 257: height, 258: 8 * pixels.dtype.itemsize, 259: 1, 262: photometric, 273: 8, 277: 1, 278: height, 279: len(strip)}
    tags |= {339: 3} if pixels.dtype.kind == "f" else {}
    tags |= others
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", tag, 4, 1, tags[tag]) for tag in sorted(tags))
    start = 8 + len(strip)
    second = struct.pack("<I", start + len(directory) + 4) + directory if pages == 2 else b""
    return b"II*\0" + struct.pack("<I", start) + strip + directory + second + struct.pack("<I", 0)
