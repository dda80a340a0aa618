"""A DICOM radiograph denoised: a derived image of the same patient, study and geometry, in a series of its own (PS3.3 C.7.6.1.1).

The pixels are denoised as they are stored, before any window or table, all of which stay. What describes the source's own file, or would
be wrong of the new pixels, goes: when and by whom it was created, its icon, its signatures.
"""

import uuid
from collections.abc import Callable
from io import BytesIO
from typing import NamedTuple

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLSLossless,
    JPEGLSNearLossless,
)

from xraydenoise.data import dicom
from xraydenoise.data.dicom import stored
from xraydenoise.data.dicom.frames import even, frames
from xraydenoise.data.picture import Refused

Noise = Callable[[np.ndarray, np.ndarray | None], np.ndarray]
LOSSY = {JPEGBaseline8Bit: "ISO_10918_1", JPEGExtended12Bit: "ISO_10918_1", JPEGLSNearLossless: "ISO_14495_1"}  # whose files must say so
WRONG = (  # of the new file
    "InstanceCreationDate",
    "InstanceCreationTime",
    "InstanceCreatorUID",
    "IconImageSequence",
    "MACParametersSequence",
    "DigitalSignaturesSequence",
    "ExtendedOffsetTable",
    "ExtendedOffsetTableLengths",
    "DataSetTrailingPadding",
)
# Context groups 7203, 7202 and 7005 of PS3.16, which has no code for taking noise away by a trained network.
SMOOTHING = ("113087", "Smoothing")
SOURCE = ("121322", "Source image for image processing operation")
MODIFYING = ("109103", "Modifying Equipment")


class Software(NamedTuple):
    """What took the noise away."""

    name: str
    version: str
    settings: str  # all that the pixels depend on beside the source's and the version; other ones give other UIDs
    description: str  # for people


def derived(data: bytes, max_megapixels: float, noise: Noise, software: Software, compress: bool = False) -> bytes:
    """The file `data` as a denoised one, Explicit VR Little Endian; the same input gives the same bytes, UIDs included.

    Its pixels are not compressed, or with `compress` as JPEG-LS without loss.

    `noise` is asked with the stored values, integers (H, W), and where they are padding, bool (H, W) or None; it gives back what is to be
    taken away from them, frame by frame. Padding stays, and no other pixel takes its value. Overlays in the bits beside the stored ones
    become overlays of their own.
    Raises Refused, as `decode.decode` does.
    """
    try:
        dataset = dicom.opened(data, max_megapixels)
        _check(dataset)
        _replace_pixels(dataset, noise, compress)
        _describe(dataset, software)
        return _written(dataset, compress)
    except (Refused, MemoryError):
        raise
    except Exception as error:  # damaged files make pydicom raise nearly any class
        raise Refused("unreadable", f"{type(error).__name__}: {' '.join(str(error).split())}") from error


def _check(dataset: Dataset) -> None:
    if dataset.PhotometricInterpretation not in dicom.GRAYS:
        raise Refused("colour", f"{dataset.PhotometricInterpretation}; expected MONOCHROME1 or MONOCHROME2")
    if "PixelData" not in dataset:
        raise Refused("depth", "holds no PixelData; expected integers of 8 to 16 bit")
    for keyword in ("SOPClassUID", "SOPInstanceUID"):
        if not dataset.get(keyword):
            raise Refused("damaged", f"has no {keyword}, to which a derived image refers")


def _replace_pixels(dataset: Dataset, noise: Noise, compress: bool) -> None:
    pictures, planes = [], []
    for frame in frames(dataset):
        container = stored.container(frame)
        pictures.append(_denoised(frame, container, noise))
        bare = container.view(f"u{container.dtype.itemsize}")
        planes.append([bare >> bit & 1 for _, bit in stored.overlaid(dataset)])
    clean = np.stack(pictures)  # (frames, H, W)
    low, high = stored.limits(dataset)
    if compress and (clean.min() < low or clean.max() > high):  # the codec would wrap them
        raise Refused("range", f"padding lies outside the {dataset.BitsStored} stored bits, which are all that JPEG-LS holds")
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax in LOSSY and dataset.get("LossyImageCompression") != "01":
        ratio = clean.size * int(dataset.BitsStored) / 8 / len(dataset.PixelData)
        dataset.LossyImageCompression, dataset.LossyImageCompressionRatio = "01", f"{ratio:.4g}"
        dataset.LossyImageCompressionMethod = LOSSY[syntax]
    if syntax == ExplicitVRBigEndian:
        dataset.walk(_swap)
    for (group, _), plane in zip(stored.overlaid(dataset), map(np.array, zip(*planes, strict=True)), strict=True):
        _move_overlay(dataset, group, plane)
    dataset.HighBit = dataset.BitsStored - 1
    for keyword, value in (("SmallestImagePixelValue", clean.min()), ("LargestImagePixelValue", clean.max())):
        if keyword in dataset:
            setattr(dataset, keyword, int(value))
    dataset.PixelData = even(clean.astype(clean.dtype.newbyteorder("<")).tobytes())
    dataset["PixelData"].VR = "OW"
    dataset["PixelData"].is_undefined_length = False


