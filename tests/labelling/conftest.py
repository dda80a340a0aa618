import hashlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from xraydenoise.labelling import weights
from xraydenoise.labelling.networks import SRVGGNetCompact


@pytest.fixture(autouse=True)
def two_threads() -> None:
    torch.set_num_threads(2)


@pytest.fixture(scope="session")
def picture() -> Callable[..., np.ndarray]:
    """Pictures (H, W) of smooth blobs with a bright bar: structure of several scales in [0, 1]."""

    def picture(height: int, width: int) -> np.ndarray:
        noise = np.random.default_rng(0).standard_normal((height, width)).astype(np.float32)
        pixels = 0.45 + 0.8 * cv2.GaussianBlur(noise, (0, 0), 4) + 0.1 * cv2.GaussianBlur(noise, (0, 0), 1.5)
        pixels[:, width // 3 : width // 3 + 3] += 0.2
        return np.clip(pixels, 0, 1)

    return picture


@pytest.fixture(scope="session")
def compact() -> nn.Module:
    """A small Compact network with random weights: its receptive field is 12 px, so that tiles of 64 px can be exact within."""
    torch.manual_seed(0)
    network = SRVGGNetCompact(features=8, convolutions=4).eval().requires_grad_(False)
    return network.to(memory_format=torch.channels_last)


@pytest.fixture(scope="session")
def x4plus() -> nn.Module:
    """The real network with the package's weights."""
    return weights.load("x4plus", weights.locate("x4plus", "package", Path())).to(memory_format=torch.channels_last)


@pytest.fixture
def released(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A .pth as the authors release them, of the whole general-x4v3 with random weights, its sha256 pinned as the official one's."""
    torch.manual_seed(0)
    path = tmp_path / "realesr-general-x4v3.pth"
    torch.save({"params": SRVGGNetCompact().state_dict()}, path)
    pinned = weights.OFFICIAL["general-x4v3"]._replace(sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    monkeypatch.setitem(weights.OFFICIAL, "general-x4v3", pinned)
    return path
