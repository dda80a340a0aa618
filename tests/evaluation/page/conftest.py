"""A report's content as the stages hand it over, and the page made of it in a browser."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from xraydenoise.evaluation import page
from xraydenoise.evaluation.report import Chapter, Section

METHODS = {"unet": 3.0, "dncnn": 2.5, "median": 0.0, "bilateral": -0.5, "noisy": -8.0}  # dB over the median filter
ROWS = pd.DataFrame({"method": ["<b>autoencoder"], "one": ["0.8200 (0.8825)"]})
NASTY = '<img src=x onerror="window.hacked=1">\'&amp;\n\u202e</script>.png'
HEIGHT, WIDTH = 48, 64


def drawn(seed: int) -> dict[str, np.ndarray]:
    """A bright disc on a ramp, noise on it, and two ways to take some of it away."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    truth = (0.2 + 0.4 * columns / WIDTH + 0.3 * ((rows - 24) ** 2 + (columns - 20) ** 2 < 100)).astype(np.float32)
    noise = 0.1 * rng.standard_normal(truth.shape).astype(np.float32)
    steps = {"noisy": noise, "median": 0.5 * noise, "unet": 0.2 * noise, "dncnn": 0.3 * noise}
    return {name: np.clip(truth + step, 0, 1) for name, step in steps.items()} | {"truth": truth}


def made_case(kind: str, condition: str = "gaussian_20", image: str = "image-1", seed: int = 0) -> page.Case:
    psnr = {"noisy": 20.0, "median": 26.02, "unet": 33.98, "dncnn": 30.46}
    return page.Case("noise", condition, kind, image, "patient-7", drawn(seed), psnr)


def rank() -> pd.DataFrame:
    rows = []
    for split in ("val", "test"):
        for condition, base in (("all", 28.123456), ("gaussian_20", 26.0), ("quantum_30", 30.2)):
            for place, (method, gain) in enumerate(METHODS.items()):
                row = {
                    "track": "noise",
                    "split": split,
                    "condition": condition,
                    "method": method,
                    "images": 24,
                    "pictures": 24,
                    "patients": 8,
                }
                row |= {"psnr": base + gain, "ssim": 0.8 + gain / 100, "mse": 10 ** (-(base + gain) / 10), "group": "aabcd"[place]}
                for name, value in (("gain_psnr", gain), ("gain_ssim", gain / 100)):
                    row |= {name: value, f"{name}_low": value * 0.9, f"{name}_high": value * 1.1}
                rows.append(row)
    return pd.DataFrame(rows)


def sweep() -> pd.DataFrame:
    levels = {"gaussian": (0.05, 0.1, 0.2), "quantum": (10.0, 50.0, 100.0)}
    rows = [(family, method, level, 28 + gain) for family, own in levels.items() for method, gain in METHODS.items() for level in own]
    frame = pd.DataFrame(rows, columns=["family", "method", "level", "psnr"])
    return frame.assign(psnr_low=frame["psnr"] - 1, psnr_high=frame["psnr"] + 1)


@pytest.fixture
def layers() -> Callable[[int], dict[str, np.ndarray]]:
    """The layers of a picture by a seed, (48, 64)."""
    return drawn


@pytest.fixture
def case() -> Callable[..., page.Case]:
    """A case of a kind: best, median or worst."""
    return made_case


@pytest.fixture
def content() -> page.Content:
    return page.Content(
        seed=3,
        test_set="0123abcd",
        confidence=0.95,
        resamples=10000,
        warnings=["test has 8 patients <few>"],
        ranking=rank(),
        chosen={"noise": "unet"},
        champions=["noise"],
        baselines=["noisy", "median", "bilateral"],
        curves=sweep(),
        cases=[made_case("best"), made_case("worst", seed=1), made_case("median", "quantum_30", NASTY + "\udcff", seed=2)],
        audit=pd.DataFrame({"image": ["r1", "r2", "r3"], "preset": "dark", "shift": [0.01, -0.2, 0.0], "vetoed": [False, True, False]}),
        worst_labels=[page.LabelPair("r2", "shift -0.2", drawn(3)["noisy"], drawn(3)["truth"])],
        leakage={
            "leaks": [],
            "splits": {
                "train": {"pictures": 9, "patients": 3, "identity": "f00"},
                "test": {"pictures": 24, "patients": 8, "identity": "ba5"},
            },
            "threshold": 0.95,
            "nearest_across_splits": [{"similarity": 0.81, "first": "a/1", "second": "b/2", "splits": "train, test"}],
            "joined": [],
            "pairs": [],
        },
        card={
            "identity": "feed",
            "pictures": 33,
            "patients": 11,
            "datasets": {"inbox": {"kind": "folder", "bits": {"8": 33}, "spacing": []}},
        },
        quarantine=pd.DataFrame({"source": ["inbox"], "file": [NASTY], "reason": ["truncated"], "detail": ["the file ends early"]}),
        protocols=[
            Chapter(
                "Protocol <C>",
                ["Small networks: 1 of 1"],
                [Section("What was trained", "", ROWS), Section("SSIM", "why", ROWS), Section("PSNR, dB", "", ROWS)],
            )
        ],
    )


@pytest.fixture
def show(visit: Callable[[Path], Any], tmp_path: Path) -> Callable[[page.Content], Any]:
    """Open the page of some content."""

    def show(content: page.Content) -> Any:
        page.write(tmp_path / "report.html", content)
        return visit(tmp_path / "report.html")

    return show
