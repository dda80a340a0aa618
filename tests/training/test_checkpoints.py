from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path

import pytest
import torch

from xraydenoise import models
from xraydenoise.models.autoencoder import Config as Autoencoder
from xraydenoise.models.dncnn import Config as DnCNN
from xraydenoise.models.stacked_autoencoder import Config as Stacked
from xraydenoise.models.unet import Config as UNet
from xraydenoise.noise import evenly
from xraydenoise.noise.gaussian import Config as Gaussian
from xraydenoise.training import Plan, TrainConfig, checkpoints, loop
from xraydenoise.training.augment import Augment, Gamma
from xraydenoise.training.batches import Batches, Pictures, validation
from xraydenoise.training.objectives import Objective, layer_wise, mse

NOISE = Gaussian(kind="gaussian", mean=0.0, sigma=[0.05, 0.2], clip=True)
NETWORKS = [
    DnCNN(kind="dncnn", channels=8, depth=4, unshuffle=2, batch_norm=True),
    UNet(kind="unet", channels=(8, 16), bottleneck=16, unshuffle=1, residual=True, batch_norm=True),
    Autoencoder(kind="autoencoder", channels=(8, 8)),
]
STACKED = Stacked(kind="stacked_autoencoder", side=8, hidden=(12, 6))
MSE = mse.Config(kind="mse")
LAYER_WISE = layer_wise.Config(kind="layer_wise", pretrain=0.6, masked=0.25)


PLAN = Plan(
    optimizer="adamw",
    learning_rate=3e-3,
    schedule="cosine",
    steps=30,
    batch=4,
    patch=16,
    warmup=4,
    weight_decay=1e-4,
    ema=0.9,
    max_gradient=1.0,
    choose=True,
    augment=None,
    validate_first=False,
)
PUBLISHED = PLAN.model_copy(
    update={"schedule": "constant", "warmup": 0, "weight_decay": 0, "ema": 0, "max_gradient": None, "choose": False}
)
PLANS = [PUBLISHED.model_copy(update={"optimizer": name, "learning_rate": 1e-3}) for name in ("adam", "rmsprop")]


def begin(network: models.Network, plan: Plan = PLAN) -> loop.State:
    return loop.begin(models.initialised(network, 0), torch.device("cpu"), plan)


@pytest.fixture
def fit(pictures: Pictures, config: Callable[..., TrainConfig]) -> Callable[..., Iterator[loop.Step]]:
    def fit(state: loop.State, objective: Objective = MSE, plan: Plan = PLAN) -> Iterator[loop.Step]:
        settings = config(precision="bf16")
        batches = Batches(pictures, evenly([NOISE]), plan.batch, plan.patch, seed=0, augment=plan.augment)
        criterion = partial(objective.loss, classifier=None)
        return loop.fit(state, batches, validation(pictures, evenly([NOISE]), 0, 2), criterion, plan, settings)

    return fit


def tensors(state: loop.State) -> dict[str, torch.Tensor]:
    return dict(checkpoints._tensors(state))


def interrupted(
    network: models.Network, step: int, fit, path: Path, objective: Objective, plan: Plan = PLAN
) -> tuple[loop.State, loop.State]:
    """The ends of a run that nothing disturbed and of one that was stored after `step`, forgotten, and taken up again."""
    whole, first, second = begin(network, plan), begin(network, plan), begin(network, plan)
    list(fit(whole, objective, plan))
    list(islice(fit(first, objective, plan), step))
    checkpoints.save(first, path, "recipe")
    assert checkpoints.restore(second, path, "recipe")
    assert tensors(second).keys() == tensors(first).keys()
    rest = list(fit(second, objective, plan))
    assert [told.step for told in rest] == list(range(step + 1, 31))
    return whole, second


def assert_same(one: loop.State, other: loop.State) -> None:
    assert one.history == other.history
    assert (one.best_step, one.best_val_target_psnr) == (other.best_step, other.best_val_target_psnr)
    left, right = tensors(one), tensors(other)
    assert left.keys() == right.keys()
    assert all(torch.equal(left[name], right[name]) for name in right)


@pytest.mark.parametrize("network", NETWORKS, ids=str)
@pytest.mark.parametrize("step", [1, 10, 17])
def test_a_resumed_run_ends_with_the_very_bits_of_an_uninterrupted_one(network, step, fit, tmp_path) -> None:
    assert_same(*interrupted(network, step, fit, tmp_path / "checkpoint.safetensors", MSE))


