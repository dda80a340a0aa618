import pytest
import torch

from xraydenoise import device


def test_cpu_is_the_cpu_even_beside_a_gpu() -> None:
    assert device.pick("cpu") == torch.device("cpu")


def test_auto_takes_cuda_where_there_is_one() -> None:
    assert device.pick("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_cuda_that_is_not_there_is_refused_with_the_way_out() -> None:
    with pytest.raises(ValueError, match=r"device: cuda, but .*use auto or cpu"):
        device.pick("cuda")


@pytest.mark.skipif(torch.backends.mps.is_available(), reason="there is an MPS device")
def test_mps_that_is_not_there_is_refused_with_the_way_out() -> None:
    with pytest.raises(ValueError, match=r"device: mps, but .*Apple silicon, or use auto or cpu"):
        device.pick("mps")


def test_an_unknown_device_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"'tpu' is unknown; expected auto, cpu, cuda, mps"):
        device.pick("tpu")  # type: ignore[arg-type]


def test_bf16_support_is_known_for_the_cpu() -> None:
    assert device.bf16_supported(torch.device("cpu")) in (True, False)
