from collections.abc import Callable

import numpy as np
import pytest

from xraydenoise.denoise import Denoiser, load_denoiser


@pytest.fixture(scope="session")
def denoise() -> Denoiser:
    return load_denoiser("fast", device="cpu", precision="fp32")


@pytest.fixture(scope="session")
def noisy() -> np.ndarray:
    """float64 (40, 56) in [0, 1]."""
    down, across = np.mgrid[:40, :56] / 25
    smooth = 0.5 + 0.3 * np.sin(down) * np.cos(across)
    return (smooth + np.random.default_rng(0).normal(0, 0.05, smooth.shape)).clip(0, 1)


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Callable[[], tuple[str, str]]:
    """What was written to stdout and stderr since the last call, with / between folders on every system."""

    def said() -> tuple[str, str]:
        out, err = capsys.readouterr()
        return out.replace("\\", "/"), err.replace("\\", "/")

    return said
