"""The pixel store: many pictures of any size in one flat .npy, memory-mapped; full scale is 65535, MONOCHROME2."""

import contextlib
import io
import os
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import numpy as np
import torch
from torch import Tensor

from xraydenoise import disk
from xraydenoise.data.depth import FULL_SCALE

HEADER = 128  # bytes; numpy pads the header of a flat array to this


class Writer:
    """Appends pictures to a store; the file appears under its name only when the store is complete.

    uint16 is what stores hold; float32 is for values that leave [0, 1]. With `kept`, writing goes on behind so many values of an earlier
    run that was killed, and what is there stays when this run fails; without, the store is new and nothing is left of a failure.
    """

    def __init__(self, path: Path, dtype: type[np.uint16] | type[np.float32] = np.uint16, kept: int | None = None) -> None:
        self.path, self.dtype, self.size, self.kept = path, np.dtype(dtype), kept or 0, kept
        self.partial = partial(path)

    def __enter__(self) -> "Writer":
        with disk.naming(self.path):
            self.file = self.partial.open("r+b" if self.kept else "wb")
            self.file.truncate(HEADER + self.size * self.dtype.itemsize)
            self.file.seek(0, os.SEEK_END)
        return self

    def append(self, pixels: np.ndarray) -> int:
        """Store one picture (H, W): float in [0, 1] or uint16 at full scale; returns its offset.

        Raises ValueError for another shape or dtype, for NaN or infinity, and for values a uint16 store cannot hold.
        """
        if pixels.ndim != 2 or pixels.size == 0:
            raise ValueError(f"{self.path}: a picture has shape (H, W), found {pixels.shape}")
        pixels = quantize(pixels) if self.dtype == np.uint16 else unclipped(pixels)
        offset = self.size
        with disk.naming(self.path):
            self.file.write(np.ascontiguousarray(pixels).data)
        self.size += pixels.size
        return offset

    def flush(self) -> None:
        """Hand what was appended to the system, where it survives a kill of this process."""
        with disk.naming(self.path):
            self.file.flush()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        whole = False
        try:
            with disk.naming(self.path), contextlib.closing(self.file):
                if kind is None:
                    self.file.seek(0)
                    header = {"descr": self.dtype.str, "fortran_order": False, "shape": (self.size,)}
                    np.lib.format.write_array_header_1_0(self.file, header)
                    assert self.file.tell() == HEADER, f"numpy wrote a header of {self.file.tell()} bytes, not {HEADER}"
            whole = kind is None
        finally:
            if whole:
                self.partial.replace(self.path)
            elif self.kept is None:
                self.partial.unlink()


def partial(path: Path) -> Path:
    """Where a store lies while it is not complete."""
    return path.with_name(path.name + ".partial")


def unfinished(path: Path) -> BinaryIO:
    """The values that a killed run left in the store that it wrote to `path`, as bytes to read; none where there is no such store."""
    left = partial(path)
    if not left.exists():
        return io.BytesIO()
    file = left.open("rb")
    file.seek(HEADER)
    return file


def npy(array: np.ndarray) -> bytes:
    """The content of a .npy file; np.save onto a file loses the reason for which a disk takes no more of it."""
    written = io.BytesIO()
    np.save(written, array, allow_pickle=False)
    return written.getvalue()


def quantize(pixels: np.ndarray) -> np.ndarray:
    """Float pixels in [0, 1] as uint16 at full scale, rounded to nearest; uint16 as it is. Raises ValueError outside [0, 1] and for NaN."""
    if pixels.dtype == np.uint16:
        return pixels
    if not np.issubdtype(pixels.dtype, np.floating):
        raise ValueError(f"pixels must be float in [0, 1] or uint16, found {pixels.dtype}")
    low, high = float(pixels.min()), float(pixels.max())
    if not (low >= 0 and high <= 1):
        raise ValueError(f"pixels must lie in [0, 1], found {low} to {high}")
    rounded: np.ndarray = np.rint(pixels * FULL_SCALE)
    return rounded.astype(np.uint16)


def unclipped(pixels: np.ndarray) -> np.ndarray:
    """Float pixels of any value as float32. Raises ValueError for other dtypes, NaN and infinity."""
    if not np.issubdtype(pixels.dtype, np.floating) or not np.isfinite(pixels).all():
        raise ValueError(f"pixels must be finite floats, found {pixels.dtype} {float(pixels.min())} to {float(pixels.max())}")
    return pixels.astype(np.float32)


def read(store: np.ndarray, offset: int, height: int, width: int) -> np.ndarray:
    """One picture of an open store as float32 (H, W), 1.0 = full scale."""
    pixels: np.ndarray = store[offset : offset + height * width].reshape(height, width)
    return pixels.astype(np.float32) / FULL_SCALE if pixels.dtype == np.uint16 else np.array(pixels)


def open_store(path: Path) -> np.ndarray:
    """The flat store at `path`, memory-mapped and read-only."""
    store: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    return store


def resident(store: np.ndarray, device: torch.device) -> Tensor:
    """A whole store on `device` as one flat tensor: float32 as it is, uint16 as int16 (torch has few operations on uint16), for `scale`."""
    pixels = np.array(store)
    return torch.from_numpy(pixels.view(np.int16) if pixels.dtype == np.uint16 else pixels).to(device)


def scale(pixels: Tensor) -> Tensor:
    """int16 pixels gathered from a resident store -> float32, 1.0 = full scale; any shape."""
    return (pixels.to(torch.int32) & FULL_SCALE).to(torch.float32) / FULL_SCALE
