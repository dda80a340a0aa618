"""The registered model, as MLflow runs it from this very file, with the weights and the code of the network beside it.

`predict` takes an array of one picture (H, W) or of several, (B, H, W) or (B, 1, H, W), gray, dense tissue bright (MONOCHROME2): unsigned
integers (uint8, uint16), whose largest value is full scale, or floats in [0, 1]. It gives back the same shape as float32 in [0, 1].
"""

from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import torch
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from xraydenoise import models


class Denoiser(PythonModel):
    """A trained network that takes and gives NumPy arrays."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load the weights, onto a GPU where there is one."""
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.network = models.load(Path(context.artifacts["trained"]), self.device)

    def predict(self, context: PythonModelContext, model_input: np.ndarray, params: dict[str, Any] | None = None) -> np.ndarray:  # noqa: ARG002
        """The denoised picture or pictures. Raises ValueError naming the type, shape or values that it cannot take."""
        noisy = scaled(model_input)
        pictures = torch.from_numpy(noisy.reshape(-1, 1, 1, *noisy.shape[-2:]))  # (B, 1, 1, H, W): one at a time, as memory is finite
        with torch.inference_mode():
            denoised = [self.network(picture.to(self.device)).clamp(0, 1).float().cpu() for picture in pictures]
        return torch.stack(denoised).numpy().reshape(noisy.shape)


def scaled(pixels: Any) -> np.ndarray:
    """Pixels as float32, 1.0 = full scale. Raises ValueError for what is no such picture."""
    if not isinstance(pixels, np.ndarray) or pixels.dtype.kind not in "uf":
        found = pixels.dtype if isinstance(pixels, np.ndarray) else type(pixels).__name__
        raise ValueError(f"pixels must be a NumPy array of uint8, uint16 or floats in [0, 1], found {found}")
    if pixels.size == 0 or not (pixels.ndim in (2, 3) or (pixels.ndim == 4 and pixels.shape[1] == 1)):
        raise ValueError(f"pixels must be of shape (H, W), (B, H, W) or (B, 1, H, W), found {pixels.shape}")
    if pixels.dtype.kind == "u":
        return (pixels / np.iinfo(pixels.dtype).max).astype(np.float32)
    low, high = float(pixels.min()), float(pixels.max())
    if not (low >= 0 and high <= 1):  # so written, NaN is refused too
        raise ValueError(f"float pixels must lie in [0, 1], found {low:g} to {high:g}; divide them by their full scale")
    return pixels.astype(np.float32)


mlflow.models.set_model(Denoiser())
