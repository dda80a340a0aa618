import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch

from xraydenoise import contracts, params
from xraydenoise.stages import classifier, train
from xraydenoise.training import classifier as learnt
from xraydenoise.training.objectives import UNKNOWN

SAMPLE = Path(__file__).parents[2] / "profiles/sample.yaml"
MANIFEST = Path("artifacts/tracks/noise/manifest.parquet")
CPU = torch.device("cpu")


@pytest.fixture
def run(tracks: Path) -> Callable[..., dict[str, object]]:
    """Runs the stage for five steps on small crops, on tracks with other labels where they are given; the facts that it leaves."""
    sample = params.load(SAMPLE)

    def run(labels: dict[str, str | None] | None = None, seed: int = 0) -> dict[str, object]:
        """`labels` by split."""
        if labels is not None:
            manifest = contracts.read(MANIFEST, contracts.Track)
            contracts.write(manifest.assign(label=[labels[split] for split in manifest["split"]]), MANIFEST, contracts.Track)
        machine = sample.machine.model_copy(update={"device": "cpu", "threads": 1})
        short = sample.train.model_copy(update={"batch": 4, "patch": 16})
        config = learnt.ClassifierConfig(channels=2, steps=5, learning_rate=0.01)
        changed = {"machine": machine, "train": short, "classifier": config, "seed": seed}
        classifier.run(sample.model_copy(update=changed))
        return json.loads((classifier.OUT / "config.json").read_text())

    return run


def test_it_learns_the_labels_of_the_training_pictures_and_says_how_well_it_tells_those_of_val(run, capsys) -> None:
    facts = run()
    assert facts.keys() == {"classes", "channels", "accuracy_val"}
    assert facts["classes"] == ["clear", "opacity"]
    assert 0 <= facts["accuracy_val"] <= 1
    assert f"classifier: clear, opacity; balanced accuracy on val {facts['accuracy_val']:.2f}" in capsys.readouterr().out


def test_what_it_leaves_loads_frozen_with_its_classes(run) -> None:
    run()
    network, classes = learnt.load(classifier.OUT, CPU)
    assert classes == ["clear", "opacity"]
    assert network(torch.rand(1, 1, 32, 40)).shape == (1, 2)
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_pictures_are_numbered_by_these_classes_and_unknown_without_a_label(tracks: Path) -> None:
    pictures, _ = train.pictures(Path("artifacts/tracks/noise"), CPU, ["clear", "opacity"])
    labels = contracts.read(MANIFEST, contracts.Track).set_index("image")["label"]
    expected = {"clear": 0, "opacity": 1}
    assert pictures.labels.tolist() == [expected.get(labels[image], UNKNOWN) for image in pictures.images]
    assert set(pictures.labels.tolist()) == {0, 1, UNKNOWN}


def test_a_second_run_writes_the_same_bytes_and_another_seed_others(run) -> None:
    weights = classifier.OUT / "weights.safetensors"
    written = []
    for seed in (0, 0, 1):
        run(seed=seed)
        written.append(weights.read_bytes())
    assert written[0] == written[1] != written[2]


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        ({"train": "clear", "val": "opacity", "test": "opacity"}, "the training pictures have 1 label, and two are needed"),
        ({"train": None, "val": "clear", "test": "opacity"}, "the training pictures have 0 labels, and two are needed"),
        ({"train": None, "val": None, "test": None}, "the training pictures have 0 labels, and two are needed"),
    ],
    ids=["one label", "none in train", "none at all"],
)
def test_fewer_than_two_labels_leave_no_network_and_the_reason_is_printed_and_written(labels, reason, run, capsys) -> None:
    run()  # whose weights must not stay
    capsys.readouterr()
    facts = run(labels)
    assert (facts["classes"], facts["reason"], facts["accuracy_val"]) == ([], reason, None)
    assert f"classifier: none; {reason}. Objectives that would ask it train the denoiser alone" in capsys.readouterr().out
    assert [path.name for path in classifier.OUT.iterdir()] == ["config.json"]
    assert learnt.load(classifier.OUT, CPU) == (None, [])


def test_labels_of_val_that_training_has_not_seen_give_no_accuracy(run, capsys) -> None:
    manifest = contracts.read(MANIFEST, contracts.Track)
    other = manifest["label"].mask(manifest["split"] == "val", "fracture")
    contracts.write(manifest.assign(label=other), MANIFEST, contracts.Track)
    assert run()["accuracy_val"] is None
    assert "no val picture has one of these labels" in capsys.readouterr().out


def test_the_labels_of_both_tracks_are_kept_as_null_where_there_is_none(tracks: Path) -> None:
    labels = contracts.read(MANIFEST, contracts.Track)["label"]
    assert set(labels.dropna()) == {"clear", "opacity"}
    assert pd.isna(labels).sum() == 4
