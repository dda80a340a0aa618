from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from xraydenoise import contracts, params
from xraydenoise.data import store

SAMPLE = Path(__file__).parents[2] / "profiles/sample.yaml"
LABELS = ("clear", "opacity", None, "clear", None, "opacity")  # of the patients of `tracks`
SIGMAS = {"noise": {"gaussian_05": 0.05, "gaussian_20": 0.2}, "enhanced": {"system_a": 0.1}}


def smooth(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A picture (H, W) of slow waves in [0.1, 0.9], so that there is something to denoise."""
    down, right = np.mgrid[:height, :width] / 8
    return (0.5 + 0.4 * np.sin(down + rng.uniform(0, 6)) * np.sin(right + rng.uniform(0, 6))).astype(np.float32)


@pytest.fixture
def degraded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of its own, the current folder, as the degrade stages leave it: six patients of val and of test, two pictures each."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for track, sigmas in SIGMAS.items():
        learnt, drawn = tmp_path / "artifacts/tracks" / track, tmp_path / "artifacts/degrade" / track
        learnt.mkdir(parents=True)
        drawn.mkdir(parents=True)
        rows, clean = [], []
        with store.Writer(learnt / "targets.npy") as targets:
            for number in range(24):
                split, size = ("val", (32, 40)) if number < 12 else ("test", (40, 32))
                clean.append(smooth(rng, *size))
                place = {"label": None, "offset": targets.append(clean[-1]), "height": size[0], "width": size[1]}
                rows.append({"image": f"{track}{number:04d}", "patient": f"patient{number // 2}", "split": split, **place})
        contracts.write(pd.DataFrame(rows), learnt / "manifest.parquet", contracts.Track)
        noisy = []
        for condition, sigma in sigmas.items():
            with store.Writer(drawn / f"{condition}.npy") as pixels:
                for row, picture in zip(rows, clean, strict=True):
                    draw = np.clip(picture + sigma * rng.standard_normal(picture.shape), 0, 1)
                    kept = {name: value for name, value in row.items() if name != "label"}
                    noisy.append(kept | {"condition": condition, "seed": 0, "offset": pixels.append(draw)})
        contracts.write(pd.DataFrame(noisy), drawn / "manifest.parquet", contracts.Degraded)
    return tmp_path


@pytest.fixture
def small(degraded: Path) -> Callable[..., params.Params]:
    """The profile `sample`, less all but the first model of each track, for the CPU; keywords replace whole sections."""

    def small(**sections: object) -> params.Params:
        whole = params.load(SAMPLE)
        first = {model.track: name for name, model in reversed(whole.models.items())}
        machine = whole.machine.model_copy(update={"device": "cpu", "threads": 1})  # two would wait on each other on a busy machine
        models = {name: whole.models[name] for name in first.values()}
        evaluate = params.EvaluateConfig(pictures=2, tune_images=4)
        return whole.model_copy(update={"machine": machine, "models": models, "evaluate": evaluate, **sections})

    return small


@pytest.fixture
def tracks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of its own, the current folder, as ingest and label leave it: both tracks, six patients, two pictures of each."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for track in contracts.TRACKS:
        folder = tmp_path / "artifacts/tracks" / track
        folder.mkdir(parents=True)
        rows = []
        with store.Writer(folder / "targets.npy") as targets:
            for number in range(12):
                patient, size = number // 2, ((32, 40), (40, 32))[number % 2]
                split = ("train", "train", "train", "val", "val", "test")[patient]
                place = {"label": LABELS[patient], "offset": targets.append(smooth(rng, *size)), "height": size[0], "width": size[1]}
                rows.append({"image": f"{track}{number:04d}", "patient": f"patient{patient}", "split": split, **place})
        contracts.write(pd.DataFrame(rows), folder / "manifest.parquet", contracts.Track)
        if track == "enhanced":
            pixels = store.open_store(folder / "targets.npy")
            with store.Writer(folder / "inputs.npy") as inputs:
                for row in rows:
                    inputs.append(store.read(pixels, row["offset"], row["height"], row["width"]) ** 0.8)
    return tmp_path
