import pytest
import torch

from xraydenoise.labelling.networks import RRDBNet, SRVGGNetCompact


def test_rrdbnet_has_the_official_keys_and_size():
    keys = RRDBNet().state_dict()
    assert len(keys) == 2 * (23 * 3 * 5 + 6)
    assert sum(value.numel() for value in keys.values()) == 16_697_987
    assert {"conv_first.weight", "body.0.rdb1.conv1.weight", "body.22.rdb3.conv5.bias", "conv_body.bias", "conv_up1.weight"} <= set(keys)
    assert {"conv_up2.weight", "conv_hr.weight", "conv_last.bias"} <= set(keys)
    assert keys["body.4.rdb2.conv3.weight"].shape == (32, 128, 3, 3)


def test_compact_has_the_official_keys_and_size():
    keys = SRVGGNetCompact().state_dict()
    assert {"body.0.weight", "body.1.weight", "body.66.weight", "body.66.bias"} <= set(keys)
    assert keys["body.1.weight"].shape == (64,)
    assert keys["body.66.weight"].shape == (48, 64, 3, 3)
    assert sum(value.numel() for value in keys.values()) == 1_213_296


@pytest.mark.parametrize("network", [RRDBNet(8, 1, 4), SRVGGNetCompact(8, 2)], ids=["rrdbnet", "compact"])
def test_the_output_is_four_times_as_large_for_any_size(network):
    assert network(torch.rand(2, 3, 7, 11)).shape == (2, 3, 28, 44)


def test_compact_adds_its_detail_to_the_enlarged_input():
    network = SRVGGNetCompact(8, 2)
    for parameter in network.body[-1].parameters():
        torch.nn.init.zeros_(parameter)
    pixels = torch.rand(1, 3, 5, 6)
    torch.testing.assert_close(network(pixels), pixels.repeat_interleave(4, 2).repeat_interleave(4, 3))
