import pytest
from pydantic import TypeAdapter

from xraydenoise import models
from xraydenoise.models import cost

READ: TypeAdapter[models.Network] = TypeAdapter(models.NetworkConfig)


@pytest.mark.parametrize(("depth", "field"), [(2, 5), (8, 17)])
def test_a_chain_of_3x3_convolutions_sees_one_more_pixel_a_layer_on_each_side(depth: int, field: int) -> None:
    network = READ.validate_python({"kind": "dncnn", "channels": 4, "depth": depth, "unshuffle": 1, "batch_norm": True})
    assert cost.receptive_field(network) == field


def test_the_operations_of_a_chain_are_those_of_its_weights() -> None:
    network = READ.validate_python({"kind": "dncnn", "channels": 4, "depth": 3, "unshuffle": 1, "batch_norm": False})
    weights = 9 * (4 + 16 + 4)
    assert cost.mflop(network) == pytest.approx(2 * weights / 1e6)
    assert cost.parameters(network) == weights + 4 + 4 + 1


def test_unshuffling_sees_twice_as_far_for_a_quarter_of_the_work() -> None:
    entries = ({"kind": "red_net", "channels": 8, "depth": 8, "unshuffle": unshuffle} for unshuffle in (1, 2))
    plain, unshuffled = (READ.validate_python(entry) for entry in entries)
    assert cost.receptive_field(unshuffled) >= 2 * cost.receptive_field(plain) - 2
    assert cost.mflop(unshuffled) < cost.mflop(plain) / 2


def test_a_network_of_patches_sees_no_further_than_the_patches_that_overlap() -> None:
    network = READ.validate_python({"kind": "stacked_autoencoder", "side": 16, "hidden": [8]})
    assert 16 <= cost.receptive_field(network) <= 31
