from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from xraydenoise.noise.gaussian import Config as Gaussian
from xraydenoise.training import Plan, TrainConfig, ours
from xraydenoise.training.batches import Pictures
from xraydenoise.training.objectives import UNKNOWN

NOISE = Gaussian(kind="gaussian", mean=0.0, sigma=0.1, clip=True)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def pictures() -> Pictures:
    """Six pictures of slow waves, 40x48 px, resident on the CPU."""
    rng = np.random.default_rng(0)
    down, right = np.mgrid[:40, :48] / 8
    waves = [0.5 + 0.4 * np.sin(down + rng.uniform(0, 6)) * np.sin(right + rng.uniform(0, 6)) for _ in range(6)]
    store = torch.from_numpy(np.rint(np.stack(waves) * 65535).astype(np.uint16).view(np.int16).ravel())
    sizes = [(40, 48)] * 6
    return resident([f"wave{number}" for number in range(6)], sizes, store, [UNKNOWN] * 6)


def resident(images: list[str], sizes: list[tuple[int, int]], store: Tensor, labels: list[int]) -> Pictures:
    """Pictures of these sizes (height, width), one behind the other in a flat int16 store."""
    height, width = torch.tensor(sizes, dtype=torch.int64).reshape(-1, 2).T
    offset = torch.cumsum(height * width, 0) - height * width
    return Pictures(images, offset, height, width, store, torch.tensor(labels), enhanced=None)


@pytest.fixture
def pictures_of() -> Callable[..., Pictures]:
    return resident


@pytest.fixture
def config() -> Callable[..., TrainConfig]:
    """A short training in float32; keywords replace entries."""

    def config(**entries: object) -> TrainConfig:
        short = {
            "batch": 4,
            "patch": 16,
            "warmup": 4,
            "weight_decay": 0.0001,
            "ema": 0.9,
            "validate_every": 10,
            "val_pictures": 2,
            "patience": 100,
        }
        how = {"precision": "fp32", "compile": "never", "checkpoint_every": 1.0, "max_minutes": None, "augment": None}
        return TrainConfig.model_validate(short | how | entries)

    return config


@pytest.fixture
def plan(config: Callable[..., TrainConfig]) -> Callable[..., Plan]:
    """Our plan for a short training; keywords replace entries."""

    def plan(steps: int, rate: float = 3e-3, **entries: object) -> Plan:
        return ours(config(), steps, rate).model_copy(update=entries)

    return plan
