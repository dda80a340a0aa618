import json
from pathlib import Path

import numpy as np
import pytest
import torch

from xraydenoise import contracts, params, protocols
from xraydenoise.data import store
from xraydenoise.noise import draw_seed
from xraydenoise.stages import reproduce, train

SAMPLE = Path(__file__).parents[2] / "profiles/sample.yaml"
NETWORK = {"kind": "dncnn", "channels": 4, "depth": 3, "unshuffle": 2, "batch_norm": True}
LEARNER = {"protocol": "c", "track": "noise", "objective": {"kind": "mse"}, "steps": 6, "learning_rate": 0.01, "network": NETWORK}
TWO = ["f.1_gaussian_0_1", "f.2_poisson_5"]


@pytest.fixture
def short(tracks: Path) -> params.Params:
    """The sample profile with two networks of protocol C that learn for six steps."""
    whole = params.load(SAMPLE)
    Path("artifacts/classifier").mkdir(parents=True)
    Path("artifacts/classifier/config.json").write_text(json.dumps({"classes": [], "channels": 4}))
    settings = whole.train.model_copy(update={"batch": 2, "patch": 16, "warmup": 2, "validate_every": 3, "precision": "fp32"})
    entries = {
        name: protocols.Learner.model_validate(LEARNER | {"conditions": TWO, "each": name == "c_each"}) for name in ("c_each", "c_one")
    }
    return whole.model_copy(update={"train": settings, "protocols": entries})


def test_one_network_a_condition_is_scored_on_every_test_picture_by_every_metric(short: params.Params) -> None:
    reproduce.run(short, "c_each")
    scores = contracts.read(Path("artifacts/reproduce/c_each/scores.parquet"), contracts.ProtocolScores)
    assert len(scores) == 2 * 2 * 2  # conditions, metrics, pictures of the one test patient
    assert set(scores["method"]) == {"each"}
    assert set(scores["patient"]) == {"patient5"}
    facts = json.loads(Path("artifacts/reproduce/c_each/config.json").read_text())
    assert set(facts["networks"]) == set(TWO)
    assert (facts["images"], facts["pictures"], facts["patients"]) == (6, 6, 3)
    assert facts["plan"] == short.protocols["c_each"].plan(short.train).model_dump(mode="json")
    assert not Path("work/reproduce/c_each").exists()


def test_what_was_learnt_from_counts_a_picture_with_two_presets_once(short: params.Params) -> None:
    path = Path("artifacts/tracks/noise/manifest.parquet")
    manifest = contracts.read(path, contracts.Track)
    contracts.write(manifest.assign(image=[f"{number // 2:08d}-{number % 2}" for number in range(len(manifest))]), path, contracts.Track)
    reproduce.run(short, "c_one")
    facts = json.loads(Path("artifacts/reproduce/c_one/config.json").read_text())
    assert (facts["images"], facts["pictures"], facts["patients"]) == (6, 3, 3)


def test_the_same_params_give_the_same_bytes(short: params.Params) -> None:
    folder = Path("artifacts/reproduce/c_one")
    reproduce.run(short, "c_one")
    first = {path.name: path.read_bytes() for path in folder.iterdir()}
    reproduce.run(short, "c_one")
    assert first == {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_network_that_had_ended_before_a_kill_is_not_trained_again(short: params.Params, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(reproduce.shutil, "rmtree", lambda *_, **__: None)  # the run dies before it clears its work
        reproduce.run(short, "c_one")
    steps = []
    monkeypatch.setattr("xraydenoise.training.batches.Batches.__call__", lambda _, step: steps.append(step))
    reproduce.run(short, "c_one")
    assert steps == []


def test_pictures_become_whole_squares_by_area(tracks: Path) -> None:
    protocol = protocols.load("b")
    folder = reproduce.pictures(protocol, Path("work/squares"))
    squares = contracts.read(folder / "manifest.parquet", contracts.Track)
    whole = contracts.read(Path("artifacts/tracks/noise/manifest.parquet"), contracts.Track)
    assert list(squares["image"]) == list(whole["image"])
    assert set(squares["height"]) == set(squares["width"]) == {64}
    assert list(squares["split"]) == list(whole["split"])
    assert store.open_store(folder / "targets.npy").size == 64 * 64 * len(whole)
    halves = np.tile(np.array([[0.0, 1.0]], np.float32), (8, 4))
    np.testing.assert_allclose(reproduce.squared(halves, 4), 0.5)


def test_a_protocol_without_a_size_takes_the_track_as_it_is(tracks: Path) -> None:
    assert reproduce.pictures(protocols.load("a"), Path("work/squares")) == Path("artifacts/tracks/enhanced")


def test_system_as_noise_joins_after_the_enhancement_whatever_the_params_say(tracks: Path) -> None:
    """The fixture has noise before the enhancement, where preset 7 amplifies it; the authors add it to the enhanced picture."""
    protocol, folder = protocols.load("a"), Path("artifacts/tracks/enhanced")
    regions = contracts.read(folder / "regions.parquet", contracts.Regions)
    contracts.write(regions.assign(preset=7), folder / "regions.parquet", contracts.Regions)
    drawn = reproduce.Drawn(protocol, "a", folder, 3, "test")
    for row, found in zip(drawn.rows.to_dict("records"), drawn.noisy("system_a"), strict=True):
        generator = torch.Generator().manual_seed(draw_seed(3, row["image"], "protocol a system_a"))
        truth = torch.from_numpy(drawn.track.truth(row))[None, None]
        np.testing.assert_allclose(found, protocol.conditions["system_a"](truth, generator)[0, 0].numpy(), atol=1e-6)
    learnt, _ = train.pictures(folder, torch.device("cpu"), [], protocol.position)
    assert learnt.enhanced.position == "after"


def test_noise_is_drawn_by_seed_image_protocol_and_condition(tracks: Path) -> None:
    protocol = protocols.load("c")
    folder = reproduce.pictures(protocol, Path("work/squares"))
    one, same, other = (reproduce.Drawn(protocol, "c", folder, seed, "test").noisy(TWO[0]) for seed in (3, 3, 4))
    assert all(np.array_equal(picture, again) for picture, again in zip(one, same, strict=True))
    assert not np.array_equal(one[0], other[0])
    before = torch.get_rng_state()
    reproduce.Drawn(protocol, "c", folder, 3, "test").noisy(TWO[1])
    assert torch.equal(torch.get_rng_state(), before)


def test_an_entry_that_is_trained_as_published_takes_the_authors_optimiser_and_keeps_the_last_weights(short: params.Params) -> None:
    network = {"kind": "unet", "channels": [4], "bottleneck": 4, "unshuffle": 1, "residual": False, "batch_norm": False}
    entry = {"protocol": "b", "track": "noise", "conditions": "all", "each": False, "objective": {"kind": "bce"}, "network": network}
    learner = protocols.Learner.model_validate(entry | {"recipe": "published", "steps": 4})
    reproduce.run(short.model_copy(update={"protocols": {"b_unet": learner}}), "b_unet")
    facts = json.loads(Path("artifacts/reproduce/b_unet/config.json").read_text())
    assert (facts["plan"]["optimizer"], facts["plan"]["batch"], facts["plan"]["patch"]) == ("adam", 10, 64)
    outcome = facts["networks"]["all"]
    assert (outcome["steps_run"], outcome["best_step"], outcome["stopped"]) == (4, 4, "budget")
