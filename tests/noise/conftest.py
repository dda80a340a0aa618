from collections.abc import Callable

import pytest
import torch
from pydantic import TypeAdapter
from torch import Tensor

from xraydenoise.noise import Noise, NoiseConfig


@pytest.fixture
def degrade() -> Callable[..., Tensor]:
    """Noise of an entry, as params.yaml would have it, on `clean`; drawn with seed 0."""

    def degrade(clean: Tensor, **entry: object) -> Tensor:
        noise: Noise = TypeAdapter(NoiseConfig).validate_python(entry)
        return noise(clean, torch.Generator().manual_seed(0))

    return degrade
