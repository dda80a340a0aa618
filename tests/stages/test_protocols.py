import json
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from xraydenoise import contracts, params, protocols
from xraydenoise.evaluation import report
from xraydenoise.stages import protocols as stage
from xraydenoise.stages import reproduce

SAMPLE = Path(__file__).parents[2] / "profiles/sample.yaml"
CONDITION = "gaussian_10"


@pytest.fixture
def reproduced(tracks: Path) -> params.Params:
    """Protocol B with one network, whose scores are there as reproduce leaves them: half the noise taken away."""
    whole = params.load(SAMPLE)
    learner = next(learner for learner in whole.protocols.values() if learner.protocol == "b")
    tracked = contracts.read(Path("artifacts/tracks/noise/manifest.parquet"), contracts.Track)
    told = {
        "burned_in": False,
        "dicom_patient": None,
        "dicom_study": None,
        "named": True,
        "source": "waves",
        "file": "wave.png",
        "view": None,
        "licence": "CC0",
        "bits": 16,
        "native_height": 40,
        "native_width": 40,
    }
    images = tracked.assign(**told, spacing=np.nan)[list(contracts.Images.to_schema().columns)]
    Path("artifacts/ingest").mkdir()
    contracts.write(images, Path("artifacts/ingest/manifest.parquet"), contracts.Images)
    protocol = protocols.load("b")
    test = reproduce.Drawn(protocol, "b", reproduce.pictures(protocol, Path("work/squares")), whole.seed, "test")
    clean = iter(test.targets)
    scores = test.score("unet", CONDITION, lambda noisy: (noisy + next(clean)) / 2)
    folder = Path("artifacts/reproduce/b_unet")
    folder.mkdir(parents=True)
    contracts.write(scores, folder / "scores.parquet", contracts.ProtocolScores)
    told = {
        "alone": True,
        "network": learner.network.model_dump(mode="json"),
        "plan": learner.plan(whole.train).model_dump(mode="json"),
        "images": 6,
        "pictures": 6,
        "patients": 3,
        "networks": {"all": {"parameters": 1234, "steps_run": 250}},
    }
    (folder / "config.json").write_text(json.dumps(told))
    return whole.model_copy(update={"protocols": {"b_unet": learner}})


def test_a_protocol_is_written_as_csv_page_and_plot(reproduced: params.Params, capsys: pytest.CaptureFixture[str]) -> None:
    stage.run(reproduced)
    assert {path.name for path in Path("artifacts/protocols").iterdir()} == {"b.csv", "b.md", "b.png", "pages.json"}
    table = contracts.read(Path("artifacts/protocols/b.csv"), contracts.ProtocolTable).set_index(["metric", "method"])
    assert set(table.index.get_level_values("method")) == {"noisy", "median_3x3", "total_variation", "unet"}
    assert table.loc[("PSNR, dB", "unet"), "mean"] - table.loc[("PSNR, dB", "noisy"), "mean"] == pytest.approx(6.02, abs=0.01)
    assert table.loc[("BCE above floor", "unet"), "published"] == pytest.approx(0.0149)
    page = Path("artifacts/protocols/b.md").read_text()
    assert page.splitlines()[2].startswith("Small networks: 1 of 1 here are smaller than published")
    assert "Tested on 2 pictures of 1 patient (2 of waves; 64x64 px)." in page
    assert "Trained without a classifier, as the training pictures have no two labels: unet." in page
    assert "Published on: dental X-rays" in page
    assert cv2.imread("artifacts/protocols/b.png").std() > 1
    assert [told.title for told in report.load(Path("artifacts/protocols/pages.json"))] == ["Protocol B: U-Net on 64x64 px"]
    assert "Protocol B: U-Net" in capsys.readouterr().out


def test_the_same_scores_give_the_same_bytes(reproduced: params.Params) -> None:
    stage.run(reproduced)
    first = {path.name: path.read_bytes() for path in Path("artifacts/protocols").iterdir()}
    stage.run(reproduced)
    assert first == {path.name: path.read_bytes() for path in Path("artifacts/protocols").iterdir()}


def test_total_variation_is_tuned_on_val_and_beats_doing_nothing(reproduced: params.Params) -> None:
    protocol = protocols.load("b")
    folder = reproduce.pictures(protocol, Path("work/squares"))
    test, val = (reproduce.Drawn(protocol, "b", folder, 3, split) for split in ("test", "val"))
    scores = pd.concat(stage.classical(test, val, CONDITION, threads=1))
    psnr = scores[scores["metric"] == "PSNR, dB"].groupby("method")["value"].mean()
    assert psnr["total_variation"] > psnr["median_3x3"] > psnr["noisy"]
