import hashlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import torch

from xraydenoise import contracts, labelling, params
from xraydenoise.data import store
from xraydenoise.labelling import LabelConfig, audit, lesions, page, weights, worst
from xraydenoise.stages import label

SAMPLE = Path(__file__).parents[2] / "profiles/sample.yaml"
TRACK, WORK = Path("artifacts/tracks/enhanced"), Path("work/label")
REGIONS = 6
LABELS = 2 * REGIONS  # each region without and with a lesion
REAL = params.load(SAMPLE).label.model_dump() | {"tile": 64, "overlap": 32}

RUN = """
import sys
from pathlib import Path
from xraydenoise import params
from xraydenoise.labelling import LabelConfig
from xraydenoise.stages import label
sample = params.load(Path(sys.argv[1]))
machine = sample.machine.model_copy(update={"device": "cpu", "threads": 1})
label.run(sample.model_copy(update={"machine": machine, "label": LabelConfig.model_validate_json(sys.argv[2])}))
"""


@pytest.fixture
def regions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
    """A project of its own, the current folder, as enhance leaves it: six regions of 32 x 32 px; their manifest."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "artifacts/enhance"
    folder.mkdir(parents=True)
    down, right = np.mgrid[:32, :32] / 5
    rows = []
    with store.Writer(folder / "pixels.npy") as writer:
        for number in range(REGIONS):
            picture = (0.5 + 0.35 * np.sin(down + number) * np.sin(right + 2 * number)).astype(np.float32)
            split = contracts.SPLITS[number // 2]
            place = {"top": 0, "left": 0, "offset": writer.append(picture), "height": 32, "width": 32}
            preset = ("identity", "dark")[number % 2]
            rows.append(
                {"image": f"{split}-{preset}", "parent": split, "preset": preset, "patient": split, "split": split, "label": split} | place
            )
    manifest = pd.DataFrame(rows)
    contracts.write(manifest, folder / "manifest.parquet", contracts.Regions)
    return manifest


@pytest.fixture
def cheap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """A label section with general-x4v3, which is cheap; its last layer is zero, so that labels are their inputs. Its hash is pinned."""
    network = weights.SRVGGNetCompact()
    torch.nn.init.zeros_(network.body[-1].weight)
    torch.nn.init.zeros_(network.body[-1].bias)
    path = tmp_path / "realesr-general-x4v3.pth"
    torch.save({"params": network.state_dict()}, path)
    pinned = weights.OFFICIAL["general-x4v3"]._replace(sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    monkeypatch.setitem(weights.OFFICIAL, "general-x4v3", pinned)
    return REAL | {"network": "general-x4v3", "weights": str(path)}


@pytest.fixture
def run(regions: pd.DataFrame) -> Callable[[dict[str, object]], None]:
    """Runs the stage with a label section."""
    sample = params.load(SAMPLE)
    machine = sample.machine.model_copy(update={"device": "cpu", "threads": 1})

    def run(section: dict[str, object]) -> None:
        label.run(sample.model_copy(update={"machine": machine, "label": LabelConfig.model_validate(section)}))

    return run


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The mean of each picture that the network is asked to label; it is still asked."""
    asked: list[float] = []
    real = labelling.Labeller.__call__

    def counted(self: labelling.Labeller, pixels: np.ndarray) -> np.ndarray:
        asked.append(float(pixels.mean()))
        return real(self, pixels)

    monkeypatch.setattr(labelling.Labeller, "__call__", counted)
    return asked


