import importlib
import json
import pkgutil
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from safetensors.torch import save_file

from xraydenoise import models, params

ROOT = Path(__file__).parents[2]
PROFILES = [ROOT / "params.yaml", *sorted((ROOT / "profiles").glob("*.yaml"))]
PUBLISHED = {  # the published shape of every kind, and how many parameters it learns
    "eudncnn": ({"channels": 32, "depth": 8}, 151_326),
    "unet": ({"channels": [64, 128, 256], "bottleneck": 512, "unshuffle": 1, "residual": False, "batch_norm": False}, 7_781_761),
    "autoencoder": ({"channels": [64, 32]}, 71_169),
    "ding_liu": ({"channels": 64}, 1_027_425),
    "rdn": ({"channels": 64, "blocks": 16, "layers": 8, "growth": 64, "unshuffle": 1}, 21_973_377),
    "dncnn": ({"channels": 64, "depth": 17, "unshuffle": 1, "batch_norm": True}, 556_097),
    "gondara": ({"channels": [64, 128]}, 296_449),
    "stacked_autoencoder": ({"side": 16, "hidden": [256, 128]}, 99_200),
    "dense_autoencoder": ({"side": 64, "channels": [32, 64], "code": 150, "kernel": 3}, 2_525_591),
    "vae": ({"side": 64, "channels": [32, 64], "code": 50, "kernel": 3}, 1_600_613),
    "skip_autoencoder": ({"channels": [64, 64, 128, 256, 518], "last": 64}, 12_634_631),
    "red_net": ({"channels": 64, "depth": 30, "unshuffle": 1}, 1_035_201),
    "residual_unet": ({"channels": [40, 80, 160, 192], "blocks": [2, 2, 2, 4], "unshuffle": 2}, 5_454_580),
}
VARIANTS = [  # further published shapes
    ({"kind": "dncnn", "channels": 64, "depth": 20, "unshuffle": 1, "batch_norm": True}, 667_073),
    ({"kind": "red_net", "channels": 64, "depth": 10, "unshuffle": 1}, 296_641),
    ({"kind": "red_net", "channels": 64, "depth": 20, "unshuffle": 1}, 665_921),
    ({"kind": "residual_unet", "channels": [32, 64, 96, 128], "blocks": [1, 1, 1, 2], "unshuffle": 2}, 1_273_860),
    ({"kind": "vae", "side": 64, "channels": [32, 64], "code": 10, "kernel": 3}, 366_613),
    ({"kind": "vae", "side": 64, "channels": [32, 64], "code": 40, "kernel": 3}, 1_292_113),
    ({"kind": "vae", "side": 128, "channels": [32, 64], "code": 50, "kernel": 3}, 6_624_357),
]
SHAPES = [({"kind": kind} | entry, count) for kind, (entry, count) in PUBLISHED.items()] + VARIANTS
READ: TypeAdapter[models.Network] = TypeAdapter(models.NetworkConfig)
OF_PROFILES = [model.network for path in PROFILES for model in params.load(path).models.values()]
NETWORKS = list({repr(network): network for network in [READ.validate_python(entry) for entry, _ in SHAPES] + OF_PROFILES}.values())
SMALL = [network for network in NETWORKS if models.parameters(models.initialised(network, 0)) < 1_000_000]
CPU = torch.device("cpu")


@pytest.mark.parametrize(("entry", "count"), SHAPES, ids=lambda value: str(value))
def test_a_published_shape_has_its_parameters(entry: dict[str, object], count: int) -> None:
    with torch.device("meta"):
        assert models.parameters(READ.validate_python(entry).build()) == count


def test_every_kind_has_a_published_shape_here_and_names_its_paper() -> None:
    room = [module.name for module in pkgutil.iter_modules(models.__path__)]
    kinds = {name for name in room if hasattr(importlib.import_module(f"xraydenoise.models.{name}"), "Config")}
    assert kinds == set(PUBLISHED)
    assert all(network.paper for network in NETWORKS)


RESIDUAL = ("dncnn", "ding_liu", "eudncnn", "rdn", "red_net", "residual_unet")


@pytest.mark.parametrize("kind", RESIDUAL)
@torch.inference_mode()
def test_a_fresh_residual_network_of_published_shape_starts_near_the_noisy_picture(kind: str) -> None:
    noisy = torch.rand(1, 1, 24, 24, generator=torch.Generator().manual_seed(0))
    clean = models.initialised(READ.validate_python({"kind": kind} | PUBLISHED[kind][0]), 0).eval()(noisy)
    assert (clean - noisy).abs().mean() < 0.3


