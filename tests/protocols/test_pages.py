from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from xraydenoise import models, params, protocols
from xraydenoise.evaluation import report
from xraydenoise.evaluation.report import Chapter
from xraydenoise.protocols import pages

ROOT = Path(__file__).parents[2]
IMAGES = pd.DataFrame({"image": ["one", "two"], "source": ["clinic", "clinic"]})
ROWS = pd.DataFrame({"image": ["one", "two"], "patient": ["a", "b"]})


def made(profile: str, letter: str, rows: pd.DataFrame = ROWS, **told: Any) -> Chapter:
    """The page of a protocol of a profile, as if its networks had been trained and scored alike."""
    chosen = params.load(ROOT / "profiles" / f"{profile}.yaml")
    learners = {name: learner for name, learner in chosen.protocols.items() if learner.protocol == letter}
    protocol = protocols.load(letter)
    scores = pd.DataFrame(
        {"method": protocols.method(name, learner), "condition": condition, "image": "one", "patient": "a", "metric": metric, "value": 0.5}
        for name, learner in learners.items()
        for condition in learner.names()
        for metric in protocol.metrics
    )
    outcome = {"networks": {"all": {"parameters": 1234, "steps_run": 200}}, "images": 5, "pictures": 5, "patients": 2, "alone": False}
    facts = {name: outcome | {"plan": learner.plan(chosen.train).model_dump(mode="json")} | told for name, learner in learners.items()}
    return pages.page(protocol, protocols.summary(scores, protocol), IMAGES, rows, learners, facts)


def test_a_page_of_small_networks_says_so_in_its_first_line_and_one_of_published_shapes_does_not() -> None:
    assert made("sample", "d").lines[0].startswith("Small networks: 4 of 5 here are smaller than published")
    assert made("full", "d").lines[0].startswith("Tested on 2 pictures of 2 patients (2 of clinic; 128x128 px). Published on: CoronaHack")


def test_the_table_of_what_was_trained_sets_what_was_run_beside_what_was_published() -> None:
    section = made(
        "sample", "c", networks={name: {"parameters": 71169, "steps_run": steps} for name, steps in (("x", 90), ("y", 200))}
    ).sections[0]
    row = section.table.set_index("method").loc["autoencoder"]
    assert (row["shape"], row["networks"], row["parameters of one"], row["published"]) == ("published", "2", "71,169", "71,169")
    assert (row["learnt from"], row["steps"], row["batch"]) == ("5 pictures of 2 patients", "90 to 200", "8 of 64x64 px")
    assert row["trained by"].startswith("AdamW 0.005")
    assert row["trained by, published"].startswith("Adam 0.001, constant rate, batch 64, 150 epochs of 1,280 pictures")


def test_regions_of_one_picture_with_several_presets_are_no_pictures_of_their_own() -> None:
    rows = pd.DataFrame({"image": [f"one-{preset}" for preset in range(13)], "patient": "a"})
    page = made("sample", "a", rows, images=65, pictures=5, patients=2)
    assert any(line.startswith("Tested on 13 regions of 1 picture of 1 patient (1 of clinic; regions as the track") for line in page.lines)
    assert set(page.sections[0].table["learnt from"]) == {"65 regions of 5 pictures of 2 patients"}


def test_what_is_trained_as_published_says_so() -> None:
    row = made("full", "c").sections[0].table.set_index("method").loc["autoencoder"]
    assert (row["trained by"], row["batch"], row["objective"]) == ("as published", "64 of 128x128 px", "mse")
    (trained,) = made("full", "b").sections[0].table["trained by"]
    assert trained == "as published, steps ours"  # the authors' number of pictures is not known


def test_the_page_of_system_e_says_what_of_a_published_training_is_assumed_and_what_is_not_known() -> None:
    table = made("full", "e").sections[0].table.set_index("method")
    assert "our assumption: a constant rate, and 5,216 pictures" in table.loc["vae", "trained by, published"]
    assert table.loc["skip_autoencoder", "trained by, published"] == "not known here"
    assert table.loc["skip_autoencoder", "trained by"].startswith("AdamW 0.0003")


@pytest.mark.parametrize(
    ("network", "told"),
    [
        ({"kind": "dncnn", "channels": 64, "depth": 17, "unshuffle": 1, "batch_norm": True}, "published"),
        ({"kind": "dncnn", "channels": 64, "depth": 20, "unshuffle": 1, "batch_norm": True}, "published"),  # the blind one
        ({"kind": "dncnn", "channels": 48, "depth": 17, "unshuffle": 1, "batch_norm": True}, "small: channels 48 for 64"),
        ({"kind": "rdn", "channels": 64, "blocks": 16, "layers": 8, "growth": 64, "unshuffle": 2}, "changed: unshuffle 2 for 1"),
        ({"kind": "autoencoder", "channels": [32, 16]}, "small: channels 32, 16 for 64, 32"),
        ({"kind": "red_net", "channels": 64, "depth": 20, "unshuffle": 1}, "published"),
        ({"kind": "stacked_autoencoder", "side": 16, "hidden": [8, 4]}, "published shape not known"),
    ],
)  # fmt: skip
def test_a_shape_is_published_small_or_changed_and_names_what_differs(network: dict[str, Any], told: str) -> None:
    assert protocols.compared(models.KNOWN(network))[0] == told


def test_a_published_number_of_parameters_that_is_rounded_or_uncertain_says_so() -> None:
    told = made("full", "d").sections[0].table.set_index("method")["published"]
    assert (told["ding_liu"], told["rdn"], told["dncnn"]) == ("about 1.03 million", "about 22 million", "")
    assert told["gondara"] == "not known; its numbers of filters are uncertain"


def test_every_network_of_the_full_profile_has_a_published_shape_or_one_that_names_what_was_changed() -> None:
    learners = params.load(ROOT / "profiles/full.yaml").protocols
    shapes = {name: protocols.compared(learner.network)[0] for name, learner in learners.items()}
    assert not [name for name, shape in shapes.items() if shape.startswith("small")]
    assert {shapes[name] for name in ("a_eudncnn", "b_unet", "c_autoencoder", "e_skip_autoencoder")} == {"published"}
    assert {shapes[name] for name in ("e_dense_autoencoder", "e_vae_10", "e_vae_40", "e_vae")} == {"changed: kernel 4 for 3"}  # the mend


def test_brackets_are_explained_only_where_there_are_some() -> None:
    brackets = "Figures in brackets are the published ones; they are of other pictures."
    assert brackets in made("sample", "c").lines
    assert brackets not in made("sample", "e").lines


def test_the_page_of_system_a_says_what_its_own_metrics_are() -> None:
    texts = {section.title: section.text for section in made("sample", "a").sections}
    assert "reads 6.02 dB low" in texts["own PSNR, dB"]
    assert "divided by its own maximum" in texts["own SSIM"]


def test_methods_without_a_classifier_are_named() -> None:
    assert any(line.endswith("no two labels: eudncnn.") for line in made("sample", "a", alone=True).lines)


def test_pages_come_back_from_their_file_and_read_as_markdown(tmp_path: Path) -> None:
    page = made("sample", "b")
    report.save([page], tmp_path / "pages.json")
    (back,) = report.load(tmp_path / "pages.json")
    assert pages.markdown(back) == pages.markdown(page)
    assert pages.markdown(page).startswith("# Protocol B: U-Net on 64x64 px\n\nSmall networks: 1 of 1")
    assert "## What was trained" in pages.markdown(page)
