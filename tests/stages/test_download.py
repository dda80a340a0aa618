from pathlib import Path

import pandas as pd
import pytest

from xraydenoise import contracts
from xraydenoise.data.sources import folder, kaggle, phantom
from xraydenoise.params import Params
from xraydenoise.stages import download


@pytest.fixture
def params(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Params:
    """A phantom and an empty inbox, in an empty project."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "inbox").mkdir()
    chests = phantom.Config(kind="phantom", path=Path("a"), patients=2, images_per_patient=1, size=64, seed=1)
    return Params.model_construct(datasets={"chests": chests, "inbox": folder.Config(kind="folder", path=Path("inbox"))})


def read(name: str) -> list[dict]:
    return contracts.read(Path("downloads") / name / "manifest.parquet", contracts.Downloads).to_dict("records")


def test_a_dataset_is_fetched_and_listed_with_its_patients_under_its_name(params: Params, capsys: pytest.CaptureFixture[str]) -> None:
    download.run(params, "chests")
    assert [row["patient"] for row in read("chests")] == ["chests:p0000", "chests:p0001"]
    assert all((Path("downloads/chests") / row["path"]).is_file() for row in read("chests"))
    assert capsys.readouterr().out == "download chests: 2 files, 0.0 MB, from phantom\n"


def test_an_empty_inbox_is_a_dataset_without_images_and_says_so(params: Params, capsys: pytest.CaptureFixture[str]) -> None:
    download.run(params, "inbox")
    assert read("inbox") == []
    assert capsys.readouterr().out == "download inbox: 0 files, 0.0 MB, from folder; there is no image in inbox\n"


def test_what_an_earlier_run_left_is_gone_and_the_bytes_are_the_same(params: Params) -> None:
    download.run(params, "chests")
    first = {path: path.read_bytes() for path in Path("downloads").rglob("*.*")}
    (Path("downloads/chests/files") / "old.png").touch()
    download.run(params, "chests")
    assert {path: path.read_bytes() for path in Path("downloads").rglob("*.*")} == first


def test_an_image_without_a_patient_has_none_in_the_list(params: Params) -> None:
    Path("inbox/a.png").write_bytes(b"pixels")
    download.run(params, "inbox")
    assert [(row["path"], pd.isna(row["patient"])) for row in read("inbox")] == [("files/a.png", True)]


def test_both_kaggle_sets_write_their_patients_under_one_family(params: Params) -> None:
    class Fetched(kaggle.Config):
        def fetch(self, destination: Path):
            return phantom.Config(kind="phantom", path=Path("a"), patients=1, images_per_patient=1, size=64, seed=1).fetch(destination)

    entry = {"kind": "kaggle", "path": "a", "handle": "o/d", "version": 1, "rule": "pneumonia", "licence": "CC BY 4.0"}
    params = Params.model_construct(datasets={"one": Fetched(**entry), "two": Fetched(**entry | {"rule": "coronahack"})})
    for name in ("one", "two"):
        download.run(params, name)
    assert read("one")[0]["patient"] == read("two")[0]["patient"] == "kermany:p0000"
