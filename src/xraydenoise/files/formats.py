"""One file's bytes -> those of the same file without noise: DICOM, PNG, JPEG (as PNG), BMP, TIFF and .npy, known by their first bytes."""

from importlib.metadata import version
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np

from xraydenoise.data import bmp, decode, jpeg, magic, png, tiff
from xraydenoise.data.dicom import derived
from xraydenoise.data.picture import Refused, gray
from xraydenoise.inference import Denoiser

MAX_MEGAPIXELS = 100.0  # of a picture; detectors of 43 x 43 cm have 18
SUFFIXES = (".bmp", ".dcm", ".dicom", ".jpeg", ".jpg", ".npy", ".png", ".tif", ".tiff")
WRITTEN = {png.MAGIC: ".png", jpeg.MAGIC: ".png", bmp.MAGIC: ".bmp", **dict.fromkeys(tiff.MAGICS, ".tiff")}  # as OpenCV wants it
NPY = b"\x93NUMPY"


def denoised(path: Path, denoise: Denoiser, compress: bool = False) -> bytes:
    """The content of the file that `path` becomes: the same size and depth, in the same format unless that is JPEG.

    Gray that is stored as colour comes out as gray, and a TIFF whose white is zero as one whose black is. What a file holds beside its
    pixels (EXIF, resolution) is left out, except of a DICOM file, which becomes a derived image, with `compress` in JPEG-LS without loss.
    Raises Refused for a file that holds no gray picture, and ValueError for an array that `Denoiser` cannot take.
    """
    try:
        content = decode.content(path, MAX_MEGAPIXELS)
        if magic.begins(content):
            return derived.derived(content, MAX_MEGAPIXELS, denoise.noise, software(denoise), compress)
        return _array(content, denoise) if content.startswith(NPY) else _raster(content, denoise)
    except Refused as error:
        if error.reason == "too_large":  # its detail names a parameter of the pipeline
            raise Refused(error.reason, f"more than {MAX_MEGAPIXELS:g} megapixels") from error
        raise


def software(denoise: Denoiser) -> derived.Software:
    """What a DICOM file says of how it was denoised."""
    release = version("xraydenoise")
    told = f"Noise taken away by xraydenoise {release}, weights {Path(denoise.name).name} ({denoise.settings}). Not for diagnostic use."
    return derived.Software("xraydenoise", release, denoise.settings, told)


def raster(content: bytes) -> np.ndarray:
    """The pixels of a file other than DICOM and .npy, (H, W) of uint8, uint16 or floats. Raises Refused."""
    pixels, bits = decode.raster(content, MAX_MEGAPIXELS)
    if bits != 8 * pixels.dtype.itemsize:
        raise Refused("depth", f"{bits} bits that are packed; save it with 16")
    return gray(pixels, 1 if pixels.dtype.kind == "f" else 2**bits - 1)


def array(content: bytes) -> np.ndarray:
    """The array of a .npy file, which is never run as a program. Raises Refused."""
    try:
        return np.asarray(np.load(BytesIO(content), allow_pickle=False))
    except (ValueError, EOFError) as error:
        raise Refused("damaged", f".npy that NumPy cannot read: {' '.join(str(error).split())}") from error


def native(pixels: np.ndarray) -> np.ndarray:
    """The same values in this machine's byte order."""
    return pixels.astype(pixels.dtype.newbyteorder("="), copy=False)


def _raster(content: bytes, denoise: Denoiser) -> bytes:
    clean = denoise(raster(content))
    suffix = next(suffix for begin, suffix in WRITTEN.items() if content.startswith(begin))
    return cv2.imencode(suffix, clean)[1].tobytes()


def _array(content: bytes, denoise: Denoiser) -> bytes:
    pixels = array(content)
    written = BytesIO()
    np.save(written, denoise(native(pixels)).astype(pixels.dtype))
    return written.getvalue()
