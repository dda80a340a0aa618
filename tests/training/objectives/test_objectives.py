import pkgutil

import pytest
import torch
from pydantic import TypeAdapter

from xraydenoise import models
from xraydenoise.models import NetworkConfig
from xraydenoise.noise import Noise
from xraydenoise.noise.gaussian import Config as Gaussian
from xraydenoise.training import objectives
from xraydenoise.training.objectives import ObjectiveConfig

PIXELWISE = {"kind": "dncnn", "channels": 4, "depth": 3, "unshuffle": 1, "batch_norm": True}
BOUNDED = {"kind": "autoencoder", "channels": [4, 4]}
ENTRIES = {  # of every kind, with a network that it takes
    "bce": ({}, BOUNDED),
    "charbonnier": ({}, PIXELWISE),
    "elbo": ({}, {"kind": "vae", "side": 16, "channels": [2, 3], "code": 4}),
    "feature": ({"weight": 0.1}, PIXELWISE),
    "joint": ({"pretrain": 0.5, "task": 0.1}, PIXELWISE),
    "l1": ({}, PIXELWISE),
    "layer_wise": ({"pretrain": 0.5, "masked": 0.25}, {"kind": "stacked_autoencoder", "side": 8, "hidden": [12, 6]}),
    "log_mse": ({"epsilon": 1e-6}, PIXELWISE),
    "mse": ({}, PIXELWISE),
    "neighbor2neighbor": ({"weight": 2.0}, PIXELWISE),
    "sure": ({"sigma": 0.1}, PIXELWISE),
}
NOISE: list[Noise] = [Gaussian(kind="gaussian", mean=0.0, sigma=0.1, clip=False)]
OBJECTIVES = {kind: TypeAdapter(ObjectiveConfig).validate_python({"kind": kind} | entry) for kind, (entry, _) in ENTRIES.items()}
NETWORKS = {kind: TypeAdapter(NetworkConfig).validate_python(network) for kind, (_, network) in ENTRIES.items()}
DONE = [0.0, 0.3, 0.75]
every_kind = pytest.mark.parametrize("kind", sorted(ENTRIES))


def fresh(kind: str) -> torch.nn.Module:
    return models.initialised(NETWORKS[kind], 0).train()


def test_every_kind_in_the_room_is_among_those_tested_here() -> None:
    assert sorted(ENTRIES) == sorted(module.name for module in pkgutil.iter_modules(objectives.__path__))


@pytest.mark.parametrize("precise", [True, False], ids=["fp32", "bf16"])
@pytest.mark.parametrize("done", DONE)
@every_kind
def test_every_objective_gives_a_finite_number_and_gradients_that_are_finite(kind, done, precise, drawn, judge) -> None:
    network = fresh(kind)
    OBJECTIVES[kind].check(NETWORKS[kind], NOISE)
    with torch.autocast("cpu", torch.bfloat16, enabled=not precise):
        loss = OBJECTIVES[kind].loss(network, drawn(), done, judge)
    assert loss.shape == ()
    assert loss.isfinite()
    loss.backward()
    gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert any(gradient.any() for gradient in gradients)


@pytest.mark.parametrize("done", DONE)
@every_kind
def test_only_an_objective_that_needs_the_clean_picture_looks_at_it(kind, done, drawn, judge) -> None:
    batch, objective = drawn(), OBJECTIVES[kind]
    found = objective.loss(fresh(kind), batch, done, judge)
    without = drawn()._replace(target=torch.full_like(batch.target, torch.nan))
    other = drawn()._replace(target=1 - batch.target)
    if objective.needs_target:
        assert objective.loss(fresh(kind), other, done, judge) != found
    else:
        assert objective.loss(fresh(kind), without, done, judge) == found


@every_kind
def test_only_an_objective_that_needs_the_classifier_asks_it(kind, drawn, judge) -> None:
    objective = OBJECTIVES[kind]
    alone, judged = (objective.loss(fresh(kind), drawn(), 0.75, classifier) for classifier in (None, judge))
    assert (alone != judged) == objective.needs_classifier


@pytest.mark.parametrize("done", DONE)
@every_kind
def test_what_an_objective_draws_comes_from_the_batches_generator_alone(kind, done, drawn, judge) -> None:
    before = torch.get_rng_state()
    losses = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        state = torch.get_rng_state()
        losses.append(OBJECTIVES[kind].loss(fresh(kind), drawn(), done, judge))
        assert torch.equal(torch.get_rng_state(), state)
    torch.set_rng_state(before)
    assert losses[0] == losses[1]


@pytest.mark.parametrize("kind", ["mse", "log_mse", "l1", "charbonnier", "bce"])
def test_a_distance_is_smallest_at_the_target(kind, scaled, row) -> None:
    network, target = scaled(1.0), [0.2, 0.5, 0.9]
    at, near = (OBJECTIVES[kind].loss(network, row(noisy, target), 0.0, None) for noisy in (target, [0.2, 0.52, 0.9]))
    assert at < near


def test_an_unknown_kind_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"kind: unknown; expected one of bce, charbonnier, elbo, .*, sure, found 'psnr'"):
        TypeAdapter(ObjectiveConfig).validate_python({"kind": "psnr"})
