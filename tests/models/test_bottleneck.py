import pytest
import torch

from xraydenoise import models
from xraydenoise.models import bottleneck, dense_autoencoder, vae

PUBLISHED = dense_autoencoder.Config(kind="dense_autoencoder", side=64, channels=(32, 64), code=150, kernel=3)
VARIATIONAL = vae.Config(kind="vae", side=64, channels=(32, 64), code=50, kernel=3)


def test_the_published_dense_autoencoder_has_its_parameters_which_count_running_statistics_too() -> None:
    network = models.initialised(PUBLISHED, 0)
    statistics = [values for name, values in network.named_buffers() if "running" in name]
    assert models.parameters(network) + sum(values.numel() for values in statistics) == 2_525_719


def test_the_published_variational_autoencoder_has_its_parameters() -> None:
    assert models.parameters(models.initialised(VARIATIONAL, 0)) == 1_600_613


@pytest.mark.parametrize("published", [PUBLISHED, VARIATIONAL], ids=["dense", "variational"])
def test_the_mended_decoder_is_the_default_and_has_its_parameters_more(published: models.Network) -> None:
    mended = type(published).model_validate(published.model_dump(exclude={"kernel"}))
    one, other = (models.parameters(models.initialised(network, 0)) for network in (mended, published))
    assert one - other == 14_336


@pytest.mark.parametrize("side", [16, 24, 64, 128])
def test_the_encoder_without_padding_leaves_what_the_dense_layer_expects(side: int) -> None:
    coarse = bottleneck.encoder((2, 3))(torch.rand(1, 1, side, side))
    assert coarse.shape == (1, 3, bottleneck.coarse(side), bottleneck.coarse(side))


@pytest.mark.parametrize(("kernel", "gaps"), [(3, True), (4, False)])
@torch.inference_mode()
def test_only_the_published_kernel_leaves_rows_and_columns_that_hold_the_bias_alone(kernel: bottleneck.Kernel, gaps: bool) -> None:
    decoder = bottleneck.decoder(64, (4, 6), 5, kernel)
    layer = next(part for part in decoder if isinstance(part, torch.nn.ConvTranspose2d))
    bare = (layer(torch.rand(1, 4, 8, 8)) == layer.bias[:, None, None])[0].all(dim=0)  # (32, 32)
    assert bare.any() == gaps
    assert bare[3::4].all() == bare[:, 3::4].all() == gaps
    assert decoder(torch.rand(1, 5)).shape == (1, 1, 64, 64)
