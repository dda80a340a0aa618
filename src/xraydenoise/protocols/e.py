"""System E: autoencoders with and without skip connections on chest X-rays of 64x64 px, and learning without clean targets."""

from xraydenoise.evaluation import metrics
from xraydenoise.protocols import Metric, Protocol, Published, Training, noises

STEPS = 100 * -(-5216 // 32)  # 100 epochs in batches of 32, as published, of chest-xray-pneumonia's train split, as we assume
TOLD = (
    f"RMSprop 0.0001, batch 32, 100 epochs; our assumption: a constant rate, and 5,216 pictures (the data set's train split), so {STEPS:,} "
    "steps"
)

SHAPE = {"channels": (32, 64), "kernel": 3}  # of the autoencoder and the variational autoencoder; kernel 4 mends it

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
    networks={
        "dense_autoencoder": Published(
            TOLD, [(SHAPE | {"side": 64, "code": 150}, "2,525,719")], Training("rmsprop", 0.0001, 32, "bce", STEPS)
        ),
        "vae": Published(
            TOLD,
            [
                (SHAPE | {"side": side, "code": code}, "1,600,613" if (side, code) == (64, 50) else "")
                for side in (64, 128)
                for code in (10, 40, 50)
            ],
            Training("rmsprop", 0.0001, 32, "elbo", STEPS),
        ),
        "skip_autoencoder": Published("not known here", [({"channels": (64, 64, 128, 256, 518), "last": 64}, "12,634,631")]),
        "red_net": Published("not known here", [({"channels": 64, "depth": depth, "unshuffle": 1}, "") for depth in (10, 20, 30)]),
    },
    note="The original wraps noisy pixels modulo 256; here they are clipped.",
)
