"""System A: denoising after enhancement, scored against Real-ESRGAN's labels by the authors' own metrics and by the common ones.

On the 26 pairs of input and label that the authors published, their SSIM is .930 in the mean. Those pictures are not part of this project,
so .930 is not verified here; the metric is tested on cases computed by hand.
"""

import cv2
import numpy as np

from xraydenoise.evaluation import metrics
from xraydenoise.protocols import Metric, Protocol, Published, against, noises

BATCH = 8  # pictures whose squared errors the authors' PSNR takes together
CONSTANT = 0.02  # of the authors' SSIM, for luminance and contrast both; the usual ones are .0001 and .0009 on [0, 1]
WINDOW, SIGMA = 11, 1.5  # px, side and standard deviation of its Gaussian window


def own_error(prediction: np.ndarray, target: np.ndarray) -> float:
    """Mean squared error of one picture on [-1, 1]."""
    return 4 * metrics.mse(prediction, target)


def own_psnr(errors: np.ndarray) -> float:
    """PSNR in dB with a peak of 1 on [-1, 1], which reads 6.02 dB low: of the mean of every 8 `errors` in turn, then the mean of those.

    The pictures have one size, so the mean of their errors is that of the batch; the last batch may have fewer. At most `metrics.CAP`.
    """
    batches = [errors[start : start + BATCH].mean() for start in range(0, len(errors), BATCH)]
    return float(np.mean([-10 * np.log10(max(batch, 10 ** (-metrics.CAP / 10))) for batch in batches]))


def own_ssim(prediction: np.ndarray, target: np.ndarray) -> float:
    """SSIM of pictures that are stretched each by itself, both constants .02, over the valid area of a Gaussian window of 11x11 px.

    Raises ValueError where a side is below 11 px.
    """
    if min(target.shape) < WINDOW:
        raise ValueError(f"picture of {target.shape[0]}x{target.shape[1]} px is smaller than the window of {WINDOW}x{WINDOW} px")
    x, y = stretched(prediction), stretched(target)
    mean_x, mean_y, xx, yy, xy = (_blurred(part) for part in (x, y, x * x, y * y, x * y))
    similar = (2 * mean_x * mean_y + CONSTANT) * (2 * (xy - mean_x * mean_y) + CONSTANT)
    whole = (mean_x**2 + mean_y**2 + CONSTANT) * (xx - mean_x**2 + yy - mean_y**2 + CONSTANT)
    return float(np.mean(similar / whole))


def stretched(pixels: np.ndarray) -> np.ndarray:
    """(H, W) in [0, 1], taken to [-1, 1], shifted by its minimum where that is negative there, and divided by its maximum; all 0 stays."""
    shifted = 2 * pixels.astype(np.float64) - 1
    shifted -= min(shifted.min(), 0.0)
    return np.asarray(shifted / (shifted.max() or 1.0))


def _blurred(pixels: np.ndarray) -> np.ndarray:
    """Means under the window where all of it lies on the picture: (H, W) -> (H - 10, W - 10)."""
    edge = WINDOW // 2
    return np.asarray(cv2.GaussianBlur(pixels, (WINDOW, WINDOW), SIGMA)[edge:-edge, edge:-edge])


PSNR_MEANING = (
    "the authors': pictures on [-1, 1], peak 1, so it reads 6.02 dB low; of the mean squared error over batches of "
    f"{BATCH} pictures in the order of their ids, then the mean over batches"
)
SSIM_MEANING = (
    "the authors': each picture on [-1, 1] shifted by its own minimum where that is negative and divided by its own maximum; Gaussian "
    f"window of {WINDOW}x{WINDOW} px, sigma {SIGMA}, without the border that it does not cover; both constants {CONSTANT}. It does not "
    "see a change of contrast, and reads high. The mean of the authors' 26 published pairs, input against label, is .930, which is "
    "not verified here"
)

PROTOCOL = Protocol(
    title="A: EUDnCNN after enhancement",
    published_on="enhanced chest X-rays: thirteen presets",
    track="enhanced",
    size=None,
    conditions=noises({"system_a": {"kind": "system_a", "peak": 256.0, "blur": 0.5, "gaussian": 0.5, "sigma": 0.1}}),
    position="after",
    metrics={
        "own PSNR, dB": Metric(own_error, own_psnr, PSNR_MEANING),
        "own SSIM": Metric(own_ssim, meaning=SSIM_MEANING),
        "PSNR, dB": Metric(metrics.psnr),
        "SSIM": Metric(metrics.ssim),
    },
    networks={
        "eudncnn": Published(
            "Adam 0.001, a tenth of it every 7 epochs, batch 8, best at epoch 13; of how many pictures is not known",
            [({"channels": 32, "depth": 8}, "151,326")],
        )
    },
    published=against([("eudncnn", "system_a", "own PSNR, dB", 21.33), ("eudncnn", "system_a", "own SSIM", 0.9483)]),
    note="The target is a label: Real-ESRGAN's picture of the plain radiograph, enhanced exactly as the input was. Agreement with it is "
    "not quality. The noise is drawn as the authors drew it, after the enhancement.",
)
