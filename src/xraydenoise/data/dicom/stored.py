"""The stored values of a DICOM picture, out of any container and transfer syntax, each bit of them and none beside (PS3.5 8.1, 8.2)."""

import os
import threading
from tempfile import TemporaryFile
from typing import Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.encaps import get_frame
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.utils import as_pixel_options
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from xraydenoise.data import jpeg
from xraydenoise.data.dicom import codestream
from xraydenoise.data.picture import Refused, gray

NATIVE = frozenset({ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian})
JPEGS = frozenset({JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLossless, JPEGLosslessSV1})
JPEGS_LS = frozenset({JPEGLSLossless, JPEGLSNearLossless})
JPEGS_2000 = frozenset({JPEG2000Lossless, JPEG2000, HTJ2KLossless, HTJ2KLosslessRPCL, HTJ2K})
PLUGINS = {  # one each, so that pixels do not depend on what else is installed
    **dict.fromkeys(NATIVE, ""),
    RLELossless: "pydicom",  # pylibjpeg's is faster, but panics on damaged data with an error that is no Exception
    **dict.fromkeys(JPEGS, "gdcm"),
    **dict.fromkeys(JPEGS_LS, "pyjpegls"),
    **dict.fromkeys(JPEGS_2000, "pylibjpeg"),
}
DEPTHS = range(8, 17)  # bits
HEARING = threading.Lock()  # one thread at a time has the process's stderr
CORRUPT = b"Corrupt JPEG data"  # how libjpeg begins to tell of damage
OVERLAYS = range(0x6000, 0x6020, 2)  # groups
OVERLAY_BIT_POSITION = 0x0102
PADDING_BITS = 16  # of PixelPaddingValue, whose VR is US or SS
Whole = tuple[np.ndarray, int, tuple[int, int], np.ndarray | None]


def check_syntax(syntax: UID) -> None:
    """Raise Refused for a transfer syntax that no installed plugin decodes, such as a video's."""
    if syntax not in PLUGINS:
        raise Refused("transfer_syntax", f"{syntax.name} is not supported; save it as JPEG 2000 or uncompressed")


def real(dataset: Dataset) -> tuple[np.ndarray, int]:
    """FloatPixelData or DoubleFloatPixelData: float (H, W) and its bits, 32 or 64. Raises Refused: transfer_syntax."""
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax not in NATIVE:  # PS3.5 A.4 compresses PixelData alone
        raise Refused("transfer_syntax", f"real numbers in {syntax.name}; save them uncompressed")
    values = _run(syntax, dataset)
    return values, 8 * values.dtype.itemsize


def whole(dataset: Dataset) -> Whole:
    """PixelData: integers (H, W), their bits, the least and greatest value that these allow, and where the padding is, if there is any.

    Raises Refused: colour, damaged, depth, range, truncated.
    """
    return within(dataset, container(dataset))


def container(dataset: Dataset) -> np.ndarray:
    """PixelData as it is allocated, integers (H, W): the stored bits and what lies beside them. Raises Refused, as `whole` does."""
    bits, high_bit, allocated = int(dataset.BitsStored), int(dataset.HighBit), int(dataset.BitsAllocated)
    if bits not in DEPTHS or not bits - 1 <= high_bit < allocated:
        raise Refused("depth", f"{bits} bits stored up to bit {high_bit} of {allocated}; expected 8 to 16 stored and room for them")
    return gray(_decoded(dataset), limits(dataset)[1])


def within(dataset: Dataset, values: np.ndarray) -> Whole:
    """What `whole` gives, of a `container` that was read already; 0 where the padding is."""
    bits, high_bit = int(dataset.BitsStored), int(dataset.HighBit)
    signed, ends = dataset.PixelRepresentation == 1, limits(dataset)
    if high_bit != bits - 1 or overlaid(dataset):
        values = _only(values, bits, high_bit)
    padding = padded(dataset, values)
    if padding is not None:
        values = np.where(padding, values.dtype.type(0), values)  # it may lie outside the stored bits
    if signed and ends[1] < values.max() <= 2**bits - 1:  # the sign was not carried on upward
        values = _only(values, bits, bits - 1)
    return values, bits, ends, padding  # bits in use beyond these mean a wrong depth: `rescale` refuses, since dropping them would wrap


