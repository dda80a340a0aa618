import pytest
import torch

from xraydenoise import models
from xraydenoise.models.dncnn import Config

PUBLISHED = Config(kind="dncnn", channels=64, depth=17, unshuffle=1, batch_norm=True)
SMALL = Config(kind="dncnn", channels=16, depth=5, unshuffle=2, batch_norm=False)


def test_the_published_shape_has_its_parameters() -> None:
    # A convolution with bias, 15 without bias but with a normalisation's scale and shift, one with bias.
    assert models.parameters(models.initialised(PUBLISHED, 0)) == (9 * 64 + 64) + 15 * (9 * 64 * 64 + 2 * 64) + (9 * 64 + 1) == 556_097


def test_the_published_shape_has_17_convolutions_and_15_normalisations() -> None:
    layers = list(models.initialised(PUBLISHED, 0).modules())
    assert sum(isinstance(layer, torch.nn.Conv2d) for layer in layers) == 17
    assert sum(isinstance(layer, torch.nn.BatchNorm2d) for layer in layers) == 15


@pytest.mark.parametrize("config", [PUBLISHED, SMALL], ids=str)
def test_training_starts_near_the_noisy_picture(config: Config) -> None:
    noisy = torch.rand(2, 1, 17, 23)
    assert (models.initialised(config, 0)(noisy) - noisy).square().mean().sqrt() < 0.15


@torch.inference_mode()
def test_shifting_by_the_unshuffled_square_shifts_the_result() -> None:
    network = models.initialised(SMALL, 0)
    noisy = torch.rand(1, 1, 48, 48, generator=torch.Generator().manual_seed(1))
    moved = network(noisy.roll((2, 4), dims=(2, 3)))
    torch.testing.assert_close(moved[..., 16:-16, 16:-16], network(noisy).roll((2, 4), dims=(2, 3))[..., 16:-16, 16:-16])
