import numpy as np
import pytest

from xraydenoise.evaluation import metrics
from xraydenoise.evaluation.baselines.calibration import curve


def test_an_offset_and_a_lost_contrast_are_undone(clean: np.ndarray) -> None:
    corrected = curve([0.2 + 0.7 * clean], [clean])
    np.testing.assert_allclose(corrected(0.2 + 0.7 * clean), clean, atol=0.01)


def test_the_mean_of_clipped_noise_is_undone(clean: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    clipped = np.mean([np.clip(clean + 0.3 * rng.standard_normal(clean.shape), 0, 1) for _ in range(400)], axis=0)
    assert metrics.score(clipped, clean).psnr < 30
    assert metrics.score(curve([clipped], [clean])(clipped), clean).psnr > 36


def test_brighter_stays_brighter_whatever_it_learnt_from() -> None:
    rng = np.random.default_rng(0)
    corrected = curve([rng.random((40, 40))], [rng.random((40, 40))])
    assert (np.diff(corrected(np.linspace(-1, 2, 500))) >= 0).all()


def test_it_goes_on_beyond_what_it_has_seen() -> None:
    seen = np.linspace(0.3, 0.6, 900, dtype=np.float32).reshape(30, 30)
    corrected = curve([seen + 0.1], [seen])
    np.testing.assert_allclose(corrected(np.array([[0.0, 1.0]])), [[-0.1, 0.9]], atol=0.01)


@pytest.mark.parametrize("level", [0.0, 0.4])
def test_constant_pictures_teach_an_offset(level: float) -> None:
    corrected = curve([np.full((8, 8), level, np.float32)], [np.full((8, 8), 0.1, np.float32)])
    np.testing.assert_allclose(corrected(np.full((8, 8), level + 0.2)), 0.3, atol=1e-6)
