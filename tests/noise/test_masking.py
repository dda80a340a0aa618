from collections.abc import Callable

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor


@pytest.mark.parametrize("share", [0.1, 0.25, 0.7])
def test_mean_and_variance_follow_from_the_share(share: float, degrade: Callable[..., Tensor]) -> None:
    noisy = degrade(torch.full((1, 1, 256, 256), 0.5), kind="masking", share=share)
    assert noisy.mean().item() == pytest.approx(0.5 * (1 - share), rel=1e-4)
    assert noisy.var().item() == pytest.approx(0.25 * share * (1 - share), rel=1e-3)


@given(share=st.floats(0, 1), height=st.integers(1, 20), width=st.integers(1, 20))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_share_is_exact_and_the_other_pixels_are_untouched(
    share: float, height: int, width: int, degrade: Callable[..., Tensor]
) -> None:
    clean = torch.rand(3, 1, height, width, generator=torch.Generator().manual_seed(2)) / 2 + 0.5
    noisy = degrade(clean, kind="masking", share=share)
    assert ((noisy == clean) | (noisy == 0)).all()
    assert ((noisy == 0).sum(dim=(1, 2, 3)) - share * height * width).abs().max() <= 0.5 + 1e-4


def test_pixels_are_chosen_all_over_and_for_each_picture_anew(degrade: Callable[..., Tensor]) -> None:
    masked = degrade(torch.ones(400, 1, 8, 8), kind="masking", share=0.25) == 0
    assert not torch.equal(masked[0], masked[1])
    assert (masked.float().mean(dim=0) - 0.25).abs().max() < 0.1  # 4.6 standard deviations of 400 coins


def test_each_picture_has_a_share_of_its_own(degrade: Callable[..., Tensor]) -> None:
    shares = (degrade(torch.ones(8, 1, 64, 64), kind="masking", share=[0.1, 0.9]) == 0).float().mean(dim=(1, 2, 3))
    assert shares.unique().numel() == 8
    assert shares.min() > 0.099
    assert shares.max() < 0.901


@pytest.mark.parametrize("wrong", [{"share": 1.5}, {"share": -0.1}, {"clip": False}], ids=str)
def test_limits_are_kept(wrong: dict[str, object], degrade: Callable[..., Tensor]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(wrong))}: "):
        degrade(torch.ones(1, 1, 8, 8), **{"kind": "masking", "share": 0.1} | wrong)
