"""The weights that models begin from, read into the project."""

import json
from pathlib import Path

import pytest
import torch

from xraydenoise import models, weights
from xraydenoise.data import learnt
from xraydenoise.params import ModelConfig, Params
from xraydenoise.stages import check, seen, start

FAST = weights.PACKAGED["fast"].network
CPU = torch.device("cpu")


@pytest.fixture
def begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_of_stages):
    """Params whose models of track noise begin as keywords tell, in a project of their own."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "starts").mkdir()

    def begins(**starts: str | None) -> Params:
        chosen: Params = small_of_stages()
        network = chosen.models["dncnn"].network
        entries = {
            name: chosen.models["dncnn"].model_copy(update={"start": value, "network": FAST if value in weights.PACKAGED else network})
            for name, value in starts.items()
        }
        return chosen.model_copy(update={"models": entries})

    return begins


@pytest.fixture
def mine(begins, untrained_of_stages) -> Path:
    """A folder of the project's starts, with weights of the shape of the sample's DnCNN."""
    folder = Path("starts/mine")
    untrained_of_stages(folder, begins(other=None).models["other"].network, seed=0)
    return folder


def test_packaged_weights_come_with_what_they_learnt_from(begins) -> None:
    start.run(begins(tuned="fast"))
    assert (start.OUT / "tuned/weights.safetensors").read_bytes() == weights.content("fast")
    assert models.described(start.OUT / "tuned") == FAST
    found = learnt.load(start.OUT / "tuned")
    assert found is not None
    assert len(found.images) == 440
    assert learnt.seen(found, found.images[:3], found.signatures[:3]) == set(found.images[:3])


@pytest.mark.parametrize("name", ["start.txt", "config.json"])
def test_what_was_fetched_and_is_damaged_is_looked_for_again_and_stops_nothing(name, begins, mine, damage, monkeypatch) -> None:
    registered = "models:/x@champion"
    monkeypatch.setattr(start.fetch, "fetch", lambda _: mine)
    chosen = begins(other=registered)
    start.run(chosen)
    monkeypatch.setattr(start.fetch, "fetch", lambda uri: pytest.fail(f"{uri} is there"))
    start.check(chosen)
    damage(start.OUT / "other" / name)
    asked = []
    monkeypatch.setattr(start.fetch, "fetch", lambda uri: asked.append(uri) or mine)
    start.check(chosen)
    assert asked == [registered] or (name, start._fetched(start.OUT / "other", chosen.models["other"])) == ("start.txt", True)


def test_a_model_that_begins_anew_has_a_folder_that_says_so(begins) -> None:
    start.run(begins(other=None))
    assert [path.name for path in (start.OUT / "other").iterdir()] == [start.TOLD]
    assert (start.OUT / "other" / start.TOLD).read_text() == "null\n"
    assert seen.begun("other") == learnt.NOTHING


def test_another_entry_changes_no_byte_of_a_models_folder(begins) -> None:
    start.run(begins(tuned="fast"))
    before = {path.name: path.read_bytes() for path in (start.OUT / "tuned").iterdir()}
    start.run(begins(tuned="fast", other=None))
    assert {path.name: path.read_bytes() for path in (start.OUT / "tuned").iterdir()} == before


def test_a_folder_of_starts_is_taken_and_tells_what_it_knows(begins, mine: Path) -> None:
    start.run(begins(other="starts/mine"))
    assert (start.OUT / "other/weights.safetensors").read_bytes() == (mine / "weights.safetensors").read_bytes()
    assert seen.begun("other") is None  # it does not tell
    (mine / learnt.FILE).write_bytes(weights.learnt().content())
    start.run(begins(other="starts/mine"))
    found = seen.begun("other")
    assert found is not None
    assert len(found.images) == 440


def test_a_start_of_another_shape_is_refused_before_anything_runs_with_both_shapes(begins, mine: Path) -> None:
    chosen = begins(other="starts/mine")
    entry = chosen.models["other"]
    other = chosen.model_copy(update={"models": {"other": entry.model_copy(update={"network": FAST})}})
    with pytest.raises(ValueError, match=r"models\.other\.start: starts/mine is a network with kind dncnn, channels 48"):
        start.check(other)


def test_check_refuses_a_start_that_is_not_there(begins) -> None:
    with pytest.raises(FileNotFoundError, match=r"starts/mine/weights\.safetensors: not there|starts/mine/config\.json: not there"):
        check.run(begins(other="starts/mine").model_copy(update={"datasets": {}}))


def test_damaged_weights_are_refused_by_name(begins, mine: Path) -> None:
    (mine / "weights.safetensors").write_bytes((mine / "weights.safetensors").read_bytes()[:-8])
    with pytest.raises(ValueError, match=r"starts/mine/weights\.safetensors: does not fit the network"):
        start.run(begins(other="starts/mine"))


def test_a_registered_model_that_was_fetched_is_not_asked_for_again(begins, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = begins(other="models:/xraydenoise@champion")
    asked: list[str] = []

    def refuse(uri: str) -> Path:
        asked.append(uri)
        raise ValueError(uri)

    monkeypatch.setattr(start.fetch, "fetch", refuse)
    with pytest.raises(ValueError, match="models:/xraydenoise@champion"):
        start.check(chosen)
    (start.OUT / "other").mkdir(parents=True)
    (start.OUT / "other" / start.TOLD).write_text("models:/xraydenoise@champion\nsha256 0\n")
    network = chosen.models["other"].network.model_dump(mode="json")
    (start.OUT / "other/config.json").write_text(json.dumps({"network": network}))
    start.check(chosen)
    assert len(asked) == 1
    (start.OUT / "other/config.json").write_text(json.dumps({"network": {**network, "depth": 3}}))
    with pytest.raises(ValueError, match="models:/xraydenoise@champion"):
        start.check(chosen)  # of another shape by now


def entry(begins, **changes: object) -> dict[str, object]:
    plain = begins(other=None).models["other"].model_dump(mode="json", serialize_as_any=True)
    return plain | changes


@pytest.mark.parametrize("value", ["slow", "/somewhere/else", "starts/../elsewhere", "models:/name", "models:/a@b@c"])
def test_a_start_from_elsewhere_is_refused_with_what_is_allowed(value: str, begins) -> None:
    with pytest.raises(ValueError, match=r"start\n.*expected best, fast, models:/NAME@ALIAS, models:/NAME/VERSION, null, or starts/FOLDER"):
        ModelConfig.model_validate(entry(begins, start=value))


def test_a_packaged_start_with_another_network_is_refused_with_the_values_to_give(begins) -> None:
    with pytest.raises(ValueError, match=r"start: fast is a network .*'channels': .*give `network` these values"):
        ModelConfig.model_validate(entry(begins, start="fast"))


def test_no_steps_without_a_start_are_refused(begins) -> None:
    with pytest.raises(ValueError, match="0 steps from no weights"):
        ModelConfig.model_validate(entry(begins, steps=0))
    network = json.loads(FAST.model_dump_json())
    assert ModelConfig.model_validate(entry(begins, steps=0, start="fast", network=network)).steps == 0
