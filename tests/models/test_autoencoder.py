import pytest
import torch

from xraydenoise import models
from xraydenoise.models.autoencoder import Config

PUBLISHED = Config(kind="autoencoder", channels=(64, 32))


def test_the_published_shape_has_its_parameters() -> None:
    assert models.parameters(models.initialised(PUBLISHED, 0)) == 71_169


def test_the_published_shape_ends_in_four_sigmoid_layers() -> None:
    layers = [layer for layer in models.initialised(PUBLISHED, 0).modules() if not list(layer.children())]
    tail = [(layer.in_channels, layer.out_channels) if isinstance(layer, torch.nn.Conv2d) else layer for layer in layers[-7:]]
    assert tail[0::2] == [(64, 32), (32, 16), (16, 8), (8, 1)]
    assert all(isinstance(layer, torch.nn.Sigmoid) for layer in tail[1::2])  # the fourth is in forward


@torch.inference_mode()
def test_the_first_weights_let_the_picture_through_the_sigmoids() -> None:
    dark, bright = models.initialised(PUBLISHED, 0)(torch.stack([torch.zeros(1, 32, 32), torch.ones(1, 32, 32)]))
    assert (dark - bright).abs().mean() > 1e-3


def test_channels_that_the_sigmoid_layers_cannot_quarter_are_refused() -> None:
    with pytest.raises(ValueError, match="divide by 4"):
        Config(kind="autoencoder", channels=(32, 18))


@torch.inference_mode()
def test_sigmoid_layers_start_in_the_middle_of_their_range() -> None:
    layers = list(models.initialised(PUBLISHED, 0).layers)[-5::2]  # the three convolutions that a sigmoid feeds
    for convolution in layers:
        half = torch.full((1, convolution.in_channels, 9, 9), 0.5)
        assert torch.allclose(convolution(half)[..., 4, 4], torch.zeros(()), atol=1e-5)
