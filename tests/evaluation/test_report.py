from collections.abc import Callable

import pandas as pd
import pytest

from xraydenoise.evaluation import ranking, report
from xraydenoise.evaluation.ranking import CompareConfig

Write = Callable[[int], str]


@pytest.fixture
def write(make_scores: Callable[..., pd.DataFrame]) -> Write:
    """The report over so many patients a split."""

    def write(patients: int) -> str:
        config = CompareConfig(resamples=200, confidence=0.95)
        scores = make_scores(patients)
        images = scores.drop_duplicates("image").assign(source="clinic", licence="CC BY 4.0 | attribution")
        ranked = ranking.rank(scores, config, 0, {})
        best = ranking.best(ranked, ["small", "large", "large_enhanced"])
        figures = {"noise": ["gain-noise.png"], "enhanced": ["gain-enhanced.png"]}
        cost = report.Section("Cost", "Of the networks.", pd.DataFrame({"method": ["large"], "parameters": ["128500"]}))
        return report.report(ranked, scores, images, "0123abcd", best, ["noise"], config, figures, [cost])

    return write


def test_the_tracks_stand_apart_and_the_enhanced_one_says_what_it_measures(write: Write) -> None:
    noise, enhanced = write(6).split("## Track noise")[1].split("## Track enhanced")
    assert "agreement with these labels, which is not quality" in enhanced
    assert "label, PSNR in dB" in enhanced
    assert "label" not in noise
    assert "large_enhanced" not in noise
    assert "(gain-noise.png)" in noise
    assert "(gain-enhanced.png)" in enhanced


def test_each_track_says_whether_its_best_model_may_become_champion(write: Write) -> None:
    noise, enhanced = write(6).split("## Track noise")[1].split("## Track enhanced")
    assert "It may become champion." in noise
    assert "It cannot become champion, as gate.tracks in params.yaml does not name this track." in enhanced


def test_the_chosen_model_the_tuned_settings_and_the_licences_are_told(write: Write) -> None:
    text = write(6)
    assert "Chosen on val: **large**, on test +" in text
    assert "| median | gaussian_10 | size=5 |" in text
    assert r"| clinic | CC BY 4.0 \| attribution | 24 | 12 | 0 | 6 | 6 |" in text


@pytest.mark.parametrize(("patients", "warned"), [(6, 0), (4, 4), (1, 4)])
def test_few_patients_are_warned_of_in_every_track_and_split(write: Write, patients: int, warned: int) -> None:
    assert write(patients).count("**Few patients:**") == warned


def test_a_single_image_is_warned_of_as_such() -> None:
    sizes = pd.DataFrame([("test", 13, 1, 1), ("val", 26, 2, 1)], columns=["split", "images", "pictures", "patients"])
    single, few = report.warnings(sizes)
    assert "test has a single picture" in single  # whatever the presets
    assert "val has 2 pictures (26 images) of 1 patient" in few


def test_the_reference_has_no_gain_over_itself(write: Write) -> None:
    row = next(line for line in write(6).splitlines() if line.startswith("| all | median"))
    assert row.count("reference") == 2


def test_what_else_was_measured_follows_the_tracks(write: Write) -> None:
    assert "## Cost\n\nOf the networks.\n\n| method | parameters |\n| --- | --- |\n| large | 128500 |" in write(6)


def test_the_identity_of_the_test_set_stands_in_the_report(write: Write) -> None:
    assert "Test set `0123abcd`" in write(6)
