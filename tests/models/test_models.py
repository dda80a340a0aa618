import json
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
NETWORKS = list({repr(model.network): model.network for path in PROFILES for model in params.load(path).models.values()}.values())
SMALL = [network for network in NETWORKS if models.parameters(models.initialised(network, 0)) < 1_000_000]
CPU = torch.device("cpu")


@pytest.mark.parametrize("network", NETWORKS, ids=str)
@torch.inference_mode()
def test_every_network_of_the_profiles_takes_the_smallest_picture(network: models.Network) -> None:
    noisy = torch.rand(2, 1, 8, 8)
    clean = models.initialised(network, 0).eval()(noisy)
    assert clean.shape == noisy.shape
    assert clean.dtype == torch.float32


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
    one, other = SMALL[0], NETWORKS[1]
    save_file(models.initialised(other, 0).state_dict(), tmp_path / "weights.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"network": one.model_dump(mode="json")}))
    with pytest.raises(ValueError, match=r"weights\.safetensors: does not fit the network in .*config\.json"):
        models.load(tmp_path, CPU)


def test_a_folder_without_a_model_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="dvc repro"):
        models.load(tmp_path, CPU)


def test_an_unknown_kind_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"expected one of autoencoder, dncnn, unet, found 'padding'"):
        TypeAdapter(models.NetworkConfig).validate_python({"kind": "padding"})
