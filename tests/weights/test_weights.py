import csv
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from xraydenoise import models, weights
from xraydenoise.data import duplicates

CPU = torch.device("cpu")
HERE = Path(str(weights.FOLDER))


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the smaller file, in the place of the package's."""
    monkeypatch.setattr(weights, "FOLDER", tmp_path)
    return Path(shutil.copy(HERE / "fast.safetensors", tmp_path))


@pytest.mark.parametrize("name", weights.PACKAGED)
@torch.inference_mode()
def test_packaged_weights_take_most_of_the_noise_from_a_smooth_picture(name: str) -> None:
    down, across = torch.meshgrid(torch.linspace(0, 3, 96), torch.linspace(0, 3, 96), indexing="ij")
    clean = 0.5 + 0.3 * torch.sin(down) * torch.cos(across)
    noisy = clean + 0.1 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    denoised = weights.load(name, CPU)(noisy[None, None])[0, 0]
    assert (denoised - clean).square().mean() < 0.03 * (noisy - clean).square().mean()  # 15 dB


@pytest.mark.parametrize("name", weights.PACKAGED)
def test_each_file_has_a_card_that_tells_its_shape_and_is_not_for_diagnosis(name: str) -> None:
    card = (HERE / f"{name}.md").read_text(encoding="utf-8")
    network = weights.PACKAGED[name].network
    assert f"{models.parameters(models.initialised(network, 0)):,} parameters" in card
    assert re.search(r"\[[\d, ]+\], blocks \[[\d, ]+\]", card)
    for told in ("Not for diagnostic use", "NIH Clinical Center", "MIT", "Where it ends", "Recipe"):
        assert told in " ".join(card.split())


def test_a_changed_file_is_refused_by_name_with_the_way_out(copied: Path) -> None:
    content = bytearray(copied.read_bytes())
    content[-1] ^= 1
    copied.write_bytes(content)
    with pytest.raises(
        ValueError, match=r"fast\.safetensors: has sha256 .*, expected b88480.*; it was changed or cut off: install .* again"
    ):
        weights.load("fast", CPU)


def test_a_file_that_was_cut_off_is_refused_by_name(copied: Path) -> None:
    copied.write_bytes(copied.read_bytes()[:1000])
    with pytest.raises(ValueError, match=r"fast\.safetensors: has sha256 .* in 1000 bytes"):
        weights.load("fast", CPU)


def test_a_file_that_is_not_there_or_unreadable_is_refused_by_name_with_the_way_out(copied: Path) -> None:
    copied.unlink()
    with pytest.raises(OSError, match=r"fast\.safetensors: cannot be read \(No such file.*\); install the package again"):
        weights.load("fast", CPU)
    copied.mkdir()
    with pytest.raises(
        OSError, match=r"fast\.safetensors: cannot be read \((Is a directory|Permission denied)\); install the package again"
    ):
        weights.load("fast", CPU)


def test_a_file_whose_weights_are_of_another_shape_is_refused_by_name(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = weights.Packaged(weights.PACKAGED["best"].network, weights.PACKAGED["fast"].sha256)
    monkeypatch.setitem(weights.PACKAGED, "fast", other)
    with pytest.raises(ValueError, match=r"fast\.safetensors: does not hold the weights of .*Missing key"):
        weights.load("fast", CPU)


def test_every_picture_learnt_from_has_its_signature() -> None:
    with (HERE / "trained_on.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    signatures = np.load(HERE / "trained_on_signatures.npy")
    assert signatures.shape == (len(rows), duplicates.LENGTH)
    assert np.isfinite(signatures).all()
    assert len({row["image"] for row in rows}) == len(rows) == 440
