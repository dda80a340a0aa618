"""Every kind by the same tests: a new one brings an entry to KINDS, and is missed if it does not."""

import importlib.util
import pkgutil
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from xraydenoise.evaluation import baselines, metrics

CONFIG: TypeAdapter[baselines.Baseline] = TypeAdapter(baselines.BaselineConfig)
KINDS: dict[str, dict[str, Any]] = {
    "bilateral": {"spaces": [1.0, 2.0], "tones": [0.2, 0.6]},
    "bm3d": {"sigmas": [0.05, 0.1]},
    "gaussian": {"sigmas": [0.7, 1.0, 1.5]},
    "median": {"sizes": [3, 5, 7]},
    "noisy": {},
    "non_local_means": {"sigmas": [0.05, 0.1, 0.2]},
    "total_variation": {"weights": [0.05, 0.1, 0.2]},
    "variance_stabilised": {"peaks": [20.0, 40.0], "detectors": [0.0, 0.05], "method": {"kind": "wavelet", "sigmas": [0.07, 0.14]}},
    "wavelet": {"sigmas": [0.05, 0.1, 0.2]},
}
HERE = [kind for kind in KINDS if kind != "bm3d" or importlib.util.find_spec("bm3d")]
SIZES = [(8, 8), (8, 41), (33, 9), (50, 64)]


def baseline(kind: str) -> baselines.Baseline:
    return CONFIG.validate_python({"kind": kind, **KINDS[kind]})


def noisy_of(clean: np.ndarray, kind: str) -> np.ndarray:
    """With the noise that the kind is made for: photons for what stabilises them, Gaussian for all others; not clipped."""
    rng = np.random.default_rng(0)
    if kind == "variance_stabilised":
        return (rng.poisson(30 * clean) / 30).astype(np.float32)
    return (clean + 0.1 * rng.standard_normal(clean.shape)).astype(np.float32)


def test_every_kind_in_the_room_is_among_those_tested_here() -> None:
    modules = pkgutil.iter_modules(baselines.__path__, f"{baselines.__name__}.")
    assert sorted(KINDS) == sorted(name.rpartition(".")[2] for _, name, _ in modules if hasattr(importlib.import_module(name), "Config"))


@pytest.mark.parametrize("kind", [kind for kind in HERE if kind != "noisy"])
def test_the_best_setting_is_better_than_doing_nothing(kind: str, clean: np.ndarray) -> None:
    noisy = noisy_of(clean, kind)
    best = max((denoise(noisy) for denoise in baseline(kind).settings().values()), key=lambda one: metrics.score(one, clean).psnr)
    assert metrics.score(best, clean).psnr > metrics.score(noisy, clean).psnr + 5
    assert metrics.score(best, clean).ssim > metrics.score(noisy, clean).ssim + 0.2


def test_doing_nothing_gives_the_noisy_picture(clean: np.ndarray) -> None:
    np.testing.assert_array_equal(baseline("noisy").settings()[""](clean), clean)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("kind", HERE)
def test_every_setting_takes_any_size_and_values_beyond_full_scale(kind: str, size: tuple[int, int]) -> None:
    noisy = (0.5 + np.random.default_rng(1).standard_normal(size)).astype(np.float32)
    before = noisy.copy()
    for denoise in baseline(kind).settings().values():
        denoised = denoise(noisy)
        assert denoised.shape == size
        assert denoised.dtype == np.float32
        assert np.isfinite(denoised).all()
        np.testing.assert_array_equal(noisy, before)


@pytest.mark.parametrize("kind", HERE)
def test_the_same_picture_gives_the_same_result(kind: str, clean: np.ndarray) -> None:
    noisy = noisy_of(clean, kind)
    for denoise in baseline(kind).settings().values():
        np.testing.assert_array_equal(denoise(noisy), denoise(noisy))


