import pandas as pd
import pandera.errors
import pytest

from xraydenoise import contracts


def track(**changes):
    row = {"image": "abcdef01", "patient": "p", "split": "train", "teaches": True, "label": "clear", "offset": 0, "height": 8, "width": 8}
    return pd.DataFrame([row, row | {"image": "abcdef02", "label": None, "offset": 64} | changes])


@pytest.mark.parametrize("name", ["manifest.parquet", "manifest.csv"])
def test_a_manifest_reads_back_as_it_was_written(tmp_path, name):
    contracts.write(track(), tmp_path / name, contracts.Track)
    pd.testing.assert_frame_equal(contracts.read(tmp_path / name, contracts.Track), track())


def test_the_same_table_gives_the_same_bytes(tmp_path):
    for name in ("one.parquet", "two.parquet"):
        contracts.write(track(), tmp_path / name, contracts.Track)
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "two.parquet").read_bytes()


@pytest.mark.parametrize(
    ("changes", "column"),
    [({"split": "dev"}, "split"), ({"offset": -1}, "offset"), ({"image": "abcdef01"}, "image"), ({"more": 1}, "more")],
)
def test_a_table_that_breaks_its_contract_is_not_written(tmp_path, changes, column):
    with pytest.raises(ValueError, match=f"is no table of Track.*{column}"):
        contracts.write(track(**changes), tmp_path / "manifest.parquet", contracts.Track)
    assert not list(tmp_path.iterdir())


def test_a_patient_in_two_splits_is_refused():
    frame = pd.DataFrame(
        {
            "image": ["a-0", "b-0"],
            "parent": ["a", "b"],
            "preset": 0,
            "noise": "before",
            "patient": "p",
            "split": ["train", "test"],
            "label": None,
            "top": 0,
            "left": 0,
            "offset": [0, 64],
            "plain": [0, 64],
            "height": 8,
            "width": 8,
            "low": 0.0,
            "middle": 0.5,
            "high": 1.0,
            "level": 0.5,
        }
    )
    with pytest.raises(pandera.errors.SchemaError, match="a patient stands in two splits"):
        contracts.Regions.validate(frame)


def test_a_manifest_that_is_not_there_names_the_way_to_it(tmp_path):
    with pytest.raises(FileNotFoundError, match="dvc repro"):
        contracts.read(tmp_path / "manifest.parquet", contracts.Track)


@pytest.mark.parametrize("schema", contracts.Table.__subclasses__())
def test_an_empty_table_keeps_its_contract(schema, tmp_path):
    contracts.write(contracts.empty(schema), tmp_path / "empty.parquet", schema)
    assert len(contracts.read(tmp_path / "empty.parquet", schema)) == 0


def test_names_that_look_like_numbers_or_like_nothing_stay_names_in_csv(tmp_path):
    path = tmp_path / "groups.csv"
    frame = pd.DataFrame({"track": "noise", "condition": ["10", "007", "nan"], "method": ["null", "none", "1e3"], "letters": "a"})
    contracts.write(frame, path, contracts.Groups)
    pd.testing.assert_frame_equal(contracts.read(path, contracts.Groups), frame)


def test_regions_of_one_picture_are_of_that_picture_whatever_the_preset_and_other_ids_are_their_own() -> None:
    ids = pd.Series(["0a1b2c3d-7", "0a1b2c3d-12", "4e5f6a7b", "plain-picture"])
    assert list(contracts.pictures(ids)) == ["0a1b2c3d", "0a1b2c3d", "4e5f6a7b", "plain-picture"]
