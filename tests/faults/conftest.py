"""Whole files in every format that the decoder reads, for faults to be put into."""

import io
from pathlib import Path

import cv2
import gdcm
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
    SecondaryCaptureImageStorage,
    generate_uid,
)


@pytest.fixture(scope="session")
def specimens(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Name -> content, of 120 x 90 px: a smooth picture with some noise, whose coded data reach to the end of the file."""
    rng = np.random.default_rng(1)
    smooth = cv2.GaussianBlur(rng.normal(size=(90, 120)), (0, 0), 6)
    pixels = cv2.normalize(smooth, None, 2000, 63000, cv2.NORM_MINMAX) + rng.normal(scale=300, size=(90, 120))
    deep, shallow = pixels.astype(np.uint16), (pixels / 257).astype(np.uint8)
    files = {
        "png8.png": cv2.imencode(".png", shallow)[1].tobytes(),
        "png16.png": cv2.imencode(".png", deep)[1].tobytes(),
        "gray.jpg": cv2.imencode(".jpg", shallow)[1].tobytes(),
        "rgb.jpg": cv2.imencode(".jpg", np.dstack([shallow] * 3))[1].tobytes(),
        "bitmap.bmp": cv2.imencode(".bmp", shallow)[1].tobytes(),
        "lzw.tif": cv2.imencode(".tif", deep)[1].tobytes(),
        "progressive.jpg": _pillow(shallow, "jpeg", progressive=True),
        "plain.tif": _pillow(shallow, "tiff"),
        "deflated.tif": _pillow(shallow, "tiff", compression="tiff_adobe_deflate"),
        "shallow_lzw.tif": _pillow(shallow, "tiff", compression="tiff_lzw"),
        "packbits.tif": _pillow(shallow, "tiff", compression="packbits"),
        "plain.dcm": _dicom(deep),
    }
    deflated = pydicom.dcmread(io.BytesIO(files["plain.dcm"]))
    deflated.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    files["deflated.dcm"] = _saved(deflated)
    for name, syntax in (("rle.dcm", RLELossless), ("jpeg_2000.dcm", JPEG2000Lossless), ("jpeg_ls.dcm", JPEGLSLossless)):
        dataset = pydicom.dcmread(io.BytesIO(files["plain.dcm"]))
        dataset.compress(syntax)
        files[name] = _saved(dataset)
    files["jpeg_lossless.dcm"] = _by_gdcm(files["plain.dcm"], tmp_path_factory.mktemp("gdcm") / "a.dcm")
    return files


def _pillow(pixels: np.ndarray, kind: str, **options: object) -> bytes:
    written = io.BytesIO()
    Image.fromarray(pixels).save(written, kind, **options)
    return written.getvalue()


def _dicom(values: np.ndarray) -> bytes:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.Modality = SecondaryCaptureImageStorage, generate_uid(entropy_srcs=["a"]), "DX"
    dataset.Rows, dataset.Columns = values.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PixelRepresentation = 1, "MONOCHROME2", 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 16, 15
    dataset.WindowCenter, dataset.WindowWidth = 30000, 60000
    dataset.PixelData = values.tobytes()
    return _saved(dataset)


def _saved(dataset: Dataset) -> bytes:
    written = io.BytesIO()
    dataset.save_as(written, enforce_file_format=True)
    return written.getvalue()


def _by_gdcm(content: bytes, path: Path) -> bytes:
    path.write_bytes(content)
    reader, change, writer = gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax(), gdcm.ImageWriter()
    reader.SetFileName(str(path))
    assert reader.Read()
    change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGLosslessProcess14_1))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer.SetFileName(str(path))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    return path.read_bytes()
