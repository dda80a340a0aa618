"""The registered model, as MLflow runs it from this very file, with the weights and the code of the network beside it.

`predict` takes an array of one picture (H, W) or of several, (B, H, W) or (B, 1, H, W), gray, dense tissue bright (MONOCHROME2): unsigned
integers (uint8, uint16), whose largest value is full scale, or floats in [0, 1]. It gives back the same shape as float32 in [0, 1].
(H, W, 1) and (H, W, 3), as many libraries read pictures, would pass for H pictures 1 or 3 px wide, and are refused.

Over REST (`mlflow models serve`) it takes gray PNG files of 8 or 16 bit and any sizes, as base64 text: {"inputs": ["iVBORw0...", ...]}, and
gives back such files of the same depth. JSON has no type for pixels, so nested lists of numbers are read as floats in [0, 1].
"""

import base64
import binascii
from pathlib import Path
from typing import Any

import cv2
import mlflow
import numpy as np
import torch
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from xraydenoise import models
from xraydenoise.data import picture, png

CHANNELS = 4  # at most, gray or colour with opacity; no radiograph is so narrow
MAX_MEGAPIXELS = 64.0  # of a PNG file, whose header could announce any size


class Denoiser(PythonModel):
    """A trained network that takes and gives NumPy arrays, or the text of PNG files."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load the weights, onto a GPU where there is one."""
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.network = models.load(Path(context.artifacts["trained"]), self.device)

    def predict(self, context: PythonModelContext, model_input: np.ndarray, params: dict[str, Any] | None = None) -> np.ndarray:  # noqa: ARG002
        """The denoised picture or pictures. Raises ValueError naming the type, shape or values that it cannot take."""
        if isinstance(model_input, np.ndarray) and model_input.dtype == object:  # what a server makes of JSON
            if model_input.size and all(isinstance(entry, str) for entry in model_input.flat):
                files = [self._file(text, place) for place, text in enumerate(model_input.flat)]
                return np.array(files, object).reshape(model_input.shape)
            model_input = numbers(model_input)
        return self._denoised(scaled(model_input))

    def _denoised(self, noisy: np.ndarray) -> np.ndarray:
        pictures = torch.from_numpy(noisy.reshape(-1, 1, 1, *noisy.shape[-2:]))  # (B, 1, 1, H, W): one at a time, as memory is finite
        with torch.inference_mode():
            denoised = [self.network(picture.to(self.device)).clamp(0, 1).float().cpu() for picture in pictures]
        return torch.stack(denoised).numpy().reshape(noisy.shape)

    def _file(self, text: str, place: int) -> str:
        """A PNG file as text -> the same picture denoised."""
        try:
            data = base64.b64decode(text, validate=True)
            if not data.startswith(png.MAGIC):
                raise ValueError(f"begins with {data[:8].hex(' ')}, as no PNG file does")
            pixels, bits = png.read(data, MAX_MEGAPIXELS)
            gray = picture.gray(pixels, 2**bits - 1)
        except (binascii.Error, ValueError, picture.Refused) as error:
            raise ValueError(f"inputs[{place}]: expected a gray PNG file as base64 text; {error}") from error
        denoised = np.rint(self._denoised(scaled(gray)) * (2**bits - 1)).astype(gray.dtype)
        return base64.b64encode(cv2.imencode(".png", denoised)[1].tobytes()).decode("ascii")


def numbers(entries: np.ndarray) -> np.ndarray:
    """JSON's numbers as float64. Raises ValueError where they are none, or of pictures of several sizes."""
    try:
        return entries.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError("inputs must be numbers in nested lists of equal length, or PNG files as base64 text") from error


def scaled(pixels: Any) -> np.ndarray:
    """Pixels as float32, 1.0 = full scale. Raises ValueError for what is no such picture."""
    if not isinstance(pixels, np.ndarray) or pixels.dtype.kind not in "uf":
        found = pixels.dtype if isinstance(pixels, np.ndarray) else type(pixels).__name__
        raise ValueError(f"pixels must be a NumPy array of uint8, uint16 or floats in [0, 1], found {found}")
    last = pixels.ndim in (3, 4) and 0 < pixels.shape[-1] <= CHANNELS
    if last or pixels.size == 0 or not (pixels.ndim in (2, 3) or (pixels.ndim == 4 and pixels.shape[1] == 1)):
        told = ", which looks like channels last; give gray pictures without" if last else ""
        raise ValueError(f"pixels must be of shape (H, W), (B, H, W) or (B, 1, H, W), found {pixels.shape}{told}")
    if pixels.dtype.kind == "u":
        return (pixels / np.iinfo(pixels.dtype).max).astype(np.float32)
    low, high = float(pixels.min()), float(pixels.max())
    if not (low >= 0 and high <= 1):  # so written, NaN is refused too
        raise ValueError(f"float pixels must lie in [0, 1], found {low:g} to {high:g}; divide them by their full scale, or send PNG files")
    return pixels.astype(np.float32)


mlflow.models.set_model(Denoiser())
