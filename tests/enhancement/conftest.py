import runpy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

BENCH = runpy.run_path(str(Path(__file__).parents[2] / "bench/presets.py"))


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def radiographs() -> list[np.ndarray]:
    """Three synthetic ones, float32 (512, 512), mean .55, neither black nor white; none was used to calibrate the presets."""
    seeds = range(100, 103)
    assert not set(seeds) & set(BENCH["SEEDS"])
    return [BENCH["radiograph"](seed) for seed in seeds]


@pytest.fixture(scope="session")
def radiograph(radiographs: list[np.ndarray]) -> np.ndarray:
    return radiographs[0]


@pytest.fixture(scope="session")
def shown() -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Measures a finished picture beside its plain one: gain of each band, mean, share of white, share of black."""
    measure: Callable[[np.ndarray, np.ndarray], np.ndarray] = BENCH["shown"]
    return measure
