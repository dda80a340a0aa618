"""What holds for every kind of source."""

from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict, ValidationError

from xraydenoise import contracts
from xraydenoise.data import sources
from xraydenoise.data.sources import folder, phantom

ENTRIES = {
    "sample": {"kind": "sample", "path": "a"},
    "folder": {"kind": "folder", "path": "a"},
    "kaggle": {"kind": "kaggle", "path": "a", "handle": "o/d", "version": 2, "rule": "pneumonia", "licence": "CC BY 4.0"},
    "phantom": {"kind": "phantom", "path": "a", "patients": 3, "images_per_patient": 1, "size": 64, "seed": 1},
}


class Owner(BaseModel):
    model_config = ConfigDict(frozen=True)
    source: sources.SourceConfig


@pytest.mark.parametrize("kind", ENTRIES)
def test_a_mapping_becomes_the_config_of_its_kind_and_goes_back_whole(kind: str) -> None:
    owner = Owner.model_validate({"source": ENTRIES[kind]})
    assert type(owner.source).__module__ == f"xraydenoise.data.sources.{kind}"
    assert isinstance(owner.source, sources.Source)
    assert owner.source.path == Path("a")
    assert owner.model_dump(mode="json") == {"source": ENTRIES[kind]}
    assert Owner(source=owner.source).source is owner.source


def test_every_kind_of_the_room_is_tried_here() -> None:
    room = Path(sources.__file__).parent
    assert {file.name for file in room.glob("[a-z]*")} == set(ENTRIES)


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        ({"path": "a"}, "has no kind; expected one of folder, kaggle, phantom, sample"),
        ({"kind": "ftp", "path": "a"}, "unknown; expected one of folder, kaggle, phantom, sample, found 'ftp'"),
        ({"kind": "folder", "path": "a", "glob": "*"}, "glob: Extra inputs are not permitted"),
        ({**ENTRIES["kaggle"], "handle": "https://kaggle.com/o/d"}, "handle: String should match pattern"),
        ({**ENTRIES["kaggle"], "version": 0}, "version: Input should be greater than or equal to 1, found 0"),
        ({**ENTRIES["phantom"], "size": 8}, "size: Input should be greater than or equal to 32, found 8"),
    ],
)
def test_a_wrong_entry_is_refused_by_its_key_and_value(entry: dict, fault: str) -> None:
    with pytest.raises(ValidationError, match=fault.replace("*", r"\*")):
        Owner.model_validate({"source": entry})


def test_a_listing_without_rows_is_a_listing() -> None:
    contracts.Downloads.validate(sources.listing([]))


def test_kinds_are_siblings() -> None:
    assert issubclass(folder.Config, sources.Source)
    assert phantom.Config.family == folder.Config.family == ""
