from collections.abc import Callable

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from xraydenoise.noise.system_a import blurred

GRAY = torch.full((1, 1, 256, 256), 0.5)
ENTRY = {"kind": "system_a", "peak": 256.0, "blur": 0.0, "gaussian": 0.0, "sigma": 0.1}


def test_without_blur_and_gaussian_it_is_quantum_noise(degrade: Callable[..., Tensor]) -> None:
    assert degrade(GRAY, **ENTRY).var().item() == pytest.approx(0.5 / 256, rel=0.03)


def test_the_gaussian_part_adds_its_variance(degrade: Callable[..., Tensor]) -> None:
    assert degrade(GRAY, **ENTRY | {"gaussian": 1.0}).var().item() == pytest.approx(0.5 / 256 + 0.01, rel=0.03)


def test_the_blur_comes_before_the_gaussian_part(degrade: Callable[..., Tensor]) -> None:
    assert degrade(GRAY, **ENTRY | {"blur": 1.0}).var().item() < 0.15 * 0.5 / 256
    assert degrade(GRAY, **ENTRY | {"blur": 1.0, "gaussian": 1.0}).var().item() > 0.0098


def test_each_picture_throws_its_own_coins(degrade: Callable[..., Tensor]) -> None:
    noisy = degrade(torch.full((400, 1, 16, 16), 0.5), **ENTRY | {"blur": 0.5, "gaussian": 0.25})
    assert (noisy.std(dim=(1, 2, 3)) > 0.07).float().mean().item() == pytest.approx(0.25, abs=0.08)


def test_the_blur_is_that_of_opencv() -> None:
    picture = np.random.default_rng(0).random((9, 13), dtype=np.float32)
    expected = cv2.GaussianBlur(picture, (3, 3), 3)
    np.testing.assert_allclose(blurred(torch.from_numpy(picture)[None, None])[0, 0].numpy(), expected, atol=1e-6)


def test_it_is_always_clipped(degrade: Callable[..., Tensor]) -> None:
    with pytest.raises(ValueError, match="clip"):
        degrade(GRAY, **ENTRY | {"clip": False})
    assert degrade(torch.ones(1, 1, 64, 64), **ENTRY | {"gaussian": 1.0}).max() == 1
