import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from xraydenoise import contracts, load_denoiser, models
from xraydenoise.evaluation import metrics
from xraydenoise.params import Params
from xraydenoise.stages import evaluate, scoring

Small = Callable[..., Params]


@pytest.fixture
def untrained(small: Small) -> Params:
    """The first model of each track as training leaves it, with random weights in every layer (zero ones would change no picture)."""
    chosen = small()
    for name, model in chosen.models.items():
        folder = Path("artifacts/train", name)
        folder.mkdir(parents=True)
        network = models.initialised(model.network, seed=0)
        generator = torch.Generator().manual_seed(0)
        for parameter in network.parameters():
            torch.nn.init.normal_(parameter, std=0.02, generator=generator)
        save_file(network.state_dict(), folder / "weights.safetensors")
        (folder / "config.json").write_text(json.dumps({"network": model.network.model_dump(mode="json")}), encoding="utf-8")
    return chosen


def scores(name: str) -> pd.DataFrame:
    return contracts.read(Path(f"artifacts/evaluate/{name}/scores.parquet"), contracts.Scores)


def test_a_model_is_scored_on_its_own_track_alone(untrained: Params) -> None:
    for name, model in untrained.models.items():
        evaluate.run(untrained, name)
        found = scores(name)
        assert set(found["track"]) == {model.track}
        assert set(found["setting"]) == {""}
        assert len(found) == len(scoring.Track(model.track).rows)
        examined = {file.name for file in Path("artifacts/evaluate", name).iterdir()} & {
            "examined.parquet",
            "channels.npy",
            "sweep.parquet",
        }
        assert len(examined) == (3 if model.track == "noise" else 0)


def test_the_scores_are_those_of_the_denoiser_that_people_get(untrained: Params) -> None:
    name = next(name for name, model in untrained.models.items() if model.track == "noise")
    evaluate.run(untrained, name)
    found = scores(name).set_index(["condition", "image"])
    denoise = load_denoiser(Path("artifacts/train", name), device="cpu")
    track = scoring.Track("noise")
    for row in track.rows.iloc[::11].to_dict("records"):
        noisy, target = track.pair(row)
        prediction = denoise(noisy)
        assert not np.array_equal(prediction, noisy)
        assert found.loc[(row["condition"], row["image"]), "psnr"] == metrics.score(prediction, target).psnr


def test_the_same_bytes_come_out_again(untrained: Params) -> None:
    name = next(iter(untrained.models))

    def files() -> dict[str, bytes]:
        evaluate.run(untrained, name)
        return {path.name: path.read_bytes() for path in Path("artifacts/evaluate", name).iterdir()}

    assert files() == files()


def test_a_model_that_was_not_trained_is_an_error_that_tells_what_to_run(small: Small) -> None:
    chosen = small()
    with pytest.raises(FileNotFoundError, match=r"artifacts/train/.*dvc repro"):
        evaluate.run(chosen, next(iter(chosen.models)))
