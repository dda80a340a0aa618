import numpy as np
import pytest
from skimage.restoration import denoise_tv_chambolle

from xraydenoise.evaluation import metrics
from xraydenoise.evaluation.baselines.total_variation import Config


@pytest.mark.parametrize("sigma", [0.1, 0.2])
def test_total_variation_is_not_stopped_short(sigma: float, clean: np.ndarray) -> None:
    noisy = np.clip(clean + sigma * np.random.default_rng(0).standard_normal(clean.shape), 0, 1).astype(np.float32)
    ours = Config(kind="total_variation", weights=(0.2,)).settings()["weight=0.2"](noisy)
    converged = denoise_tv_chambolle(noisy.astype(np.float64), weight=0.2, eps=1e-9, max_num_iter=5000)
    assert metrics.psnr(ours, clean) > metrics.psnr(converged, clean) - 0.1


def test_a_little_more_weight_changes_a_little() -> None:
    """What a stop by energy breaks: it comes tens of steps earlier or later."""
    rng = np.random.default_rng(0)
    clean = np.repeat(np.linspace(0.2, 0.8, 16), 8).astype(np.float32) * np.ones((128, 1), np.float32)
    noisy = (clean + 0.1 * rng.standard_normal(clean.shape)).astype(np.float32)
    weights = tuple(0.05 * 1.05**step for step in range(24))
    found = [metrics.psnr(denoise(noisy), clean) for denoise in Config(kind="total_variation", weights=weights).settings().values()]
    assert np.abs(np.diff(found, 2)).max() < 0.1
