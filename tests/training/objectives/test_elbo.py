import math

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from xraydenoise import models
from xraydenoise.models.dense_autoencoder import Config as DenseAutoencoder
from xraydenoise.models.vae import VAE
from xraydenoise.models.vae import Config as Vae
from xraydenoise.training.objectives import elbo

OBJECTIVE = elbo.Config(kind="elbo")
SIDE, CODE = 16, 4
NETWORK = Vae(kind="vae", side=SIDE, channels=(2, 3), code=CODE)


def with_code(mean: list[float], log_variance: float) -> VAE:
    """A network that gives every patch the same distribution of its code."""
    network = models.initialised(NETWORK, 0)
    last = network.encode[-1]
    with torch.no_grad():
        last.weight.zero_()
        last.bias.copy_(torch.tensor([*mean, *[log_variance] * CODE]))
    return network


def with_logit(network: VAE, logit: float) -> VAE:
    """The same, but every pixel that it makes of any code has this logit."""
    with torch.no_grad():
        network.decode[-1].weight.zero_()
        network.decode[-1].bias.fill_(logit)
    return network


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    return (torch.log1p(logits.exp()) - target * logits).mean()


def test_with_a_code_that_does_not_vary_it_is_cross_entropy_plus_divergence(drawn) -> None:
    mean, batch = [0.5, -1.0, 2.0, 0.0], drawn(SIDE)
    network = with_code(mean, -40.0)
    divergence = 0.5 * sum(number**2 + math.exp(-40) - 1 + 40 for number in mean)
    expected = cross_entropy(network.decode(torch.tensor([mean, mean])), batch.target) + divergence / SIDE**2
    torch.testing.assert_close(OBJECTIVE.loss(network, batch, 0.0, None), expected)


def test_a_standard_normal_code_has_no_divergence_and_others_have_theirs(drawn) -> None:
    batch = drawn(SIDE)
    bare = cross_entropy(torch.full_like(batch.target, 0.3), batch.target)
    for mean, log_variance, divergence in [(0.0, 0.0, 0.0), (3.0, 0.0, 4.5 * CODE), (0.0, 1.0, (math.e - 2) / 2 * CODE)]:
        loss = OBJECTIVE.loss(with_logit(with_code([mean] * CODE, log_variance), 0.3), batch, 0.0, None)
        assert loss.item() == pytest.approx(bare.item() + divergence / SIDE**2, rel=1e-5)


def test_the_code_is_drawn_with_the_deviation_that_the_network_gives(drawn) -> None:
    batch = drawn(SIDE, count=4096)
    network = with_code([1.0] * CODE, math.log(0.25))
    codes = []
    network.decode.register_forward_pre_hook(lambda _, inputs: codes.append(inputs[0]))
    OBJECTIVE.loss(network, batch, 0.0, None)
    assert codes[0].mean().item() == pytest.approx(1, abs=0.02)  # 16384 draws: 5 standard errors
    assert codes[0].std().item() == pytest.approx(0.5, abs=0.015)


def test_a_larger_crop_counts_as_its_patches_and_what_is_left_over_as_nothing(drawn) -> None:
    network, whole = with_code([1.0] * CODE, -40.0), drawn(2 * SIDE, count=1)
    corners = [(top, left) for top in (0, SIDE) for left in (0, SIDE)]
    patches = [F.pad(whole.target, (-left, left - SIDE, -top, top - SIDE)) for top, left in corners]
    alone = [OBJECTIVE.loss(network, drawn(SIDE, count=1)._replace(target=patch), 0.0, None) for patch in patches]
    found = OBJECTIVE.loss(network, whole, 0.0, None)
    torch.testing.assert_close(found, torch.stack(alone).mean())
    wider = whole._replace(noisy=F.pad(whole.noisy, (0, 5, 0, 3)), target=F.pad(whole.target, (0, 5, 0, 3), value=1.0))
    torch.testing.assert_close(OBJECTIVE.loss(network, wider, 0.0, None), found)


def test_a_smaller_crop_is_continued_by_reflection_as_a_small_picture_is_when_it_is_denoised(drawn) -> None:
    network, small = with_code([1.0] * CODE, -40.0), drawn(SIDE // 2 + 1)
    mirrored = {"noisy": F.pad(small.noisy, (0, 7, 0, 7), mode="reflect"), "target": F.pad(small.target, (0, 7, 0, 7), mode="reflect")}
    torch.testing.assert_close(OBJECTIVE.loss(network, small, 0.0, None), OBJECTIVE.loss(network, small._replace(**mirrored), 0.0, None))


def test_another_kind_than_vae_is_refused_by_name() -> None:
    dense = DenseAutoencoder(kind="dense_autoencoder", side=SIDE, channels=(2, 3), code=CODE)
    with pytest.raises(ValueError, match=r"elbo takes kind vae, .*, found 'dense_autoencoder'; use mse"):
        OBJECTIVE.check(dense, [])