def test_a_run_with_augmented_crops_is_resumed_to_the_very_bit(fit, tmp_path) -> None:
    augment = Augment(gamma=Gamma(share=0.5, range=0.6), inverted=0.5, half=0.5)
    plan = PLAN.model_copy(update={"augment": augment})
    whole, second = interrupted(NETWORKS[1], 7, fit, tmp_path / "checkpoint.safetensors", MSE, plan)
    assert_same(whole, second)
    plain = begin(NETWORKS[1])
    list(fit(plain))
    assert plain.history != whole.history


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.optimizer)
@pytest.mark.parametrize("network", NETWORKS[:2], ids=str)
def test_a_published_optimiser_is_resumed_to_the_very_bit(plan, network, fit, tmp_path) -> None:
    whole, second = interrupted(network, 10, fit, tmp_path / "checkpoint.safetensors", MSE, plan)
    assert_same(whole, second)
    first = next(whole.network.parameters())
    layouts = [state.optimizer.state[parameter] for state, parameter in ((whole, first), (second, next(second.network.parameters())))]
    assert all(layouts[0][name].stride() == layouts[1][name].stride() for name in layouts[0])


@pytest.mark.parametrize("step", [4, 9, 14, 25], ids=["first layer", "turn of the second", "second layer", "all together"])
def test_a_run_that_trains_layer_by_layer_is_resumed_in_any_turn_to_the_very_bit(step, fit, tmp_path) -> None:
    assert_same(*interrupted(STACKED, step, fit, tmp_path / "checkpoint.safetensors", LAYER_WISE))


def test_layers_whose_turn_has_not_come_have_neither_learnt_nor_a_state(fit, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    untouched, trained, restored = begin(STACKED), begin(STACKED), begin(STACKED)
    list(islice(fit(trained, LAYER_WISE), 4))
    checkpoints.save(trained, path, "recipe")
    assert checkpoints.restore(restored, path, "recipe")
    for state in (trained, restored):
        first, second = state.network.layers
        assert set(state.optimizer.state) == set(first.parameters())
        assert torch.equal(second.weight, untouched.network.layers[1].weight)
        assert not torch.equal(first.weight, untouched.network.layers[0].weight)


def test_a_finished_run_is_not_trained_again(fit, tmp_path: Path) -> None:
    whole, again = begin(NETWORKS[0]), begin(NETWORKS[0])
    list(fit(whole))
    checkpoints.save(whole, tmp_path / "checkpoint.safetensors", "recipe")
    checkpoints.restore(again, tmp_path / "checkpoint.safetensors", "recipe")
    assert list(fit(again)) == []
    assert again.stopped == "budget"


@pytest.mark.parametrize("steps", [0, 30])
def test_weights_that_were_validated_first_are_not_validated_again_when_the_run_is_resumed(steps, fit, tmp_path: Path) -> None:
    plan = PLAN.model_copy(update={"validate_first": True, "steps": steps})
    whole, first, second = (begin(NETWORKS[0], plan) for _ in range(3))
    list(fit(whole, plan=plan))
    list(islice(fit(first, plan=plan), 5))
    checkpoints.save(first, tmp_path / "checkpoint.safetensors", "recipe")
    assert checkpoints.restore(second, tmp_path / "checkpoint.safetensors", "recipe")
    list(fit(second, plan=plan))
    assert [row.step for row in second.history] == [0, 10, 20, 30][: 1 + steps // 10]
    assert_same(whole, second)


def test_a_checkpoint_of_another_recipe_is_not_taken(fit, tmp_path: Path) -> None:
    trained, fresh = begin(NETWORKS[0]), begin(NETWORKS[0])
    list(islice(fit(trained), 3))
    checkpoints.save(trained, tmp_path / "checkpoint.safetensors", "recipe")
    assert not checkpoints.restore(fresh, tmp_path / "checkpoint.safetensors", "other")
    assert fresh.step == 0
    assert not fresh.optimizer.state


def test_without_a_checkpoint_training_begins_anew(tmp_path: Path) -> None:
    assert not checkpoints.restore(begin(NETWORKS[0]), tmp_path / "checkpoint.safetensors", "recipe")


def test_a_crash_while_saving_leaves_the_last_checkpoint_whole(fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "checkpoint.safetensors"
    state, fresh = begin(NETWORKS[0]), begin(NETWORKS[0])
    steps = fit(state)
    next(steps)
    checkpoints.save(state, path, "recipe")
    next(steps)
    with monkeypatch.context() as crash:
        crash.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError("no space left on device")))
        with pytest.raises(OSError, match="no space"):
            checkpoints.save(state, path, "recipe")
    assert checkpoints.restore(fresh, path, "recipe")
    assert fresh.step == 1


def test_a_damaged_checkpoint_is_deleted_in_a_line_and_training_begins_anew(fit, damage, tmp_path: Path, capsys) -> None:
    path = tmp_path / "checkpoint.safetensors"
    trained, fresh, untouched = begin(NETWORKS[0]), begin(NETWORKS[0]), begin(NETWORKS[0])
    list(islice(fit(trained), 12))
    checkpoints.save(trained, path, "recipe")
    damage(path)
    assert not checkpoints.restore(fresh, path, "recipe")
    assert_same(fresh, untouched)
    assert not path.exists()
    said = capsys.readouterr().out
    assert said.startswith(f"{path}: is not as it was written")
    assert said.count("\n") == 1
