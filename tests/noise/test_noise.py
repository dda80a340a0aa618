import pkgutil
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from xraydenoise import noise as room
from xraydenoise import params
from xraydenoise.noise import Noise, NoiseConfig, amount, bounds, draw_seed, photons

ROOT = Path(__file__).parents[2]
CHECKED = [params.load(path) for path in [ROOT / "params.yaml", *sorted((ROOT / "profiles").glob("*.yaml"))]]
CONDITIONS = [noise for one in CHECKED for track in one.conditions.values() for noise in track.values()]
MIXED = [part.noise for one in CHECKED for mixture in one.mixtures.values() for part in mixture]
EXTRA = [  # one of every kind, used by a profile or not
    TypeAdapter(NoiseConfig).validate_python(entry)
    for entry in [
        {"kind": "additive_poisson", "factor": 0.2, "rate": [0.5, 2.0], "clip": False},
        {
            "kind": "correlated",
            "noise": {"kind": "gaussian", "mean": 0.0, "sigma": 0.1, "clip": False},
            "sigma": [0.35, 0.95],
            "clip": True,
        },
        {"kind": "gaussian", "mean": 0.2, "sigma": 0.4, "clip": True},  # published as factor .2 of N(1, 2^2)
        {"kind": "jpeg", "quality": [5, 50]},  # a range, for one number leaves nothing to draw
        {"kind": "masking", "share": [0.1, 0.5]},
        {"kind": "poisson_gaussian", "peak": [20.0, 200.0], "sigma": 0.05, "clip": False},
        {"kind": "quantum", "peak": 30.0, "clip": False},
        {"kind": "salt_and_pepper", "density": [0.05, 0.2], "salt": 0.5},
        {"kind": "speckle", "sigma": [0.1, 0.3], "clip": True},
        {"kind": "system_a", "peak": 256.0, "blur": 0.5, "gaussian": 0.5, "sigma": 0.1},
    ]
]
NOISES = list({repr(noise): noise for noise in CONDITIONS + MIXED + EXTRA}.values())


@pytest.fixture
def clean() -> torch.Tensor:
    return torch.rand(3, 1, 16, 20, generator=torch.Generator().manual_seed(1))


def test_every_kind_in_the_room_is_among_those_tested_here() -> None:
    assert sorted(noise.kind for noise in EXTRA) == sorted(module.name for module in pkgutil.iter_modules(room.__path__))


@pytest.mark.parametrize("noise", NOISES, ids=str)
def test_every_noise_keeps_shape_and_range_and_is_there(noise: Noise, clean: torch.Tensor) -> None:
    before = clean.clone()
    noisy = noise(clean, torch.Generator().manual_seed(0))
    assert noisy.shape == clean.shape
    assert noisy.dtype == torch.float32
    assert torch.equal(clean, before)
    assert (noisy - clean).abs().mean() > 0.005
    if noise.clip:
        assert noisy.min() >= 0
        assert noisy.max() <= 1


@pytest.mark.parametrize("noise", NOISES, ids=str)
def test_the_same_seed_gives_the_same_noise_and_another_another(noise: Noise, clean: torch.Tensor) -> None:
    one, same, other = (noise(clean, torch.Generator().manual_seed(seed)) for seed in (5, 5, 6))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


@pytest.mark.parametrize("noise", NOISES, ids=str)
def test_no_noise_touches_the_global_generator(noise: Noise, clean: torch.Tensor) -> None:
    before = torch.get_rng_state()
    noise(clean, torch.Generator().manual_seed(0))
    assert torch.equal(torch.get_rng_state(), before)


def test_an_entry_survives_the_way_through_json() -> None:
    adapter = TypeAdapter(NoiseConfig)
    for noise in NOISES:
        assert adapter.validate_python(adapter.dump_python(noise, mode="json")) == noise


@given(low=st.floats(0, 1), span=st.floats(0, 1), batch=st.integers(1, 5))
@settings(max_examples=30, deadline=None)
def test_an_amount_is_drawn_from_its_range_for_each_picture(low: float, span: float, batch: int) -> None:
    drawn = amount((low, low + span), torch.zeros(batch, 1, 8, 8), torch.Generator().manual_seed(0))
    assert drawn.shape == (batch, 1, 1, 1)
    assert (drawn >= low - 1e-6).all()
    assert (drawn <= low + span + 1e-6).all()


