"""One odd picture costs no stage, and so no other picture: all kinds at once through the whole pipeline of the tiny project."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from xraydenoise.data.sources.phantom import draw

EACH = 3  # pictures of a kind, each another patient's, so that the kind falls into several splits


def pictures() -> dict[str, Callable[[int], np.ndarray]]:
    """Kind -> the picture (H, W) in [0, 1] of a number; what is beside the rule is its shape, its values, or both."""
    white = np.float64(1)
    down, right = np.indices((80, 80))
    return {
        "narrow": lambda number: cv2.resize(draw(80, 50, number, 0), (34, 170)),
        "wide": lambda number: cv2.resize(draw(80, 51, number, 0), (160, 33)),
        "smallest": lambda number: cv2.resize(draw(80, 52, number, 0), (32, 32)),
        "too small": lambda number: cv2.resize(draw(80, 53, number, 0), (160, 20)),
        "a single bright pixel": lambda number: (down == 40) * (right == 30 + number) * white,
        "black and white halves": lambda number: (right > 30 + number) * white,
        "checkerboard": lambda number: (down + right + number) % 2 * white,
        "very dim": lambda number: 0.001 * draw(80, 54, number, 0),
        "a white frame": lambda number: np.pad(draw(70, 55, number, 0), 5, constant_values=1.0),
        "two levels": lambda number: np.where(draw(80, 56, number, 0) > 0.05, 1.0, 0.999),
        "random black and white": lambda number: (np.random.default_rng(number).random((80, 80)) > 0.5) * white,
        "a white last column": lambda number: np.pad(draw(80, 57, number, 0), ((0, 0), (0, 1)), constant_values=1.0),
        "constant": lambda number: np.full((80, 80), 0.2 + 0.1 * number),
    }


def test_odd_pictures_cost_no_stage(fresh, tried: Callable[[str, bool], None]) -> None:
    project = fresh
    images = project.root / "inbox" / "images"
    images.mkdir()
    rows = ["file,patient_id"]
    for place, (kind, drawn) in enumerate(pictures().items()):
        for number in range(EACH):
            name = f"{kind.replace(' ', '_')}_{number}.png"
            cv2.imwrite(str(images / name), np.rint(65535 * drawn(number)).astype(np.uint16))
            rows.append(f"{name},P{place}-{number}")
    (images / "images.csv").write_text("\n".join(rows) + "\n")
    project.params(
        {
            "enhance.images": {"train": 16, "val": 8, "test": 8},
            "enhance.region": 70,
            "train.patch": 48,
            "evaluate.repeats.pictures": 16,
            "evaluate.sweep.pictures": 8,
        }
    )
    ended = None
    try:
        ended = project.repro()
    except AssertionError as error:
        print("\n".join(str(error).splitlines()[-20:]))
    manifests = [project.root / "artifacts/ingest" / name for name in ("manifest.parquet", "quarantine.parquet")]
    told = {Path(file).stem.rsplit("_", 1)[0] for path in manifests if path.exists() for file in pd.read_parquet(path)["file"]}
    for kind in pictures():
        tried(f"odd picture: {kind}", ended is not None and kind.replace(" ", "_") in told)
    if ended is None:
        pytest.fail("a stage stopped; its message stands above")
