"""The frames of a DICOM file, one by one, and the first of them as people look at it."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames

from xraydenoise.data import dicom
from xraydenoise.data.dicom import stored
from xraydenoise.data.picture import Refused, check_size

MAX_MEGAPIXELS = 1000.0  # of all frames of a file, which are held at once


class First(NamedTuple):
    """The first frame of a file."""

    values: np.ndarray  # integers (H, W), as they are stored
    padding: np.ndarray | None  # bool (H, W)
    inverted: bool  # low values are shown bright
    frames: int  # in the file


def frames(dataset: Dataset) -> Iterator[Dataset]:
    """The file of each frame by itself. Raises Refused: too_large, truncated."""
    count, syntax = _count(dataset), dataset.file_meta.TransferSyntaxUID
    if count == 1:
        yield dataset
        return
    check_size(count * int(dataset.Rows), int(dataset.Columns), MAX_MEGAPIXELS)
    size = int(dataset.Rows) * int(dataset.Columns) * int(dataset.BitsAllocated) // 8
    if syntax in stored.NATIVE:
        if len(dataset.PixelData) < count * size:
            raise Refused("truncated", f"{len(dataset.PixelData)} bytes of pixels; {count} frames take {count * size}")
        parts = (even(dataset.PixelData[start : start + size]) for start in range(0, count * size, size))
    else:
        parts = (encapsulate([part]) for part in generate_frames(dataset.PixelData, number_of_frames=count))
    for part in parts:
        frame = dataset[:]
        frame.file_meta = dataset.file_meta
        frame.add_new("PixelData", "OW", part)  # an element of its own, where assignment would change that of the whole file
        frame.add_new("NumberOfFrames", "IS", 1)
        yield frame


def first(data: bytes, max_megapixels: float) -> First:
    """The first frame of the file `data`, which `derived.derived` takes or has made: its stored values. Raises as `dicom.opened` does."""
    dataset = dicom.opened(data, max_megapixels)
    values, _, _, padding = stored.whole(next(frames(dataset)))
    slope = dataset.get("RescaleSlope")
    dark = dataset.PhotometricInterpretation == "MONOCHROME1" or dataset.get("PresentationLUTShape") == "INVERSE"
    return First(values, padding, dark != (slope is not None and slope < 0), _count(dataset))


def even(data: bytes) -> bytes:
    """`data` padded to an even length, as every element is."""
    return data + b"\0" * (len(data) % 2)


def _count(dataset: Dataset) -> int:
    return int(dataset.get("NumberOfFrames") or 1)