def overlaid(dataset: Dataset) -> list[tuple[int, int]]:
    """Group and bit of each overlay that lies in the bits beside the stored ones, as the standard allowed until 2004."""
    positions = [(group, dataset[group, OVERLAY_BIT_POSITION].value) for group in OVERLAYS if (group, OVERLAY_BIT_POSITION) in dataset]
    return [(group, int(bit)) for group, bit in positions if bit]


def limits(dataset: Dataset) -> tuple[int, int]:
    """The least and the greatest value that the stored bits allow."""
    bits = int(dataset.BitsStored)
    return (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if dataset.PixelRepresentation == 1 else (0, 2**bits - 1)


def _decoded(dataset: Dataset) -> np.ndarray:
    """(H, W) or (H, W, 3) in the container's type, colours as RGB."""
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax in NATIVE:
        return _run(syntax, dataset)
    frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
    height, width, samples = int(dataset.Rows), int(dataset.Columns), int(dataset.get("SamplesPerPixel") or 1)
    if syntax == RLELossless:
        codestream.check_run_lengths(frame, height * width, samples * int(dataset.BitsAllocated) // 8)
        return _run(syntax, dataset)
    if syntax in JPEGS_2000:
        codestream.check_jpeg_2000(frame, height, width, samples)
        return _run(syntax, dataset)
    header = codestream.check_jpeg(frame, height, width, samples)
    if header.lossy and header.precision < dataset.BitsStored:  # PS3.5 8.2.1 wants the same; fewer bits are other values, not small ones
        raise Refused("depth", f"JPEG of {header.precision} bit in the place of {dataset.BitsStored} stored bits")
    if syntax in JPEGS and header.precision == 8:
        pixels = jpeg.decode(frame, header)  # GDCM passes damaged data over
        if samples == 1:
            return pixels.view(np.int8) if dataset.PixelRepresentation == 1 else pixels
    if syntax == JPEGExtended12Bit:  # pydicom shuts GDCM out at 12 bit, which decodes it as it does baseline
        return _heard(JPEGBaseline8Bit, dataset.PixelData, **as_pixel_options(dataset))
    return _heard(syntax, dataset) if syntax in JPEGS else _run(syntax, dataset)


def _run(syntax: UID, source: Dataset | bytes, **options: Any) -> np.ndarray:
    options = {**options, "correct_unused_bits": False, "extended_offsets": None}  # a table could lead past the frame that was checked
    return np.asarray(get_decoder(syntax).as_array(source, index=0, decoding_plugin=PLUGINS[syntax], **options)[0])


def _heard(syntax: UID, source: Dataset | bytes, **options: Any) -> np.ndarray:
    """As `_run`, by GDCM, whose libjpeg goes on where coded data are damaged (bytes left over or missing in a scan) and tells only stderr.

    Raises Refused: damaged.
    """
    with HEARING, TemporaryFile() as said:
        kept = os.dup(2)
        os.dup2(said.fileno(), 2)
        try:
            values = _run(syntax, source, **options)
        finally:
            os.dup2(kept, 2)
            os.close(kept)
        said.seek(0)
        told = said.read()
    if CORRUPT in told:
        raise Refused("damaged", " ".join(told.decode(errors="replace").split()))
    os.write(2, told)  # another thread's
    return values


def _only(values: np.ndarray, bits: int, high_bit: int) -> np.ndarray:
    """The `bits` up to `high_bit`, carried on with their sign where the type has one."""
    allocated = 8 * values.dtype.itemsize
    return (values << (allocated - 1 - high_bit)) >> (allocated - bits)


def padded(dataset: Dataset, values: np.ndarray) -> np.ndarray | None:
    """Where pixels fill the picture up to a rectangle (PS3.3 C.7.5.1.1.2): bool (H, W), or None if nowhere."""
    if dataset.get("PixelPaddingValue") is None:
        return None
    limit = dataset.get("PixelPaddingRangeLimit")
    ends = [int(dataset.PixelPaddingValue), int(dataset.PixelPaddingValue if limit is None else limit)]
    kind = np.iinfo(values.dtype)
    if kind.bits == PADDING_BITS:  # some writers give -2000 as 63536
        ends = [(end - kind.min) % 2**PADDING_BITS + kind.min for end in ends]
    low, high = sorted(ends)
    if low < kind.min or high > kind.max:  # left over from another depth
        return None
    padding = (values >= low) & (values <= high)
    return padding if padding.any() else None
