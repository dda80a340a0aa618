from collections.abc import Callable
from functools import partial

import cv2
import numpy as np
import pytest
from skimage.restoration import denoise_tv_chambolle

from xraydenoise.evaluation.audits import Audit, AuditConfig, added_detail, audits, deterministic, finite, flat_fields
from xraydenoise.evaluation.baselines import Denoiser, median

LIMITS = AuditConfig(added_detail=0.03, fixed_pattern=0.01, noise_gain=2)


@pytest.fixture
def clean() -> np.ndarray:
    """A soft ramp with ribs and a bright plate, without noise."""
    rows, columns = np.mgrid[:128, :160].astype(np.float32)
    picture = 0.2 + columns / 400 + 0.1 * np.sin(rows / 6)
    picture[40:80, 60:110] += 0.3
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), 1.0))


def adding(pattern: Callable[[int, int], np.ndarray]) -> Denoiser:
    """A good denoiser that adds a pattern of its own."""
    return lambda noisy: (cv2.GaussianBlur(noisy, (0, 0), 2) + pattern(*noisy.shape)).astype(np.float32)


def checkerboard(height: int, width: int) -> np.ndarray:
    return 0.02 * (np.indices((height, width)).sum(axis=0) % 2 * 2.0 - 1)


def texture(height: int, width: int) -> np.ndarray:
    return cv2.GaussianBlur(np.random.default_rng(1).standard_normal((height, width)), (0, 0), 1.5) * 0.4


def blotches(height: int, width: int) -> np.ndarray:
    return cv2.GaussianBlur(np.random.default_rng(2).standard_normal((height, width)), (0, 0), 5) * 1.5


GOOD: dict[str, Denoiser] = {
    "nothing": np.copy,
    "blur": lambda noisy: cv2.GaussianBlur(noisy, (0, 0), 2),
    "median": partial(median, size=5),
    "total variation": partial(denoise_tv_chambolle, weight=0.2),
}
BAD: dict[str, tuple[Denoiser, set[str]]] = {
    "checkerboard": (adding(checkerboard), {"fixed_pattern", "noise_gain"}),
    "texture": (adding(texture), {"added_detail", "fixed_pattern"}),
    "blotches": (adding(blotches), {"added_detail", "fixed_pattern"}),
    "sharpening": (lambda noisy: noisy + 2 * (noisy - cv2.GaussianBlur(noisy, (0, 0), 1.5)), {"added_detail", "noise_gain"}),
}


def found(denoise: Denoiser, clean: np.ndarray) -> dict[str, Audit]:
    return {audit.name: audit for audit in audits(denoise, [clean, np.rot90(clean).copy()], LIMITS, 0)}


@pytest.mark.parametrize("name", GOOD)
def test_a_method_that_only_takes_noise_away_passes_every_audit(name: str, clean: np.ndarray) -> None:
    assert [audit for audit in found(GOOD[name], clean).values() if not audit.passed] == []


@pytest.mark.parametrize("name", BAD)
def test_structure_of_a_denoisers_own_is_found(name: str, clean: np.ndarray) -> None:
    denoise, expected = BAD[name]
    failed = {name for name, audit in found(denoise, clean).items() if not audit.passed}
    assert expected <= failed <= {"added_detail", "fixed_pattern", "noise_gain"}


def test_removing_all_detail_adds_none(clean: np.ndarray) -> None:
    assert added_detail(lambda noisy: np.full_like(noisy, noisy.mean()), [clean], 0.03).value == 0


def test_added_detail_is_the_contrast_of_what_was_added() -> None:
    ripple = (0.1 * np.sin(np.arange(128) * np.pi / 2)[None, :] * np.ones((128, 1))).astype(np.float32)
    flat = np.full((128, 128), 0.5, np.float32)
    assert added_detail(lambda noisy: noisy + ripple, [flat], 0.03).value == pytest.approx(
        0.1 / np.sqrt(2), rel=0.1
    )  # a part lies in the next band


def test_the_fixed_pattern_is_the_patterns_standard_deviation_whatever_the_noise() -> None:
    pattern, gain = flat_fields(lambda noisy: noisy + checkerboard(*noisy.shape).astype(np.float32), 0, 0.01, 2)
    assert pattern.value == pytest.approx(0.02, rel=0.15)
    assert not pattern.passed
    assert gain.value > 2


def test_noise_passed_on_has_a_gain_of_one_and_noise_doubled_of_four() -> None:
    assert flat_fields(np.copy, 0, 0.01, 2)[1].value == pytest.approx(1)
    doubled = flat_fields(lambda noisy: (noisy - noisy.mean()) * 2 + 0.5, 0, 0.01, 2)[1]
    assert doubled.value == pytest.approx(4, rel=0.1)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_method_that_breaks_on_an_extreme_is_found(value: float) -> None:
    def denoise(noisy: np.ndarray) -> np.ndarray:
        return np.where(noisy.min() == 1, value, noisy).astype(np.float32)

    audit = finite(denoise)
    assert not audit.passed
    assert audit.value == 128 * 128
    assert audit.detail.endswith("most for all 1")


def test_another_shape_counts_as_missing_pixels() -> None:
    assert not finite(lambda noisy: noisy[:-1]).passed


def test_nan_everywhere_fails_and_is_no_crash(clean: np.ndarray) -> None:
    assert {name for name, audit in found(lambda noisy: noisy * np.nan, clean).items() if not audit.passed} == {
        "finite",
        "added_detail",
        "fixed_pattern",
        "noise_gain",
    }


def test_a_method_that_draws_lots_is_found() -> None:
    rng = np.random.default_rng(0)
    noisy = np.full((16, 16), 0.5, np.float32)
    assert deterministic(np.copy, noisy).passed
    audit = deterministic(lambda pixels: (pixels + 1e-6 * rng.standard_normal(pixels.shape)).astype(np.float32), noisy)
    assert not audit.passed
    assert audit.value > 0


def test_the_same_seed_gives_the_same_findings(clean: np.ndarray) -> None:
    assert audits(GOOD["median"], [clean], LIMITS, 4) == audits(GOOD["median"], [clean], LIMITS, 4)


def test_no_clean_picture_is_an_error() -> None:
    with pytest.raises(ValueError, match="no clean picture"):
        audits(np.copy, [], LIMITS, 0)
