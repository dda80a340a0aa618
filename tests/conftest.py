"""What every test gives back as it found it."""

import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def same_import_path() -> Iterator[None]:
    """MLflow puts the code that travels with a model in front of ours and leaves it there, and later tests' processes inherit it."""
    before = sys.path[:]
    yield
    sys.path[:] = before
