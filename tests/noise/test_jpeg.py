from collections.abc import Callable

import cv2
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from xraydenoise.noise.jpeg import LEVELS, compressed


@pytest.fixture
def clean() -> Tensor:
    """Smooth pictures with some grain, which JPEG is made for: (4, 1, 40, 56)."""
    grain = torch.rand(4, 1, 40, 56, generator=torch.Generator().manual_seed(2))
    return 0.8 * torch.linspace(0, 1, 56).expand(4, 1, 40, 56) + 0.2 * grain


def test_it_is_what_opencv_makes_of_each_picture(clean: Tensor, degrade: Callable[..., Tensor]) -> None:
    noisy = degrade(clean, kind="jpeg", quality=30.0)
    for picture, found in zip(clean, noisy, strict=True):
        pixels = np.rint(picture[0].numpy() * LEVELS).astype(np.uint8)
        expected = cv2.imdecode(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 30])[1], cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(np.rint(found[0].numpy() * LEVELS), expected)


@given(height=st.integers(1, 40), width=st.integers(1, 40), gray=st.integers(0, LEVELS))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_plain_picture_of_any_size_keeps_its_shape_and_at_best_quality_its_gray(
    height: int, width: int, gray: int, degrade: Callable[..., Tensor]
) -> None:
    plain = torch.full((2, 1, height, width), gray / LEVELS)
    noisy = degrade(plain, kind="jpeg", quality=100.0)
    assert noisy.shape == plain.shape
    assert (noisy - plain).abs().max() * LEVELS < 1.001


def test_lower_quality_strays_further(clean: Tensor, degrade: Callable[..., Tensor]) -> None:
    errors = [(degrade(clean, kind="jpeg", quality=quality) - clean).square().mean().item() for quality in (5.0, 30.0, 95.0)]
    assert errors == sorted(errors, reverse=True)
    assert errors[0] > 10 * errors[-1]


def test_pictures_turned_or_strided_come_back_in_place(clean: Tensor, degrade: Callable[..., Tensor]) -> None:
    for view in (clean.transpose(2, 3), clean[..., ::2], clean[:1].expand(4, 1, 40, 56)):
        assert torch.equal(degrade(view, kind="jpeg", quality=30.0), degrade(view.clone().contiguous(), kind="jpeg", quality=30.0))
    assert (degrade(clean.transpose(2, 3), kind="jpeg", quality=95.0) - clean.transpose(2, 3)).abs().mean() < 0.02


def test_each_picture_has_a_quality_of_its_own(clean: Tensor, degrade: Callable[..., Tensor]) -> None:
    same = clean[:1].expand(8, 1, 40, 56)
    assert degrade(same, kind="jpeg", quality=[5.0, 95.0]).flatten(1).unique(dim=0).shape[0] == 8
    assert degrade(same, kind="jpeg", quality=5.0).flatten(1).unique(dim=0).shape[0] == 1


@pytest.mark.parametrize("wrong", [{"quality": 0}, {"quality": 101}, {"quality": [0, 50]}, {"clip": False}], ids=str)
def test_limits_are_kept(wrong: dict[str, object], clean: Tensor, degrade: Callable[..., Tensor]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(wrong))}: "):
        degrade(clean, **{"kind": "jpeg", "quality": 30} | wrong)


def test_a_picture_that_jpeg_cannot_hold_is_refused() -> None:
    with pytest.raises(ValueError, match="70000 x 1 px; expected at most 65500"):
        compressed(np.zeros((1, 70000), np.uint8), 50)
