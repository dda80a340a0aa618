"""A trained network as a function of pictures of any size, type and range: each is brought to what the network knows, and back.

`denoise`, the Python API, the registered model and the stages that score all call this, so that what is scored is what people get. The
file travels with registered models.
"""

from pathlib import Path
from typing import Literal, get_args

import cv2
import numpy as np
import torch
from torch import nn

from xraydenoise import models
from xraydenoise.device import Device, bf16_supported, pick
from xraydenoise.models.tiles import tiled

Precision = Literal["auto", "bf16", "fp32"]

ROBUST = (0.5, 99.5)  # percentiles that become 0 and 1; noise widens them with the picture, so that its sigma stays below .2
BEYOND = 0.5  # how far outside [0, 1] values go to the network; what lies further out keeps its distance
STILL = 7  # px, side of a square of one value, in which there is no noise to take away: a collimated border, burned-in letters
CHANNELS = 4  # at most, gray or colour with opacity; no radiograph is so narrow


class Denoiser:
    """A trained network as a function of NumPy arrays."""

    def __init__(self, name: str, network: nn.Module, digest: str, precision: Precision = "auto", strength: float = 1.0) -> None:
        """`network` stays on its device, which decides what `auto` is: bf16 where the hardware has it, else fp32.

        `name` and `digest`, the sha256 of its weights, are for people. Raises ValueError for another precision, and for a `strength`
        that is no share of the noise.
        """
        if not 0 <= strength <= 1:  # so written, NaN is refused too
            raise ValueError(f"strength: {strength} is not a share of the noise; expected 0 to 1")
        if precision not in get_args(Precision):
            raise ValueError(f"precision: {precision!r} is unknown; expected {', '.join(get_args(Precision))}")
        self.name, self.digest, self.strength = name, digest, strength
        self.device = next(network.parameters()).device
        half = precision == "bf16" or (precision == "auto" and bf16_supported(self.device))
        self.precision = torch.bfloat16 if half else torch.float32
        self._network = network

    @property
    def settings(self) -> str:
        """All that a result depends on beside the pixels and the make of the device."""
        return f"sha256 {self.digest}, {str(self.precision).removeprefix('torch.')}, strength {self.strength:g}"

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """The same picture or pictures without noise: the same type, the same shape.

        `pixels` is one gray picture (H, W) or several, (B, H, W) or (B, 1, H, W), of uint8, uint16 or floats. Only the order of their
        values counts, not their scale: 12 bits stored in 16, a dim exposure or values in any unit come out as well as a picture that fills
        [0, 1]. Each picture is brought to a range of its own. Integers come out rounded, floats that lie in [0, 1] stay there, and
        other floats (noise that was not clipped) may take any value. Where a square of 7 x 7 px holds one value, it keeps it.
        Raises ValueError naming the type or shape that it cannot take, or that values are NaN or infinite.
        """
        check(pixels)
        pictures = pixels.reshape(-1, *pixels.shape[-2:])
        return np.stack([self._denoised(picture) for picture in pictures]).reshape(pixels.shape)

    def noise(self, values: np.ndarray, padding: np.ndarray | None = None) -> np.ndarray:
        """What is to be taken away from `values`, a finite (H, W) of any unit: float32 (H, W) of the same unit.

        It is 0 where `padding`, bool (H, W), is true, and the intensities there count for nothing.
        """
        values = values.astype(np.promote_types(values.dtype, np.float32))  # float64 may hold small steps on a large offset
        still = _still(values) if padding is None else _still(values) | padding
        low, high = _range(values[~still])
        if low == high:
            return np.zeros(values.shape, np.float32)
        shown = ((values - low) / (high - low)).clip(-BEYOND, 1 + BEYOND).astype(np.float32)
        shown[still] = shown[still].clip(0, 1)  # a border far below the anatomy: the network knows none, and would err beside it
        noise: np.ndarray = (shown - tiled(self._run, shown)) * np.float32((high - low) * self.strength)
        noise[still] = 0
        return noise

    def _denoised(self, picture: np.ndarray) -> np.ndarray:
        clean: np.ndarray = picture - self.noise(picture)  # (H, W)
        if picture.dtype.kind == "u":
            clean = np.rint(clean).clip(0, np.iinfo(picture.dtype).max)
        elif picture.min() >= 0 and picture.max() <= 1:
            clean = clean.clip(0, 1)
        return clean.astype(picture.dtype)

    def _run(self, shown: np.ndarray) -> np.ndarray:
        batch = torch.from_numpy(np.ascontiguousarray(shown))[None, None].to(self.device)  # (1, 1, H, W)
        with (
            torch.inference_mode(),
            torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False),
            torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == torch.bfloat16),
        ):
            return np.asarray(self._network(batch)[0, 0].float().cpu())


def trained(folder: Path, device: Device = "auto") -> Denoiser:
    """The trained network in `folder` as a function of pictures. Raises what `models.load` and `device.pick` raise."""
    return Denoiser(str(folder), models.load(folder, pick(device)), models.digest(folder))


def check(pixels: np.ndarray) -> None:
    """Raise ValueError naming the type, shape or values that make no gray pictures."""
    if not isinstance(pixels, np.ndarray) or not (
        pixels.dtype in (np.uint8, np.uint16) or (pixels.dtype.kind == "f" and pixels.dtype.itemsize <= 8)
    ):
        found = pixels.dtype if isinstance(pixels, np.ndarray) else type(pixels).__name__
        raise ValueError(f"pixels must be a NumPy array of uint8, uint16 or floats of up to 64 bits, found {found}")
    last = pixels.ndim in (3, 4) and 0 < pixels.shape[-1] <= CHANNELS
    if last or pixels.size == 0 or not (pixels.ndim in (2, 3) or (pixels.ndim == 4 and pixels.shape[1] == 1)):
        told = ", which looks like channels last; give gray pictures without" if last else ""
        raise ValueError(f"pixels must be of shape (H, W), (B, H, W) or (B, 1, H, W), found {pixels.shape}{told}")
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        raise ValueError(f"{np.count_nonzero(~np.isfinite(pixels))} of {pixels.size} pixels are NaN or infinite; replace them first")


def _still(values: np.ndarray) -> np.ndarray:
    """Squares of STILL px, or the parts of them that lie within the picture, that hold one value: bool (H, W)."""
    square = np.ones((STILL, STILL), np.uint8)
    centres = cv2.erode(values, square) == cv2.dilate(values, square)
    return cv2.dilate(centres.astype(np.uint8), square).astype(bool)


def _range(values: np.ndarray) -> tuple[float, float]:
    """The values that become 0 and 1; the same one twice where there is nothing to tell apart."""
    if values.size == 0:
        return 0.0, 0.0
    low, high = (float(value) for value in np.percentile(values, ROBUST))
    return (low, high) if low < high else (float(values.min()), float(values.max()))