@pytest.mark.parametrize("network", [network for network in NETWORKS if network.bounded], ids=str)
@torch.inference_mode()
def test_a_bounded_network_stays_within_0_and_1(network: models.Network) -> None:
    clean = models.initialised(network, 0).eval()(3 * torch.rand(1, 1, 24, 20) - 1)
    assert clean.min() >= 0
    assert clean.max() <= 1


@pytest.mark.parametrize("network", NETWORKS, ids=str)
@torch.inference_mode()
def test_every_network_of_the_profiles_takes_the_smallest_picture(network: models.Network) -> None:
    noisy = torch.rand(2, 1, 8, 8)
    clean = models.initialised(network, 0).eval()(noisy)
    assert clean.shape == noisy.shape
    assert clean.dtype == torch.float32


@pytest.mark.parametrize("network", NETWORKS, ids=str)
@torch.inference_mode()
def test_every_network_computes_in_float64_when_it_is_made_double(network: models.Network) -> None:
    clean = models.initialised(network, 0).double().eval()(torch.rand(1, 1, 24, 20, dtype=torch.float64))
    assert clean.dtype == torch.float64


@pytest.mark.parametrize("network", SMALL, ids=str)
@given(height=st.integers(8, 50), width=st.integers(8, 50))
@settings(max_examples=8, deadline=None)
@torch.inference_mode()
def test_any_height_and_width_come_back(network: models.Network, height: int, width: int) -> None:
    clean = models.initialised(network, 0).eval()(torch.rand(1, 1, height, width))
    assert clean.shape == (1, 1, height, width)
    assert clean.isfinite().all()


@pytest.mark.parametrize("network", NETWORKS, ids=str)
def test_the_seed_alone_gives_the_first_weights(network: models.Network) -> None:
    before = torch.get_rng_state()
    one, same, other = (models.initialised(network, seed).state_dict() for seed in (3, 3, 4))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("network", SMALL, ids=str)
def test_bf16_on_the_cpu_gives_finite_float32_and_gradients_for_all_weights(network: models.Network) -> None:
    built = models.placed(models.initialised(network, 0), CPU)
    with torch.autocast("cpu", torch.bfloat16):
        clean = built(torch.rand(2, 1, 32, 32))
    assert clean.dtype == torch.float32
    clean.square().mean().backward()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in built.parameters())


@pytest.mark.parametrize("network", SMALL, ids=str)
def test_a_trained_network_loads_as_it_was_saved(network: models.Network, tmp_path: Path) -> None:
    trained = models.initialised(network, 5).eval()
    save_file(trained.state_dict(), tmp_path / "weights.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"network": network.model_dump(mode="json")}))
    loaded = models.load(tmp_path, CPU)
    assert not loaded.training
    state = trained.state_dict()
    assert all(torch.equal(state[name], weights) for name, weights in loaded.state_dict().items())


def test_weights_of_another_network_are_refused_with_the_files_names(tmp_path: Path) -> None:
    one, other = SMALL[0], SMALL[1]
    save_file(models.initialised(other, 0).state_dict(), tmp_path / "weights.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"network": one.model_dump(mode="json")}))
    with pytest.raises(ValueError, match=r"weights\.safetensors: does not fit the network in .*config\.json"):
        models.load(tmp_path, CPU)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"kind": "yesterday"}, "kind: unknown; expected one of autoencoder, .*, found 'yesterday'"),
        ({"attention": True}, "attention: Extra inputs are not permitted, found True"),
    ],
)
def test_a_network_that_todays_code_does_not_know_is_refused_in_one_line_with_the_files_name(
    changed: dict[str, object], said: str, tmp_path: Path
) -> None:
    save_file(models.initialised(SMALL[0], 0).state_dict(), tmp_path / "weights.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"network": SMALL[0].model_dump(mode="json") | changed}))
    with pytest.raises(ValueError, match=rf"^{tmp_path}/config\.json: today's code does not build this network: {said}$"):
        models.load(tmp_path, CPU)


def test_a_folder_without_a_model_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="dvc repro"):
        models.load(tmp_path, CPU)


def test_an_unknown_kind_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"expected one of autoencoder, dense_autoencoder, .*, vae, found 'padding'"):
        READ.validate_python({"kind": "padding"})
