import pytest
import torch
from torch import nn

from xraydenoise.models.initial import near_zero, pass_on


@pytest.mark.parametrize("depth", [2, 17])
@torch.inference_mode()
def test_a_signal_neither_fades_nor_grows_through_a_deep_chain(depth: int) -> None:
    chain = nn.Sequential(*(layer for _ in range(depth) for layer in (nn.Conv2d(32, 32, 3, padding=1), nn.ReLU())))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        pass_on(chain)
    signal = torch.randn(4, 32, 16, 16, generator=torch.Generator().manual_seed(0))
    assert 0.1 < chain(signal).square().mean() / signal.square().mean() < 2


def test_only_the_middle_tap_speaks_and_it_is_orthogonal() -> None:
    layer = nn.Conv2d(8, 8, 3)
    pass_on(nn.Sequential(layer))
    middle = layer.weight[:, :, 1, 1]
    torch.testing.assert_close(middle @ middle.T, 2 * torch.eye(8), atol=1e-5, rtol=0)
    assert layer.weight.count_nonzero() == middle.count_nonzero()


@pytest.mark.parametrize("layer", [nn.Conv2d(64, 4, 3), nn.ConvTranspose2d(64, 4, 3, padding=2)], ids=["convolution", "transposed"])
@torch.inference_mode()
def test_a_last_layer_near_zero_makes_its_input_a_tenth(layer: nn.Conv2d | nn.ConvTranspose2d) -> None:
    near_zero(layer)
    signal = torch.randn(4, 64, 32, 32, generator=torch.Generator().manual_seed(0))
    assert layer(signal).std().item() == pytest.approx(0.1, rel=0.3)
