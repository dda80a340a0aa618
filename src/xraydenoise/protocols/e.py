"""System E: autoencoders with and without skip connections on chest X-rays of 64x64 px, and learning without clean targets."""

from xraydenoise.evaluation import metrics
from xraydenoise.protocols import Metric, Protocol, noises

PROTOCOL = Protocol(
    title="E: autoencoders on 64x64 px, and training without clean targets",
    published_on="chest-xray-pneumonia (no figures were published that this project knows)",
    track="noise",
    size=64,
    conditions=noises(
        {  # .2 N(0, variance) with variance .1, .2 and .5; sigma_25 is 25 of 255 and not clipped, as Stein's risk needs it
            "easy": {"kind": "gaussian", "mean": 0.0, "sigma": 0.2 * 0.1**0.5, "clip": True},
            "medium": {"kind": "gaussian", "mean": 0.0, "sigma": 0.2 * 0.2**0.5, "clip": True},
            "hard": {"kind": "gaussian", "mean": 0.0, "sigma": 0.2 * 0.5**0.5, "clip": True},
            "salt_and_pepper_3": {"kind": "salt_and_pepper", "density": 0.03, "salt": 0.5},
            "salt_and_pepper_10": {"kind": "salt_and_pepper", "density": 0.1, "salt": 0.5},
            "salt_and_pepper_25": {"kind": "salt_and_pepper", "density": 0.25, "salt": 0.5},
            "sigma_25": {"kind": "gaussian", "mean": 0.0, "sigma": 0.098, "clip": False},
        }
    ),
    metrics={"PSNR, dB": Metric(metrics.psnr), "SSIM": Metric(metrics.ssim)},
    note="The original wraps noisy pixels modulo 256; here they are clipped.",
)
