"""System B: a U-Net on dental X-rays of 64x64 px, scored by binary cross-entropy above its floor."""

import numpy as np

from xraydenoise.evaluation import metrics
from xraydenoise.protocols import Metric, Protocol, Published, Training, against, noises

SMALLEST = 1e-7  # probability that a logarithm sees at least, as Keras has it


def bce_above_floor(prediction: np.ndarray, target: np.ndarray) -> float:
    """Binary cross-entropy (nats) of gray values taken as probabilities, less that of the target against itself: 0 is the best."""
    return _bce(prediction, target) - _bce(target, target)


def _bce(prediction: np.ndarray, target: np.ndarray) -> float:
    p = np.clip(prediction.astype(np.float64), SMALLEST, 1 - SMALLEST)
    return float(-np.mean(target * np.log(p) + (1 - target) * np.log(1 - p)))


MEANING = (
    "binary cross-entropy (nats) of gray values taken as probabilities, less that of the target against itself, so 0 is the best; "
    "published are .5709 and .556, whose difference stands in brackets"
)

PROTOCOL = Protocol(
    title="B: U-Net on 64x64 px",
    published_on="dental X-rays",
    track="noise",
    size=64,
    conditions=noises({"gaussian_10": {"kind": "gaussian", "mean": 0.0, "sigma": 0.1, "clip": True}}),
    metrics={"BCE above floor": Metric(bce_above_floor, meaning=MEANING), "SSIM": Metric(metrics.ssim), "PSNR, dB": Metric(metrics.psnr)},
    networks={
        "unet": Published(
            "Adam 0.001, constant rate, batch 10, 10 epochs of 90 % of the pictures, whose number is not known",
            [({"channels": (64, 128, 256), "bottleneck": 512, "unshuffle": 1, "residual": False, "batch_norm": False}, "7,781,761")],
            Training("adam", 0.001, 10, "bce", steps=None),
        )
    },
    published=against([("unet", "gaussian_10", "BCE above floor", 0.5709 - 0.556)]),
)
