import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from xraydenoise import contracts

# dB above the noisy picture of each method, by track: what every made-up score below follows
LIFTS = {
    "noise": {"noisy": 0.0, "median": 8.0, "small": 9.0, "large": 11.0},
    "enhanced": {"noisy": 0.0, "median": 5.0, "large_enhanced": 6.0},
}


@pytest.fixture
def make_scores() -> Callable[..., pd.DataFrame]:
    """Made-up scores of two conditions: `patients` of val and of test, two pictures each, methods a known distance apart."""

    def make(patients: int = 6) -> pd.DataFrame:
        rng = np.random.default_rng(0)
        rows = []
        for track, lifts in LIFTS.items():
            for split in ("val", "test"):
                for number in range(2 * patients):
                    for condition, base in (("gaussian_10", 20.0), ("gaussian_20", 14.0)):
                        start = base + rng.standard_normal()
                        for method, lift in lifts.items():
                            psnr = start + lift + (0.2 * rng.standard_normal() if method not in ("noisy", "median") else 0)
                            setting = "size=5" if method == "median" else ""
                            patient = f"{split}_{number // 2}"
                            quality = {"psnr": psnr, "ssim": psnr / 50, "mse": 10 ** (-psnr / 10), "ms_ssim": psnr / 45, "edges": 0.5}
                            label = (psnr - 3, 0.5) if track == "enhanced" else (math.nan, math.nan)
                            rows.append(
                                (method, track, condition, split, f"{patient}_{number}", patient, setting, *quality.values(), *label)
                            )
        return pd.DataFrame(rows, columns=list(contracts.Scores.to_schema().columns))

    return make