@pytest.fixture
def brightened(regions: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> Callable[[list[str]], None]:
    """Makes the labels of some images, with a lesion and without, .05 too bright: further than label.veto.shift, less than max_shift."""
    real = labelling.Labeller.__call__
    enhanced = store.open_store(Path("artifacts/enhance/pixels.npy"))

    def brightened(images: list[str]) -> None:
        rows = [row for row in regions.to_dict("records") if row["image"] in images]
        meant = [store.read(enhanced, row["offset"], row["height"], row["width"]) for row in rows]

        def brighter(self: labelling.Labeller, pixels: np.ndarray) -> np.ndarray:
            made = real(self, pixels)
            return made + np.float32(0.05) if any(np.abs(pixels - one).max() < 1.1 * lesions.CONTRAST for one in meant) else made

        monkeypatch.setattr(labelling.Labeller, "__call__", brighter)

    return brightened


def outputs() -> dict[str, bytes]:
    return {str(path): path.read_bytes() for folder in (TRACK, Path("artifacts/label")) for path in sorted(folder.iterdir())}


def pictures(name: str, manifest: pd.DataFrame) -> list[np.ndarray]:
    pixels = store.open_store(TRACK / name)
    return [store.read(pixels, row["offset"], row["height"], row["width"]) for _, row in manifest.iterrows()]


def test_the_track_pairs_each_region_with_its_label(run, cheap, regions) -> None:
    run(cheap)
    manifest = contracts.read(TRACK / "manifest.parquet", contracts.Track)
    for column in ("image", "label"):
        assert list(manifest[column]) == list(regions[column])
    assert (TRACK / "inputs.npy").read_bytes() == Path("artifacts/enhance/pixels.npy").read_bytes()
    for enhanced, made in zip(pictures("inputs.npy", manifest), pictures("targets.npy", manifest), strict=True):
        np.testing.assert_allclose(made, enhanced, atol=0.005)  # half precision


def test_the_audit_lists_every_label_and_names_the_worst(run, cheap, regions) -> None:
    run(cheap)
    table = contracts.read(Path("artifacts/label/audit.csv"), audit.Audit)
    assert list(table["image"]) == list(regions["image"])
    text = Path("artifacts/label/audit.md").read_text()
    for word in ("0 of 6 labels (0.0%) were vetoed", "agreement with its labels is not quality", "| identity |", "| dark |", "(worst.png)"):
        assert word in text
    for heading in page.HEADINGS.values():
        assert heading in text


def test_a_vetoed_label_is_in_the_audit_with_its_reason_and_not_in_the_track(run, cheap, regions, brightened) -> None:
    brightened(["train-dark", "test-identity"])
    run(cheap)
    table = contracts.read(Path("artifacts/label/audit.csv"), audit.Audit).set_index("image")
    assert list(table.index[table["vetoed"]]) == ["train-dark", "test-identity"]
    assert table.loc["train-dark", "reason"].startswith("shift +0.050, at most 0.03 either way")
    manifest = contracts.read(TRACK / "manifest.parquet", contracts.Track)
    kept = regions[~regions["image"].isin(["train-dark", "test-identity"])]
    assert list(manifest["image"]) == list(kept["image"])
    assert list(manifest["offset"]) == list(kept["offset"])
    for enhanced, made in zip(pictures("inputs.npy", manifest), pictures("targets.npy", manifest), strict=True):
        np.testing.assert_allclose(made, enhanced, atol=0.005)
    text = Path("artifacts/label/audit.md").read_text()
    assert "2 of 6 labels (33.3%) were vetoed" in text
    assert "| identity | 1 of 3 labels (33.3%) |" in text


def test_the_worst_labels_are_kept_for_the_report_and_drawn(run, cheap, regions, brightened) -> None:
    brightened(["val-dark"])
    run(cheap)
    first, *others = worst.load(Path("artifacts/label/worst.npz"))
    assert first.image == "val-dark"
    assert len(others) == page.WORST - 1
    assert np.mean(first.label.astype(float) - first.input) == pytest.approx(0.05 * 65535, rel=0.1)
    row = regions.set_index("image").loc["val-dark"]
    stored = np.load("artifacts/enhance/pixels.npy")[row["offset"] :][: row["height"] * row["width"]]
    np.testing.assert_array_equal(first.input.ravel(), stored)
    assert cv2.imread("artifacts/label/worst.png", cv2.IMREAD_UNCHANGED).shape == (5 * 264, 3 * 264)


def test_a_split_without_a_label_left_stops_the_stage_with_the_way_out_and_the_audit_to_look_at(run, cheap, brightened, calls) -> None:
    brightened(["val-identity", "val-dark"])
    with pytest.raises(ValueError, match=r"split val would keep none of its 2 labels; .*val-\w+ \(shift \+0.05.*enhance.images.val"):
        run(cheap)
    assert contracts.read(Path("artifacts/label/audit.csv"), audit.Audit)["vetoed"].sum() == 2
    assert not (TRACK / "manifest.parquet").exists()
    calls.clear()
    run(cheap | {"veto": cheap["veto"] | {"shift": 0.06}})
    assert calls == []


def test_more_vetoes_than_allowed_stop_the_stage_and_name_the_worst(run, cheap, brightened) -> None:
    brightened(["train-dark", "test-identity"])
    with pytest.raises(
        ValueError, match=r"2 of 6 labels \(33.3%\) are vetoed, label.max_vetoed allows a share of 0.3; the worst: .*train-dark"
    ):
        run(cheap | {"max_vetoed": 0.3})
    run(cheap | {"max_vetoed": 0.34})


def test_a_region_without_a_place_for_a_lesion_is_labelled_once_and_not_vetoed_for_it(run, cheap, regions, calls) -> None:
    with store.Writer(Path("artifacts/enhance/pixels.npy")) as writer:
        for number in range(REGIONS):
            writer.append(np.full((32, 32), 0.1 * (number + 1), np.float32))
    run(cheap)
    assert len(calls) == REGIONS
    table = contracts.read(Path("artifacts/label/audit.csv"), audit.Audit)
    assert table["survival"].isna().all()
    assert not table["vetoed"].any()


def test_nothing_is_left_in_work_and_timings_stay_out_of_the_outputs(run, cheap) -> None:
    run(cheap)
    assert not WORK.exists()
    assert json.loads(label.LOG.read_text())["labels"] == LABELS
    first = outputs()
    run(cheap)
    assert outputs() == first


def test_a_broken_label_stops_the_stage_with_its_image_and_the_others_need_not_be_made_again(run, cheap, calls, monkeypatch) -> None:
    counted = labelling.Labeller.__call__

    def broken(self: labelling.Labeller, pixels: np.ndarray) -> np.ndarray:
        made = counted(self, pixels)
        return made * np.float32("nan") if len(calls) == 4 else made

    with monkeypatch.context() as patch:
        patch.setattr(labelling.Labeller, "__call__", broken)
        with pytest.raises(ValueError, match="image train-dark: 1024 of 1024 label pixels are NaN"):
            run(cheap)
    assert not (TRACK / "targets.npy").exists()
    calls.clear()
    run(cheap)
    assert len(calls) == LABELS - 3


def test_wrong_weights_stop_the_stage_before_a_label_is_made(run, cheap, calls) -> None:
    Path(str(cheap["weights"])).write_bytes(b"cut short")
    with pytest.raises(ValueError, match="sha256"):
        run(cheap)
    assert calls == []


def test_a_killed_run_goes_on_where_it_was_and_ends_with_the_same_bytes(run, calls, regions) -> None:
    """With the real x4plus, which also shows that its labels look like their inputs, though waves are not what it was made for."""
    real = REAL | {"veto": {"shift": 0.1, "added": 1.0, "structured": 1.0, "survival": [0.0, 9.0]}}
    command = [sys.executable, "-W", "ignore", "-c", RUN, str(SAMPLE), LabelConfig.model_validate(real).model_dump_json()]
    with subprocess.Popen(command) as process:
        limit = time.monotonic() + 120
        while not list(WORK.glob("*.npy")) and process.poll() is None and time.monotonic() < limit:
            time.sleep(0.005)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    saved = len(list(WORK.glob("*.npy")))
    assert 1 <= saved < LABELS

    run(real)
    assert len(calls) == LABELS - saved
    resumed = outputs()
    run(real)
    assert outputs() == resumed
    for enhanced, made in zip(pictures("inputs.npy", regions), pictures("targets.npy", regions), strict=True):
        assert np.corrcoef(enhanced.ravel(), made.ravel())[0, 1] > 0.9
