"""Which pictures of the project a network has seen."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from xraydenoise.data import learnt
from xraydenoise.data.learnt import Learnt
from xraydenoise.params import Params
from xraydenoise.stages import compare, seen


@pytest.fixture
def known(tracks: Path) -> Learnt:
    """Two of the project's pictures: one by its id alone, one by its likeness alone."""
    pictures = seen.Pictures()
    strange = np.random.default_rng(1).standard_normal(pictures.signatures.shape[1]) / 24
    return Learnt(("noise0001", "elsewhere"), np.stack([strange.astype(np.float16), pictures.signatures[10]]))


def test_pictures_are_known_by_id_and_by_likeness(known: Learnt) -> None:
    images = pd.Series([f"noise{number:04d}" for number in range(12)])
    assert seen.Pictures().seen(known, images) == {"noise0001", "noise0010"}


def test_regions_are_known_by_the_picture_that_they_were_cut_from(known: Learnt) -> None:
    assert seen.Pictures().seen(known, pd.Series(["noise0001-4", "noise0002-4", "noise0010-0"])) == {"noise0001-4", "noise0010-0"}


def test_what_a_network_learns_from_is_its_pictures_each_once(tracks: Path) -> None:
    found = seen.Pictures().learnt(pd.Series(["noise0003-0", "noise0003-7", "noise0005-0"]))
    assert found.images == ("noise0003", "noise0005")
    np.testing.assert_array_equal(found.signatures, seen.Pictures().signatures[[3, 5]])


@pytest.mark.usefixtures("described")
def test_the_ranking_tells_what_a_model_has_seen_where_its_weights_come_from(scored: Params, capsys: pytest.CaptureFixture[str]) -> None:
    folder = seen.START / "dncnn"
    folder.mkdir(parents=True)
    (folder / "weights.safetensors").touch()
    test = pd.Series([f"noise{number:04d}" for number in range(12, 24)])
    (folder / learnt.FILE).write_bytes(seen.Pictures().learnt(test[:3]).content())
    compare.run(scored)
    said = " ".join(capsys.readouterr().out.split())
    assert "dncnn has seen 3 of these 12 images, or copies, where its weights come from; they prove nothing of it" in said
    assert "**Seen before:** dncnn has seen 3 of these 12 images" in Path("artifacts/compare/report.md").read_text()
    assert "Track noise: dncnn has seen 3 of these 12 images" in Path("artifacts/compare/report.html").read_text()
    (folder / learnt.FILE).unlink()
    compare.run(scored)
    assert "dncnn begins from weights that do not tell what they learnt from" in " ".join(capsys.readouterr().out.split())
