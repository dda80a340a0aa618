from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from xraydenoise.evaluation import figures, ranking
from xraydenoise.evaluation.ranking import CompareConfig


@pytest.fixture
def examples() -> list[figures.Example]:
    rng = np.random.default_rng(0)
    targets = [rng.random((40, 56), dtype=np.float32), rng.random((300, 280), dtype=np.float32)]
    names = {"noisy": 0.2, "median": 0.1, "best": 0.05}
    return [
        figures.Example({name: (target + sigma * rng.standard_normal(target.shape)).clip(0, 1) for name, sigma in names.items()}, target)
        for target in targets
    ]


def test_pictures_of_mixed_sizes_are_drawn_with_the_same_bytes_each_time(examples: list[figures.Example], tmp_path: Path) -> None:
    for name in ("first.png", "second.png"):
        figures.pictures(examples, "Track noise, gaussian_20", tmp_path / name)
    assert (tmp_path / "first.png").read_bytes() == (tmp_path / "second.png").read_bytes()
    drawn = cv2.imread(str(tmp_path / "first.png"))
    assert drawn.shape[1] > drawn.shape[0]
    assert drawn.std() > 20


def test_no_program_and_no_date_stand_in_a_figure(examples: list[figures.Example], tmp_path: Path) -> None:
    figures.pictures(examples[:1], "one", tmp_path / "one.png")
    assert b"tEXt" not in (tmp_path / "one.png").read_bytes()
    assert b"tIME" not in (tmp_path / "one.png").read_bytes()


@pytest.mark.parametrize("methods", [["median", "noisy"], ["median", "noisy", "small", "large"]])
def test_gains_are_drawn_with_and_without_methods_to_compare(
    make_scores: Callable[..., pd.DataFrame], methods: list[str], tmp_path: Path
) -> None:
    scores = make_scores()
    ranked = ranking.rank(
        scores[(scores["track"] == "noise") & scores["method"].isin(methods)], CompareConfig(resamples=100, confidence=0.9), 0, {}
    )
    figures.gains(ranked[ranked["split"] == "test"], "Track noise", tmp_path / "gain.png")
    assert cv2.imread(str(tmp_path / "gain.png")) is not None


def means(published: float, methods: int) -> pd.DataFrame:
    rows = [
        (metric, condition, f"method{number}") for metric in ("SSIM", "MSE") for condition in ("one", "two") for number in range(methods)
    ]
    frame = pd.DataFrame(rows, columns=["metric", "condition", "method"])
    return frame.assign(mean=np.linspace(0.1, 0.9, len(frame)), published=published)


def test_a_protocol_is_drawn_with_the_same_bytes_each_time_and_shows_what_was_published(tmp_path: Path) -> None:
    for name, published in (("one", 0.5), ("same", 0.5), ("none", np.nan)):
        figures.protocol(means(published, 4), "C", tmp_path / name)
    one, same, none = ((tmp_path / name).read_bytes() for name in ("one", "same", "none"))
    assert one == same
    assert one != none


def test_a_condition_has_room_for_the_methods_that_have_a_number_in_it_and_no_more(tmp_path: Path) -> None:
    whole = means(np.nan, 14)
    figures.protocol(whole, "E", tmp_path / "whole.png")
    figures.protocol(whole[(whole["condition"] == "one") | (whole["method"] == "method0")], "E", tmp_path / "part.png")
    heights = [cv2.imread(str(tmp_path / name)).shape[0] for name in ("whole.png", "part.png")]
    assert heights[0] - heights[1] == pytest.approx(0.13 * 13 * figures.DPI, abs=2)  # bars that are not there
