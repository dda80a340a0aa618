"""Pictures as data URIs: always lossless, for a viewer must not show what a codec did as if a denoiser had done it."""

import base64

import cv2
import numpy as np

SCREEN = 255  # the gray levels of a screen
LONGEST = 16383  # px, a side of the largest WebP
LOSSLESS = (cv2.IMWRITE_WEBP_QUALITY, 101)  # above 100 is lossless; 3 to 20 % smaller than PNG on noisy and on denoised radiographs


def centre(pixels: np.ndarray, side: int) -> np.ndarray:
    """The middle of (H, W), at most `side` px in each direction."""
    top, left = (max(0, (length - side) // 2) for length in pixels.shape)
    return pixels[top : top + side, left : left + side]


def uri(grays: np.ndarray) -> str:
    """A picture (H, W) of uint8 or uint16 as lossless WebP.

    WebP and a browser's canvas hold 8 bits a channel: of uint16, red is the upper byte and green the lower, as viewer.js expects.
    """
    if grays.dtype == np.uint16:
        grays = cv2.merge([np.zeros(grays.shape, np.uint8), (grays & 255).astype(np.uint8), (grays >> 8).astype(np.uint8)])  # BGR
    encoded = cv2.imencode(".webp", grays, LOSSLESS)[1]
    return f"data:image/webp;base64,{base64.b64encode(encoded.tobytes()).decode('ascii')}"
