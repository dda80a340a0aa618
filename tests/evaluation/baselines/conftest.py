from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor

import numpy as np
import pytest


@pytest.fixture
def pool() -> Iterator[Executor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


@pytest.fixture
def clean() -> np.ndarray:
    """A soft bright shape with a sharp edge and a thin bone, on a dark ground: 64x80 px."""
    y, x = np.mgrid[:64, :80]
    shape = 0.12 + 0.6 * np.exp(-(((y - 30) / 22) ** 2) - ((x - 35) / 26) ** 2)
    shape[(x > 60) & (y > 8)] = 0.85
    shape[(y > 44) & (y < 49)] += 0.1
    return shape.astype(np.float32)
