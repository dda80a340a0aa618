from collections.abc import Callable

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

GRAY = torch.full((1, 1, 256, 256), 0.5)


@pytest.mark.parametrize(("density", "salt"), [(0.05, 0.5), (0.3, 0.2), (0.9, 1.0)])
def test_mean_and_variance_follow_from_the_shares_of_white_and_black(density: float, salt: float, degrade: Callable[..., Tensor]) -> None:
    noisy = degrade(GRAY, kind="salt_and_pepper", density=density, salt=salt)
    mean = density * salt + 0.5 * (1 - density)
    variance = density * salt + 0.25 * (1 - density) - mean**2
    assert noisy.mean().item() == pytest.approx(mean, abs=4 * variance**0.5 / 256)
    assert noisy.var().item() == pytest.approx(variance, rel=0.05)


@given(density=st.floats(0, 1), salt=st.floats(0, 1), seed=st.integers(0, 99))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_pixel_is_white_or_black_or_untouched(density: float, salt: float, seed: int, degrade: Callable[..., Tensor]) -> None:
    clean = torch.rand(2, 1, 16, 20, generator=torch.Generator().manual_seed(seed))
    noisy = degrade(clean, kind="salt_and_pepper", density=density, salt=salt)
    assert ((noisy == clean) | (noisy == 0) | (noisy == 1)).all()


@pytest.mark.parametrize(("salt", "level"), [(0.0, 0.0), (1.0, 1.0)])
def test_at_density_one_nothing_is_left_of_the_picture(salt: float, level: float, degrade: Callable[..., Tensor]) -> None:
    assert (degrade(GRAY, kind="salt_and_pepper", density=1.0, salt=salt) == level).all()


def test_each_picture_has_a_density_of_its_own(degrade: Callable[..., Tensor]) -> None:
    noisy = degrade(GRAY.expand(8, 1, 256, 256), kind="salt_and_pepper", density=[0.05, 0.5], salt=0.5)
    densities = (noisy != 0.5).float().mean(dim=(1, 2, 3))
    assert densities.min() > 0.04
    assert densities.max() < 0.51
    assert densities.max() / densities.min() > 1.5


@pytest.mark.parametrize("wrong", [{"density": 1.5}, {"density": -0.1}, {"salt": 1.5}, {"salt": -0.1}, {"clip": False}], ids=str)
def test_limits_are_kept(wrong: dict[str, object], degrade: Callable[..., Tensor]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(wrong))}: "):
        degrade(GRAY, **{"kind": "salt_and_pepper", "density": 0.1, "salt": 0.5} | wrong)
