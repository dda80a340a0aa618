from concurrent.futures import Executor

import numpy as np
import pytest
from pydantic import TypeAdapter

from xraydenoise.evaluation import baselines, metrics
from xraydenoise.evaluation.baselines.tuning import between, climb

CONFIG: TypeAdapter[baselines.Baseline] = TypeAdapter(baselines.BaselineConfig)
VARIATION = {"kind": "total_variation", "weights": [0.03, 0.1, 0.3]}


def pairs_of(clean: np.ndarray, sigma: float, clip: bool = True) -> list[tuple[np.ndarray, np.ndarray]]:
    noise = np.random.default_rng(0).standard_normal((3, *clean.shape))
    noisy = (clean + sigma * noise).astype(np.float32)
    return [(one, clean) for one in (np.clip(noisy, 0, 1) if clip else noisy)]


def mean(denoise: baselines.Denoiser, pairs: list[tuple[np.ndarray, np.ndarray]]) -> float:
    return float(np.mean([metrics.score(denoise(noisy), target).psnr for noisy, target in pairs]))


@pytest.mark.parametrize(
    "entry", [VARIATION, {"kind": "bilateral", "spaces": [1.0, 2.0, 4.0], "tones": [0.1, 0.3, 0.9]}], ids=lambda entry: entry["kind"]
)
def test_what_is_fitted_is_at_least_as_good_as_every_number_named(entry: dict[str, object], clean: np.ndarray, pool: Executor) -> None:
    baseline, pairs = CONFIG.validate_python(entry), pairs_of(clean, 0.15)
    named = max(mean(denoise, pairs) for denoise in baseline.settings().values())
    assert mean(baselines.fit(baseline, pairs, pool).denoise, pairs) >= named


def test_a_number_between_two_that_are_named_is_found(clean: np.ndarray, pool: Executor) -> None:
    found = baselines.fit(CONFIG.validate_python({"kind": "wavelet", "sigmas": [0.04, 0.4]}), pairs_of(clean, 0.1, clip=False), pool)
    assert found.setting.startswith("sigma=0.")
    assert 0.08 < float(found.setting.removeprefix("sigma=")) < 0.2


def test_a_size_is_one_of_those_named(clean: np.ndarray, pool: Executor) -> None:
    found = baselines.fit(CONFIG.validate_python({"kind": "median", "sizes": [3, 9]}), pairs_of(clean, 0.1), pool)
    assert found.setting in ("size=3", "size=9")


def test_calibration_lifts_a_picture_whose_noise_is_clipped(clean: np.ndarray, pool: Executor) -> None:
    pairs = pairs_of(clean, 0.3)
    plain, calibrated = (baselines.fit(CONFIG.validate_python({**VARIATION, "calibrate": flag}), pairs, pool) for flag in (False, True))
    assert mean(calibrated.denoise, pairs) > mean(plain.denoise, pairs) + 1


def test_a_brightness_that_noise_adds_is_taken_off_by_calibration_alone(clean: np.ndarray, pool: Executor) -> None:
    pairs = [(noisy + 0.2, target) for noisy, target in pairs_of(0.5 * clean, 0.05, clip=False)]
    plain, calibrated = (baselines.fit(CONFIG.validate_python({**VARIATION, "calibrate": flag}), pairs, pool) for flag in (False, True))
    assert mean(plain.denoise, pairs) < 15
    assert mean(calibrated.denoise, pairs) > 30


def test_a_fit_is_the_same_every_time(clean: np.ndarray, pool: Executor) -> None:
    one, same = (baselines.fit(CONFIG.validate_python({**VARIATION, "calibrate": True}), pairs_of(clean, 0.1), pool) for _ in range(2))
    assert one.setting == same.setting
    np.testing.assert_array_equal(one.denoise(clean), same.denoise(clean))


def test_climbing_reaches_the_top_of_a_slanted_hill_without_seeing_it_all() -> None:
    axes, seen = [tuple(range(20)), tuple(range(30))], set()

    def height(place: tuple[float, ...]) -> float:
        seen.add(place)
        return -((place[0] - 4) ** 2) - (place[1] - 25) ** 2 - 0.5 * (place[0] - 4) * (place[1] - 25)

    assert climb(axes, (10, 15), height) == (4, 25)
    assert len(seen) < 100


def test_between_stays_inside_the_named_numbers() -> None:
    assert between((0.1, 0.2, 0.4), 0.2) == (0.1, 0.141, 0.2, 0.283, 0.4)
    assert between((0.1, 0.2, 0.4), 0.4) == (0.2, 0.283, 0.4)
    assert between((0.1,), 0.1) == (0.1,)


def test_more_noise_asks_for_more_smoothing(clean: np.ndarray, pool: Executor) -> None:
    little, much = (baselines.fit(CONFIG.validate_python(VARIATION), pairs_of(clean, sigma), pool).setting for sigma in (0.04, 0.3))
    assert float(little.removeprefix("weight=")) < float(much.removeprefix("weight="))


def test_a_single_setting_needs_no_picture_unless_it_is_calibrated(pool: Executor) -> None:
    single = {"kind": "median", "sizes": [5]}
    assert baselines.fit(CONFIG.validate_python(single), [], pool).setting == "size=5"
    with pytest.raises(ValueError, match="no val picture to fit median on"):
        baselines.fit(CONFIG.validate_python({**single, "calibrate": True}), [], pool)


def test_several_settings_and_no_picture_is_an_error(pool: Executor) -> None:
    median = CONFIG.validate_python({"kind": "median", "sizes": [3, 5, 7]})
    with pytest.raises(ValueError, match="no val picture to fit median on; give val a share"):
        baselines.fit(median, [], pool)
