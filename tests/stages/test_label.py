import hashlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from xraydenoise import contracts, labelling, params
from xraydenoise.data import store
from xraydenoise.labelling import LabelConfig, audit, weights
from xraydenoise.stages import label

SAMPLE = Path(__file__).parents[2] / "profiles/sample.yaml"
TRACK, WORK = Path("artifacts/tracks/enhanced"), Path("work/label")
REGIONS = 6
REAL = {"network": "x4plus", "weights": "package", "tile": 64, "overlap": 32, "max_shift": 0.1}

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
    page = Path("artifacts/label/audit.md").read_text()
    for word in ("6 labels", "| identity |", "| dark |", *label.HEADINGS.values()):
        assert word in page


def test_nothing_is_left_in_work_and_timings_stay_out_of_the_outputs(run, cheap) -> None:
    run(cheap)
    assert not WORK.exists()
    assert json.loads(label.LOG.read_text())["labels"] == REGIONS
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
        with pytest.raises(ValueError, match="image val-dark: 1024 of 1024 label pixels are NaN"):
            run(cheap)
    assert not (TRACK / "targets.npy").exists()
    calls.clear()
    run(cheap)
    assert len(calls) == REGIONS - 3


def test_wrong_weights_stop_the_stage_before_a_label_is_made(run, cheap, calls) -> None:
    Path(str(cheap["weights"])).write_bytes(b"cut short")
    with pytest.raises(ValueError, match="sha256"):
        run(cheap)
    assert calls == []


def test_a_killed_run_goes_on_where_it_was_and_ends_with_the_same_bytes(run, calls, regions) -> None:
    """With the real x4plus, which also shows that its labels look like their inputs."""
    command = [sys.executable, "-W", "ignore", "-c", RUN, str(SAMPLE), LabelConfig.model_validate(REAL).model_dump_json()]
    with subprocess.Popen(command) as process:
        limit = time.monotonic() + 120
        while not list(WORK.glob("*.npy")) and process.poll() is None and time.monotonic() < limit:
            time.sleep(0.005)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    saved = len(list(WORK.glob("*.npy")))
    assert 1 <= saved < REGIONS

    run(REAL)
    assert len(calls) == REGIONS - saved
    resumed = outputs()
    run(REAL)
    assert outputs() == resumed
    for enhanced, made in zip(pictures("inputs.npy", regions), pictures("targets.npy", regions), strict=True):
        assert np.corrcoef(enhanced.ravel(), made.ravel())[0, 1] > 0.9
