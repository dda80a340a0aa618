from concurrent.futures import Executor, ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from scipy.ndimage import median_filter
from skimage.restoration import denoise_tv_chambolle

from xraydenoise.evaluation import baselines, metrics

CONFIG: TypeAdapter[baselines.Baseline] = TypeAdapter(baselines.BaselineConfig)
ENTRIES = [
    {"kind": "noisy"},
    {"kind": "median", "sizes": [3, 5, 7]},
    {"kind": "total_variation", "weights": [0.05, 0.1, 0.3]},
]


@pytest.fixture
def pool() -> Executor:
    return ThreadPoolExecutor(2)


def step(sigma: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Noisy and clean picture of a soft edge."""
    clean = np.tile(np.clip(np.linspace(-1, 2, 48), 0.1, 0.9), (40, 1)).astype(np.float32)
    noise = np.random.default_rng(seed).standard_normal(clean.shape)
    return np.clip(clean + sigma * noise, 0, 1).astype(np.float32), clean


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry["kind"])
def test_every_setting_keeps_shape_type_and_input(entry: dict[str, object]) -> None:
    noisy, _ = step(0.1)
    before = noisy.copy()
    for denoise in CONFIG.validate_python(entry).settings().values():
        denoised = denoise(noisy)
        assert denoised.shape == noisy.shape
        assert denoised.dtype == np.float32
        np.testing.assert_array_equal(noisy, before)


@given(st.sampled_from([3, 5, 7, 9]), st.integers(9, 20), st.integers(9, 20), st.integers(0, 2**31))
@examples(max_examples=20, deadline=None)
def test_the_median_is_exact_and_reflects_borders_at_every_size(size: int, height: int, width: int, seed: int) -> None:
    noisy = np.random.default_rng(seed).random((height, width), dtype=np.float32)
    np.testing.assert_array_equal(baselines.median(noisy, size), median_filter(noisy, size, mode="reflect"))


def test_doing_nothing_gives_the_noisy_picture() -> None:
    noisy, _ = step(0.1)
    np.testing.assert_array_equal(CONFIG.validate_python({"kind": "noisy"}).settings()[""](noisy), noisy)


@pytest.mark.parametrize("sigma", [0.1, 0.2])
def test_total_variation_is_not_stopped_short(sigma: float) -> None:
    noisy, clean = step(sigma)
    ours = CONFIG.validate_python({"kind": "total_variation", "weights": [0.2]}).settings()["weight=0.2"](noisy)
    converged = denoise_tv_chambolle(noisy.astype(np.float64), weight=0.2, eps=1e-9, max_num_iter=5000)
    assert metrics.psnr(ours, clean) > metrics.psnr(converged, clean) - 0.3


def test_tuning_takes_the_setting_with_the_best_mean_psnr(pool: Executor) -> None:
    settings = CONFIG.validate_python(ENTRIES[2]).settings()
    pairs = [step(0.15, seed) for seed in range(3)]
    means = {name: np.mean([metrics.score(denoise(noisy), clean).psnr for noisy, clean in pairs]) for name, denoise in settings.items()}
    assert baselines.tune(settings, pairs, pool) == max(means, key=means.__getitem__)


def test_more_noise_asks_for_more_smoothing(pool: Executor) -> None:
    settings = CONFIG.validate_python(ENTRIES[2]).settings()
    little, much = (list(settings).index(baselines.tune(settings, [step(sigma)], pool)) for sigma in (0.03, 0.3))
    assert little < much


def test_a_single_setting_needs_no_picture_to_be_chosen_on(pool: Executor) -> None:
    assert baselines.tune(CONFIG.validate_python({"kind": "median", "sizes": [5]}).settings(), [], pool) == "size=5"


def test_several_settings_and_no_picture_is_an_error(pool: Executor) -> None:
    with pytest.raises(ValueError, match=r"no val picture to choose among size=3, size=5, size=7"):
        baselines.tune(CONFIG.validate_python(ENTRIES[1]).settings(), [], pool)


def test_the_ends_of_the_weights_are_known() -> None:
    variation = CONFIG.validate_python(ENTRIES[2])
    assert [name for name in variation.settings() if variation.at_end(name)] == ["weight=0.05", "weight=0.3"]
    assert not CONFIG.validate_python({"kind": "total_variation", "weights": [0.1]}).at_end("weight=0.1")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"kind": "median", "sizes": [3, 4]}, r"\[4\]"),
        ({"kind": "median", "sizes": []}, "at least 1"),
        ({"kind": "total_variation", "weights": [0.2, 0.1]}, "rise"),
        ({"kind": "total_variation", "weights": [0.0, 0.1]}, "greater than 0"),
        ({"kind": "bm3d"}, "bm3d"),
        ({"kind": "noisy", "sizes": [3]}, "sizes"),
    ],
)
def test_a_wrong_entry_is_refused(entry: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        CONFIG.validate_python(entry)
