"""System C: a convolutional autoencoder on cephalograms of 128x128 px against the 3x3 median filter, by SSIM in seven rows."""

from xraydenoise.evaluation import metrics
from xraydenoise.protocols import MEDIAN, Metric, Protocol, Published, Training, against, noises

ROWS = {  # y = clip(x + f N(mean, std)) and y = clip(x + f Poisson(lambda)); published SSIM of noisy, autoencoder, median
    "f.1_gaussian_0_1": ({"kind": "gaussian", "mean": 0.0, "sigma": 0.1, "clip": True}, (0.4299, 0.8825, 0.7133)),
    "f.1_gaussian_1_2": ({"kind": "gaussian", "mean": 0.1, "sigma": 0.2, "clip": True}, (0.2240, 0.8068, 0.4683)),
    "f.2_gaussian_0_1": ({"kind": "gaussian", "mean": 0.0, "sigma": 0.2, "clip": True}, (0.2321, 0.8029, 0.4844)),
    "f.2_gaussian_1_2": ({"kind": "gaussian", "mean": 0.2, "sigma": 0.4, "clip": True}, (0.0986, 0.7022, 0.2652)),
    "f.5_gaussian_0_1": ({"kind": "gaussian", "mean": 0.0, "sigma": 0.5, "clip": True}, (0.0789, 0.6625, 0.2146)),
    "f.2_poisson_1": ({"kind": "additive_poisson", "factor": 0.2, "rate": 1.0, "clip": True}, (0.2518, 0.8428, 0.4284)),
    "f.2_poisson_5": ({"kind": "additive_poisson", "factor": 0.2, "rate": 5.0, "clip": True}, (0.2159, 0.6118, 0.2350)),
}
METHODS = ("noisy", "autoencoder", MEDIAN)

PROTOCOL = Protocol(
    title="C: convolutional autoencoder against the median filter on 128x128 px",
    published_on="ISBI 2015 cephalograms",
    track="noise",
    size=128,
    conditions=noises({name: noise for name, (noise, _) in ROWS.items()}),
    metrics={"SSIM": Metric(metrics.ssim), "PSNR, dB": Metric(metrics.psnr)},
    networks={
        "autoencoder": Published(
            "Adam 0.001, constant rate, batch 64, 150 epochs of 1,280 pictures (320, each five times, less a fifth for validation): 3,000 "
            "steps",
            [({"channels": (64, 32)}, "71,169")],
            Training("adam", 0.001, 64, "mse", steps=150 * 1280 // 64),
        )
    },
    published=against(
        (method, name, "SSIM", value) for name, (_, values) in ROWS.items() for method, value in zip(METHODS, values, strict=True)
    ),
    note="The autoencoder is one network a row, as published; the others are one network over all rows.",
)
