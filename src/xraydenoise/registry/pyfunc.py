"""The registered model, as MLflow runs it from this very file, with the weights and the code of the network beside it.

`predict` is `inference.Denoiser.__call__`, as `xraydenoise denoise` and the stages that score call it: an array of one gray picture (H, W)
or of several, (B, H, W) or (B, 1, H, W), of uint8, uint16 or floats, in; the same shape and type out.

Over REST (`mlflow models serve`) it takes gray PNG files of 8 or 16 bit and any sizes, as base64 text: {"inputs": ["iVBORw0...", ...]}, and
gives back such files of the same depth. JSON has no type for pixels, so nested lists of numbers are read as floats, and floats come out.
"""

import base64
import binascii
from pathlib import Path
from typing import Any

import cv2
import mlflow
import numpy as np
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from xraydenoise import checksums, inference
from xraydenoise.data import picture, png

MAX_MEGAPIXELS = 64.0  # of a PNG file, whose header could announce any size


class Denoiser(PythonModel):
    """A trained network that takes and gives NumPy arrays, or the text of PNG files."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load the weights, onto a GPU where there is one. Raises ValueError where a file of the model is not as it was registered."""
        folder = Path(context.artifacts["trained"])
        try:
            checksums.check(folder.parents[1])
        except (ValueError, OSError) as error:
            raise ValueError(f"the model is damaged: {error}; load another version, or register it again") from error
        self.denoise = inference.trained(folder)

    def predict(self, context: PythonModelContext, model_input: np.ndarray, params: dict[str, Any] | None = None) -> np.ndarray:  # noqa: ARG002
        """The denoised picture or pictures. Raises ValueError naming the type, shape or values that it cannot take."""
        if isinstance(model_input, np.ndarray) and model_input.dtype == object:  # what a server makes of JSON
            if model_input.size and all(isinstance(entry, str) for entry in model_input.flat):
                files = [self._file(text, place) for place, text in enumerate(model_input.flat)]
                return np.array(files, object).reshape(model_input.shape)
            model_input = numbers(model_input)
        return self.denoise(model_input)

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
        return base64.b64encode(cv2.imencode(".png", self.denoise(gray))[1].tobytes()).decode("ascii")


def numbers(entries: np.ndarray) -> np.ndarray:
    """JSON's numbers as float64. Raises ValueError where they are none, or of pictures of several sizes."""
    try:
        return entries.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError("inputs must be numbers in nested lists of equal length, or PNG files as base64 text") from error


mlflow.models.set_model(Denoiser())
