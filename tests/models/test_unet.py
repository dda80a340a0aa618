import pytest
import torch

from xraydenoise import models
from xraydenoise.models.unet import Config

PUBLISHED = Config(kind="unet", channels=(64, 128, 256), bottleneck=512, unshuffle=1, residual=False, batch_norm=False)


def test_the_published_shape_has_its_parameters() -> None:
    assert models.parameters(models.initialised(PUBLISHED, 0)) == 7_781_761


@torch.inference_mode()
def test_the_published_shape_ends_in_a_sigmoid() -> None:
    clean = models.initialised(PUBLISHED, 0)(100 * torch.randn(1, 1, 16, 16))
    assert clean.min() >= 0
    assert clean.max() <= 1


@pytest.mark.parametrize("channels", [(8,), (8, 16), (8, 16, 24, 32)], ids=str)
@pytest.mark.parametrize("unshuffle", [1, 2])
def test_a_residual_net_of_any_depth_starts_near_the_noisy_picture(channels: tuple[int, ...], unshuffle: int) -> None:
    noisy = torch.rand(2, 1, 19, 33)
    network = models.initialised(
        Config(kind="unet", channels=channels, bottleneck=8, unshuffle=unshuffle, residual=True, batch_norm=False), 0
    )
    assert (network(noisy) - noisy).square().mean().sqrt() < 0.15


def test_normalisation_stands_behind_every_3x3_convolution() -> None:
    config = Config(kind="unet", channels=(8, 16), bottleneck=16, unshuffle=2, residual=True, batch_norm=True)
    layers = list(models.initialised(config, 0).modules())
    convolutions = [layer for layer in layers if isinstance(layer, torch.nn.Conv2d)]
    assert [layer.bias is None for layer in convolutions] == [True] * 10 + [False]
    assert sum(isinstance(layer, torch.nn.BatchNorm2d) for layer in layers) == 10


def test_no_level_is_refused() -> None:
    with pytest.raises(ValueError, match="channels"):
        Config(kind="unet", channels=(), bottleneck=8, unshuffle=1, residual=True, batch_norm=False)
