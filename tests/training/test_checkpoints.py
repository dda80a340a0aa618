from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import pytest
import torch

from xraydenoise import models
from xraydenoise.models.autoencoder import Config as Autoencoder
from xraydenoise.models.dncnn import Config as DnCNN
from xraydenoise.models.unet import Config as UNet
from xraydenoise.noise.gaussian import Config as Gaussian
from xraydenoise.training import TrainConfig, checkpoints, loop
from xraydenoise.training.batches import Batches, Pictures, validation
from xraydenoise.training.objectives import objective

NOISE = Gaussian(kind="gaussian", mean=0.0, sigma=[0.05, 0.2], clip=True)
NETWORKS = [
    DnCNN(kind="dncnn", channels=8, depth=4, unshuffle=2, batch_norm=True),
    UNet(kind="unet", channels=(8, 16), bottleneck=16, unshuffle=1, residual=True, batch_norm=True),
    Autoencoder(kind="autoencoder", channels=(8, 8)),
]


def begin(network: models.Network) -> loop.State:
    return loop.begin(models.initialised(network, 0), torch.device("cpu"), 1e-4)


@pytest.fixture
def fit(pictures: Pictures, config: Callable[..., TrainConfig]) -> Callable[[loop.State], Iterator[loop.Step]]:
    def fit(state: loop.State) -> Iterator[loop.Step]:
        settings = config(precision="bf16")
        batches = Batches(pictures, [NOISE], settings.batch, settings.patch, seed=0)
        return loop.fit(state, batches, validation(pictures, [NOISE], 0, 2), objective("mse"), 30, 3e-3, settings)

    return fit


def tensors(state: loop.State) -> dict[str, torch.Tensor]:
    return dict(checkpoints._tensors(state))


@pytest.mark.parametrize("network", NETWORKS, ids=str)
@pytest.mark.parametrize("step", [1, 10, 17])
def test_a_resumed_run_ends_with_the_very_bits_of_an_uninterrupted_one(network, step, fit, tmp_path) -> None:
    whole, first, second = begin(network), begin(network), begin(network)
    list(fit(whole))
    list(islice(fit(first), step))
    checkpoints.save(first, tmp_path / "checkpoint.safetensors", "recipe")
    assert checkpoints.restore(second, tmp_path / "checkpoint.safetensors", "recipe")
    rest = list(fit(second))
    assert [told.step for told in rest] == list(range(step + 1, 31))
    assert second.history == whole.history
    assert (second.best_step, second.best_val_psnr) == (whole.best_step, whole.best_val_psnr)
    resumed, uninterrupted = tensors(second), tensors(whole)
    assert resumed.keys() == uninterrupted.keys()
    assert all(torch.equal(resumed[name], uninterrupted[name]) for name in uninterrupted)


def test_a_finished_run_is_not_trained_again(fit, tmp_path: Path) -> None:
    whole, again = begin(NETWORKS[0]), begin(NETWORKS[0])
    list(fit(whole))
    checkpoints.save(whole, tmp_path / "checkpoint.safetensors", "recipe")
    checkpoints.restore(again, tmp_path / "checkpoint.safetensors", "recipe")
    assert list(fit(again)) == []
    assert again.stopped == "budget"


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
