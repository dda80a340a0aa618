from concurrent.futures import Executor

import numpy as np
import pytest
from scipy.stats import poisson

from xraydenoise.evaluation import baselines, metrics
from xraydenoise.evaluation.baselines.base import Baseline
from xraydenoise.evaluation.baselines.total_variation import Config as TotalVariation
from xraydenoise.evaluation.baselines.variance_stabilised import Config, forward, inverse
from xraydenoise.evaluation.baselines.wavelet import Config as Wavelet


def expected(photons: float, detector: float, power: int = 1) -> float:
    """The mean of forward(Poisson(photons) + N(0, detector^2)) to `power`, summed over counts and integrated over the detector's noise."""
    places, weights = np.polynomial.hermite_e.hermegauss(64)
    counts = np.arange(int(photons + 12 * np.sqrt(photons) + 30))
    values = forward(counts[:, None] + detector * places, detector) ** power
    return float((poisson.pmf(counts, photons)[:, None] * weights / weights.sum() * values).sum())


@pytest.mark.parametrize("detector", [0.0, 0.5, 1.0, 2.0, 5.0])
@pytest.mark.parametrize("photons", [0.2, 0.5, 1.0, 2.0, 5.0, 20.0, 100.0])
def test_the_inverse_has_no_bias_where_the_algebraic_one_has(photons: float, detector: float) -> None:
    mean = expected(photons, detector)
    assert float(inverse(np.array(mean), detector)) == pytest.approx(photons, abs=0.04)  # a quarter of a photon is the algebraic bias
    if photons >= 2:
        assert abs(mean**2 / 4 - 3 / 8 - detector**2 - photons) > 0.2


@pytest.mark.parametrize(("photons", "detector"), [(3.0, 0.0), (10.0, 0.0), (100.0, 0.0), (3.0, 2.0), (20.0, 3.0)])
def test_the_noise_behind_the_root_has_a_standard_deviation_of_one(photons: float, detector: float) -> None:
    assert expected(photons, detector, 2) - expected(photons, detector) ** 2 == pytest.approx(1, abs=0.08)


def test_no_light_comes_back_as_no_light() -> None:
    assert float(inverse(forward(np.array(0.0), 0.0), 0.0)) == pytest.approx(0, abs=1e-9)
    assert float(inverse(np.array(-3.0), 0.0)) == 0


@pytest.mark.parametrize("level", [0.1, 0.4, 0.9])
def test_an_even_field_of_photons_comes_back_at_its_own_brightness(level: float) -> None:
    method = TotalVariation(kind="total_variation", weights=(0.5,))
    denoise = Config(kind="variance_stabilised", peaks=(10.0,), detectors=(0.0,), method=method).settings()[
        "peak=10, detector=0, weight=0.5"
    ]
    noisy = np.random.default_rng(0).poisson(10 * level, (256, 256)).astype(np.float32) / 10
    assert float(denoise(noisy).mean()) == pytest.approx(level, abs=0.005)  # .025 is the algebraic inverse's error


def test_a_constant_picture_stays_constant() -> None:
    denoise = Config(
        kind="variance_stabilised", peaks=(30.0,), detectors=(0.0,), method=TotalVariation(kind="total_variation", weights=(0.1,))
    ).settings()["peak=30, detector=0, weight=0.1"]
    for level in (0.0, 0.3, 1.0):
        assert np.ptp(denoise(np.full((24, 30), level, np.float32))) < 1e-4


@pytest.mark.parametrize(
    "method",
    [TotalVariation(kind="total_variation", weights=(0.05, 0.1, 0.2)), Wavelet(kind="wavelet", sigmas=(0.05, 0.1, 0.2))],
    ids=lambda method: method.kind,
)
def test_detail_in_the_dark_is_told_from_photon_noise_better_behind_the_root(method: Baseline, pool: Executor) -> None:
    y, x = np.mgrid[:96, :96]
    clean = (np.where((x // 16 + y // 16) % 2, 0.8, 0.05) + 0.05 * ((x // 5 + y // 5) % 2)).astype(np.float32)
    rng = np.random.default_rng(0)
    pairs = [((rng.poisson(30 * clean) / 30).astype(np.float32), clean) for _ in range(3)]
    rooted = Config(kind="variance_stabilised", peaks=(30.0,), detectors=(0.0,), method=method)
    plain, stabilised = (
        np.mean([metrics.score(denoise(noisy), target).psnr for noisy, target in pairs])
        for denoise in (baselines.fit(baseline, pairs, pool).denoise for baseline in (method, rooted))
    )
    assert stabilised > plain + 0.3
