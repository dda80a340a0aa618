"""Artefacts of JPEG compression: y = decode(encode(x, quality)), 8-bit gray (ITU-T T.81), by OpenCV.

The only kind that leaves the device: pictures are compressed one by one on the CPU and go back. Only the quality is drawn, so one number
gives the same noise whatever the generator; a range gives each picture its own.
"""

from typing import Annotated, Literal

import cv2
import numpy as np
import torch
from torch import Tensor

from xraydenoise.noise import Amount, Noise, amount, within

LEVELS = 255  # of an 8-bit JPEG: the codec's own full scale, no file's or store's, which stand in data/


class Config(Noise):
    kind: Literal["jpeg"]
    quality: Annotated[Amount, within(1, 100)]  # on libjpeg's scale, rounded to a whole number; lower is coarser
    clip: Literal[True] = True  # nothing leaves [0, 1]

    @property
    def averages_out(self) -> bool:
        return False

    def degrade(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        qualities = amount(self.quality, clean, generator).flatten().round().int().tolist()
        pictures = (clean[:, 0] * LEVELS).round().to("cpu", torch.uint8).numpy()  # (B, H, W)
        decoded = np.stack([compressed(picture, quality) for picture, quality in zip(pictures, qualities, strict=True)])
        return torch.from_numpy(decoded)[:, None].to(clean.device, clean.dtype) / LEVELS


def compressed(picture: np.ndarray, quality: int) -> np.ndarray:
    """uint8 (H, W) -> the same, through a JPEG. Raises ValueError for a picture that JPEG cannot hold."""
    done, code = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = cv2.imdecode(code, cv2.IMREAD_GRAYSCALE) if done else None
    if decoded is None:
        raise ValueError(f"jpeg: a picture of {picture.shape[1]} x {picture.shape[0]} px; expected at most 65500 px a side")
    return decoded
