import torch

from xraydenoise import models
from xraydenoise.models.skip_autoencoder import Config

PUBLISHED = Config(kind="skip_autoencoder", channels=(64, 64, 128, 256, 518), last=64)
SMALL = Config(kind="skip_autoencoder", channels=(4, 4, 6, 8, 10), last=64)


def test_the_published_shape_has_its_parameters() -> None:
    assert models.parameters(models.initialised(PUBLISHED, 0)) == 12_634_631


@torch.inference_mode()
def test_what_comes_up_passes_the_relu_before_what_came_down_is_added() -> None:
    network = models.initialised(SMALL, 0).eval()
    for layer in network.up:
        layer.weight.zero_()
        layer.bias.fill_(-1.0)
    noisy = torch.rand(1, 1, 64, 64)
    came_down = torch.relu(network.first(torch.nn.functional.pad(noisy, (1, 2, 1, 2))))
    torch.testing.assert_close(network(noisy), network.last(came_down)[..., :64, :64])


@torch.inference_mode()
def test_the_last_kernel_lies_over_its_pixel() -> None:
    for side in (3, 4, 64):
        network = models.initialised(SMALL.model_copy(update={"last": side}), 0).eval()
        network.last.weight.zero_()
        network.last.weight[:, 0, (side - 1) // 2, (side - 1) // 2] = 1.0
        noisy, seen = torch.rand(1, 1, 64, 64), []
        network.last.register_forward_hook(lambda _, inputs, __, seen=seen: seen.append(inputs[0]))
        clean = network(noisy)
        torch.testing.assert_close(clean, seen[0].sum(dim=1, keepdim=True) + network.last.bias, atol=1e-5, rtol=1e-5)


@torch.inference_mode()
def test_a_larger_picture_is_blended_from_patches_that_pass_as_the_authors_pictures_did() -> None:
    network, picture = models.initialised(SMALL, 0).eval(), torch.rand(1, 1, 64, 96)
    clean = network(picture)
    torch.testing.assert_close(clean[..., :32], network(picture[..., :64])[..., :32])
    torch.testing.assert_close(clean[..., 64:], network(picture[..., 32:])[..., 32:])