def _denoised(frame: Dataset, container: np.ndarray, noise: Noise) -> np.ndarray:
    """The stored values of one frame without noise, (H, W) of the container's type."""
    values, _, limits, padding = stored.within(frame, container)
    if values.min() < limits[0] or values.max() > limits[1]:
        raise Refused("range", f"values {values.min()} to {values.max()} leave the announced range {limits[0]} to {limits[1]}")
    clean: np.ndarray = np.rint(values - noise(values, padding)).clip(*limits).astype(values.dtype)
    if (taken := stored.padded(frame, clean)) is not None:
        clean[taken] = values[taken]  # the value before, which was none of padding
    if padding is not None:
        clean[padding] = container[padding]
    return clean


def _move_overlay(dataset: Dataset, group: int, plane: np.ndarray) -> None:
    """Put the bits of an overlay, (frames, H, W), into an element of its own, as the standard wants since 2004."""
    dataset.add_new((group, 0x3000), "OW", even(np.packbits(plane.astype(np.uint8), axis=None, bitorder="little").tobytes()))
    dataset.add_new((group, 0x0100), "US", 1)
    dataset.add_new((group, stored.OVERLAY_BIT_POSITION), "US", 0)
    if len(plane) > 1:
        dataset.add_new((group, 0x0015), "IS", len(plane))
        dataset.add_new((group, 0x0051), "US", 1)


def _swap(dataset: Dataset, element: pydicom.DataElement) -> None:  # noqa: ARG001  as Dataset.walk calls it
    if element.VR == "OW" and element.keyword != "PixelData" and isinstance(element.value, bytes):
        element.value = np.frombuffer(element.value, ">u2").astype("<u2").tobytes()


def _describe(dataset: Dataset, software: Software) -> None:
    source = Dataset()
    source.ReferencedSOPClassUID, source.ReferencedSOPInstanceUID = dataset.SOPClassUID, dataset.SOPInstanceUID
    source.PurposeOfReferenceCodeSequence = [_code(SOURCE)]
    dataset.SourceImageSequence = [source]
    series = dataset.get("SeriesInstanceUID") or dataset.SOPInstanceUID
    dataset.SOPInstanceUID, dataset.SeriesInstanceUID = (_uid(uid, software) for uid in (dataset.SOPInstanceUID, series))
    for keyword in WRONG:
        if keyword in dataset:
            delattr(dataset, keyword)
    dataset.ImageType = ["DERIVED", "SECONDARY", *list(dataset.get("ImageType") or [])[2:]]
    earlier = str(dataset.get("DerivationDescription") or "")
    dataset.DerivationDescription = f"{earlier + '; ' if earlier else ''}{software.description}"[-1024:]
    dataset.DerivationCodeSequence = [*(dataset.get("DerivationCodeSequence") or []), _code(SMOOTHING)]
    dataset.SeriesDescription = f"{str(dataset.get('SeriesDescription') or '')[: 64 - len(' denoised')]} denoised".strip()
    equipment = Dataset()
    equipment.PurposeOfReferenceCodeSequence = [_code(MODIFYING)]
    equipment.Manufacturer = equipment.ManufacturerModelName = software.name
    equipment.SoftwareVersions, equipment.ContributionDescription = software.version, software.description
    dataset.ContributingEquipmentSequence = [*(dataset.get("ContributingEquipmentSequence") or []), equipment]


def _uid(source: str, software: Software) -> UID:
    """A UID of one source and one way of denoising it, under the root for UUIDs (PS3.5 B.2)."""
    return UID(f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, f'{source} {software.name} {software.version} {software.settings}').int}")


def _code(code: tuple[str, str]) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodeMeaning = code
    item.CodingSchemeDesignator = "DCM"
    return item


def _written(dataset: Dataset, compress: bool) -> bytes:
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.preamble = b"\0" * 128  # the source's may be another format's header
    if compress:
        # a new UID would say that it is another image, and be another one from run to run
        dataset.compress(JPEGLSLossless, encoding_plugin=stored.PLUGINS[JPEGLSLossless], generate_instance_uid=False)
    file = BytesIO()
    pydicom.dcmwrite(file, dataset, enforce_file_format=True)
    return file.getvalue()
