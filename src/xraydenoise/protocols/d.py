"""System D: five papers' networks on CoronaHack chest X-rays under one Gaussian noise, by SSIM, PSNR and MSE."""

from xraydenoise.evaluation import metrics
from xraydenoise.protocols import Metric, Protocol, Published, against, noises

SIGMA = 0.165  # read off the charts as .16 to .17
CHARTS = {  # SSIM, PSNR in dB, MSE, read off bar charts
    "gondara": (0.80, 27.25, 0.0020),
    "dncnn": (0.45, 19.65, 0.0109),
    "ding_liu": (0.72, 27.5, 0.0017),
    "rdn": (0.72, 13.3, 0.0476),
    "stacked_autoencoder": (0.56, 16.3, 0.026),
}
METRICS = {"SSIM": Metric(metrics.ssim), "PSNR, dB": Metric(metrics.psnr), "MSE": Metric(metrics.mse)}

PROTOCOL = Protocol(
    title="D: five papers under one Gaussian noise",
    published_on="CoronaHack chest X-rays",
    track="noise",
    size=128,
    conditions=noises({"gaussian_165": {"kind": "gaussian", "mean": 0.0, "sigma": SIGMA, "clip": True}}),
    metrics=METRICS,
    networks={
        "gondara": Published(
            "batch 10, 100 epochs of 300 pictures; the optimiser is not known",
            [({"channels": (64, 128)}, "not known; its numbers of filters are uncertain")],
        ),
        "dncnn": Published(  # for one sigma, and the blind one for all up to 55 of 255
            "not known here", [({"channels": 64, "depth": depth, "unshuffle": 1, "batch_norm": True}, "") for depth in (17, 20)]
        ),
        "ding_liu": Published(
            "the denoiser first, then joined to a frozen classifier; rates are not known", [({"channels": 64}, "about 1.03 million")]
        ),
        "rdn": Published(
            "Adam 0.0001, L1; batch and epochs are not known",
            [({"channels": 64, "blocks": 16, "layers": 8, "growth": 64, "unshuffle": 1}, "about 22 million")],
        ),
        "stacked_autoencoder": Published("layer by layer, then all together; neither sizes nor rates are known", []),
    },
    published=against(
        (name, "gaussian_165", metric, value) for name, chart in CHARTS.items() for metric, value in zip(METRICS, chart, strict=True)
    ),
    note="The published bars come from networks that were trained too little to rank: their PSNR spans 14 dB.",
)
