import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from xraydenoise import models
from xraydenoise.models.dncnn import Config as DnCNN
from xraydenoise.models.stacked_autoencoder import Config as Stacked
from xraydenoise.models.stacked_autoencoder import StackedAutoencoder
from xraydenoise.training.objectives import layer_wise

NETWORK = Stacked(kind="stacked_autoencoder", side=4, hidden=(8, 6, 4))
OBJECTIVE = layer_wise.Config(kind="layer_wise", pretrain=0.6, masked=0.25)
UNMASKED = layer_wise.Config(kind="layer_wise", pretrain=0.6, masked=0.0)
TURNS = [(0.0, 0), (0.19, 0), (0.21, 1), (0.39, 1), (0.41, 2), (0.599, 2)]  # share of the budget done, whose turn it is


@pytest.fixture
def network() -> StackedAutoencoder:
    return models.initialised(NETWORK, 0)


@pytest.mark.parametrize(("done", "turn"), TURNS)
def test_only_the_layer_whose_turn_it_is_learns(done, turn, network, drawn) -> None:
    OBJECTIVE.loss(network, drawn(8), done, None).backward()
    for number, layer in enumerate(network.layers):
        for parameter in layer.parameters():
            assert (parameter.grad is not None and bool(parameter.grad.any())) == (number == turn)


@pytest.mark.parametrize("done", [0.6, 0.8])
def test_in_the_end_all_layers_learn_together_to_make_clean_patches_of_noisy_ones(done, network, drawn) -> None:
    batch = drawn(4)
    loss = OBJECTIVE.loss(network, batch, done, None)
    loss.backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in network.parameters())
    torch.testing.assert_close(loss, F.binary_cross_entropy(network.patch(batch.noisy), batch.target))


def test_a_layer_gives_back_what_those_before_it_make_of_the_clean_patch(network, drawn) -> None:
    batch = drawn(4)
    first, second, _ = network.layers
    seen = batch.target.flatten(1)
    code = torch.sigmoid(seen @ first.weight.T + first.bias)
    for done, inputs, layer in ((0.1, seen, first), (0.3, code, second)):
        hidden = torch.sigmoid(inputs @ layer.weight.T + layer.bias)
        expected = F.binary_cross_entropy(torch.sigmoid(hidden @ layer.weight + layer.back_bias), inputs)
        torch.testing.assert_close(UNMASKED.loss(network, batch, done, None), expected)


def test_noise_plays_no_part_before_the_end(network, drawn) -> None:
    without = drawn(4)._replace(noisy=torch.full((2, 1, 4, 4), torch.nan))
    assert OBJECTIVE.loss(network, without, 0.3, None) == OBJECTIVE.loss(network, drawn(4), 0.3, None)
    assert OBJECTIVE.loss(network, without._replace(noisy=without.target), 0.7, None) != OBJECTIVE.loss(network, drawn(4), 0.7, None)


def test_the_named_share_of_a_layers_inputs_is_masked_and_the_rest_is_as_it_was(network, drawn) -> None:
    batch, seen = drawn(4, count=1000), []
    network.layers[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    OBJECTIVE.loss(network, batch, 0.0, None)
    whole = batch.target.flatten(1)
    kept = seen[0] == whole
    assert (~kept).float().mean().item() == pytest.approx(0.25, abs=0.02)  # 16000 numbers: 5 standard errors
    assert not seen[0][~kept].any()


def test_without_layer_wise_training_all_layers_learn_from_the_start(network, drawn) -> None:
    layer_wise.Config(kind="layer_wise", pretrain=0.0, masked=0.25).loss(network, drawn(4), 0.0, None).backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_another_kind_than_the_stacked_autoencoder_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"layer_wise takes kind stacked_autoencoder, found 'dncnn'; use mse or bce"):
        OBJECTIVE.check(DnCNN(kind="dncnn", channels=4, depth=3, unshuffle=1, batch_norm=True), [])
