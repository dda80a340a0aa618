"""System A: denoising after enhancement, scored against Real-ESRGAN's labels by the authors' own metrics and by the common ones."""

import math

import cv2
import numpy as np

from xraydenoise.evaluation import metrics
from xraydenoise.protocols import Protocol, against, noises

CONSTANT = 0.02  # of the authors' SSIM, for luminance and contrast both; the usual ones are .0004 and .0036 on a range of 2


def own_psnr(prediction: np.ndarray, target: np.ndarray) -> float:
    """PSNR in dB of pictures on [-1, 1] with a peak of 1, which reads 6.02 dB low."""
    return metrics.psnr(prediction, target) - 20 * math.log10(2)


def own_ssim(prediction: np.ndarray, target: np.ndarray) -> float:
    """SSIM of pictures on [-1, 1] with both constants .02, which reads high; on 7x7 px, as the authors' window is not known."""
    x, y = (2 * pixels.astype(np.float64) - 1 for pixels in (prediction, target))
    mean_x, mean_y, xx, yy, xy = (cv2.boxFilter(part, -1, (7, 7), borderType=cv2.BORDER_REFLECT) for part in (x, y, x * x, y * y, x * y))
    similar = (2 * mean_x * mean_y + CONSTANT) * (2 * (xy - mean_x * mean_y) + CONSTANT)
    whole = (mean_x**2 + mean_y**2 + CONSTANT) * (xx - mean_x**2 + yy - mean_y**2 + CONSTANT)
    return float(np.mean(similar / whole))


PROTOCOL = Protocol(
    title="A: EUDnCNN after enhancement",
    published_on="enhanced cephalograms",
    track="enhanced",
    size=None,
    conditions=noises({"system_a": {"kind": "system_a", "peak": 256.0, "blur": 0.5, "gaussian": 0.5, "sigma": 0.1}}),
    metrics={"own PSNR, dB": own_psnr, "own SSIM": own_ssim, "PSNR, dB": metrics.psnr, "SSIM": metrics.ssim},
    published=against([("eudncnn", "system_a", "own PSNR, dB", 21.33), ("eudncnn", "system_a", "own SSIM", 0.9483)]),
    note="The target is Real-ESRGAN's label: this is agreement with labels, not quality.",
)