@pytest.mark.parametrize("level", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("kind", [kind for kind in HERE if kind != "variance_stabilised"])  # it takes the root's bias off: its own test
def test_a_constant_picture_stays_constant(kind: str, level: float) -> None:
    for denoise in baseline(kind).settings().values():
        np.testing.assert_allclose(denoise(np.full((24, 30), level, np.float32)), level, atol=1e-3)


@pytest.mark.parametrize("kind", HERE)
def test_borders_are_treated_like_the_rest(kind: str) -> None:
    rng = np.random.default_rng(2)
    frame = np.ones((48, 48), bool)
    frame[4:-4, 4:-4] = False
    errors = []
    for _ in range(6):
        noisy = (0.5 + 0.1 * rng.standard_normal((48, 48))).astype(np.float32)
        errors += [np.abs(denoise(noisy) - 0.5) for denoise in baseline(kind).settings().values()]
    mean = np.mean(errors, axis=0)
    assert mean[frame].mean() < 2 * mean[~frame].mean()


@pytest.mark.parametrize("kind", HERE)
def test_an_entry_survives_the_way_through_json(kind: str) -> None:
    one = baseline(kind)
    assert CONFIG.validate_python(CONFIG.dump_python(one, mode="json")) == one


def test_the_ends_of_a_scale_are_known_and_sizes_are_no_scale() -> None:
    variation = baseline("total_variation")
    assert [name for name in variation.settings() if variation.at_end(name)] == ["weight=0.05", "weight=0.2"]
    assert not variation.at_end("weight=0.0707")  # found between
    assert not CONFIG.validate_python({"kind": "total_variation", "weights": [0.1]}).at_end("weight=0.1")
    assert not baseline("median").at_end("size=7")
    assert not baseline("noisy").at_end("")


def test_behind_a_root_only_the_ends_of_the_method_count() -> None:
    stabilised = baseline("variance_stabilised")
    assert stabilised.at_end("peak=30, detector=0, sigma=0.14")
    assert not stabilised.at_end("peak=20, detector=0, sigma=0.1")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"kind": "median", "sizes": [3, 4]}, r"sizes: .*\[4\]"),
        ({"kind": "median", "sizes": []}, "sizes: .*at least 1"),
        ({"kind": "median", "sizes": [5, 3]}, "sizes: must rise"),
        ({"kind": "total_variation", "weights": [0.2, 0.1]}, "weights: must rise"),
        ({"kind": "total_variation", "weights": [0.0, 0.1]}, "weights.0: .*greater than 0"),
        ({"kind": "bilateral", "spaces": [1.0]}, "tones: Field required"),
        ({"kind": "wavelet", "sigmas": [0.1], "levels": 5}, "levels: Extra inputs"),
        ({"kind": "gaussian", "sigmas": ["much"]}, "sigmas.0: .*found 'much'"),
        ({"kind": "wiener"}, "kind: unknown; expected one of bilateral, .*, found 'wiener'"),
        ({"kind": "noisy", "sizes": [3]}, "sizes: Extra inputs"),
        ({"kind": "variance_stabilised", "peaks": [30.0], "detectors": [0.1, 0.0], "method": {"kind": "noisy"}}, "detectors: must rise"),
        (
            {"kind": "variance_stabilised", "peaks": [30.0], "detectors": [0.0], "method": {"kind": "noisy", "calibrate": True}},
            "method: calibrate",
        ),
        (
            {"kind": "variance_stabilised", "peaks": [30.0], "detectors": [0.0], "method": {"kind": "wavelet", "sigmas": [-1.0]}},
            "method: sigmas.0: .*greater than 0",
        ),
    ],
)
def test_a_wrong_entry_is_refused_by_its_name(entry: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        CONFIG.validate_python(entry)


def test_bm3d_without_its_package_is_refused_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda *_: None)
    with pytest.raises(ValidationError, match=r"bm3d is not installed; run `pip install 'xraydenoise\[bm3d\]'`"):
        CONFIG.validate_python({"kind": "bm3d", "sigmas": [0.1]})