@given(low=st.floats(0.1, 100), factor=st.floats(1, 100), batch=st.integers(1, 5))
@settings(max_examples=30, deadline=None)
def test_photons_are_drawn_from_their_range_for_each_picture(low: float, factor: float, batch: int) -> None:
    drawn = photons((low, low * factor), torch.zeros(batch, 1, 8, 8), torch.Generator().manual_seed(0))
    assert drawn.shape == (batch, 1, 1, 1)
    assert (drawn >= low * (1 - 1e-5)).all()
    assert (drawn <= low * factor * (1 + 1e-5)).all()


def test_a_range_of_photons_is_drawn_evenly_over_its_factors() -> None:
    drawn = photons((8.0, 8000.0), torch.zeros(3000, 1, 1, 1), torch.Generator().manual_seed(0))
    counts = [int(((drawn >= low) & (drawn < 10 * low)).sum()) for low in (8, 80, 800)]
    assert counts == pytest.approx([1000] * 3, rel=0.1)


def test_a_single_number_of_photons_is_kept_as_it_is() -> None:
    assert photons(30.0, torch.zeros(2, 1, 1, 1), torch.Generator()).flatten().tolist() == [30, 30]


@pytest.mark.parametrize(
    "entry",
    [
        {"kind": "quantum", "peak": [1.0, 10000.0], "clip": False},
        {"kind": "poisson_gaussian", "peak": [1.0, 10000.0], "sigma": 0.0, "clip": False},
        {"kind": "system_a", "peak": [1.0, 10000.0], "blur": 0.0, "gaussian": 0.0, "sigma": 0.0},
    ],
    ids=lambda entry: entry["kind"],
)
def test_the_kinds_that_count_photons_draw_a_range_by_factors(entry: dict[str, object]) -> None:
    """Half of the pictures have fewer photons than 100, the middle of the factors, and so a spread above .05 at gray .25."""
    noise: Noise = TypeAdapter(NoiseConfig).validate_python(entry)
    gray = torch.full((400, 1, 16, 16), 0.25)
    spreads = (noise(gray, torch.Generator().manual_seed(0)) - gray).square().mean(dim=(1, 2, 3)).sqrt()
    assert float((spreads > 0.05).float().mean()) == pytest.approx(0.5, abs=0.08)


def test_pictures_of_one_batch_get_different_amounts() -> None:
    drawn = amount((0.0, 1.0), torch.zeros(8, 1, 2, 2), torch.Generator().manual_seed(0))
    assert drawn.unique().numel() == 8


def test_a_number_is_its_own_range() -> None:
    assert bounds(0.5) == (0.5, 0.5)
    assert bounds((0.1, 0.5)) == (0.1, 0.5)


@pytest.mark.parametrize(
    ("sigma", "said"),
    [
        (-0.1, "at least 0 and at most 1"),
        (1.5, "at most 1"),
        ([0.2, 0.1], "low not above high"),
        ([0.1, 0.2, 0.3], r"a number, or \[low, high\]"),
        ("much", r"a number, or \[low, high\]"),
        (True, r"a number, or \[low, high\]"),
        (float("nan"), "finite"),
    ],
)
def test_a_wrong_amount_is_refused_in_one_line(sigma: object, said: str) -> None:
    with pytest.raises(ValidationError, match=f"sigma.*{said}") as error:
        TypeAdapter(NoiseConfig).validate_python({"kind": "gaussian", "mean": 0.0, "sigma": sigma, "clip": True})
    assert error.value.error_count() == 1


def test_a_seed_depends_on_all_of_its_parts_and_stays_what_it_was() -> None:
    parts = [(7, "a", "b"), (8, "a", "b"), (7, "c", "b"), (7, "a", "c"), (7, "", "ab"), (7, "ab", "")]
    seeds = [draw_seed(*part) for part in parts]
    assert len(set(seeds)) == len(parts)
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert draw_seed(7, "a", "b") == 5057346803751273854
