import hashlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import torch

from xraydenoise import contracts, enhancement, labelling, logs, params
from xraydenoise.data import store
from xraydenoise.labelling import audit, lesions, page, weights, worst
from xraydenoise.stages import enhance, label, tracks

SAMPLE = Path(__file__).parents[2] / "profiles/sample.yaml"
TRACK, WORK = Path("artifacts/tracks/enhanced"), Path("work/label")
PRESETS = (0, 7)
PICTURES = 3  # plain ones, one per split
PASSES = 2 * PICTURES  # of the network: each without and with a lesion
SIDE, REGION, TOP = 64, 32, 20  # px; a region lies at TOP in both directions
REAL = params.load(SAMPLE).label.model_dump() | {"tile": 64, "overlap": 32}

RUN = """
import sys
from pathlib import Path
from xraydenoise import params
from xraydenoise.stages import label
sample = params.load(Path(sys.argv[1]))
machine = sample.machine.model_copy(update={"device": "cpu", "threads": 1})
label.run(sample.model_copy(update={"machine": machine, "label": params.LabelConfig.model_validate_json(sys.argv[2])}))
"""


@pytest.fixture
def regions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
    """A project of its own, the current folder, as enhance leaves it: a region of each of three pictures under two presets."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "artifacts/tracks/noise"
    folder.mkdir(parents=True)
    down, right = np.mgrid[:SIDE, :SIDE] / 5
    rows = []
    with store.Writer(folder / "targets.npy") as writer:
        for number, split in enumerate(contracts.SPLITS):
            picture = (0.5 + 0.35 * np.sin(down + number) * np.sin(right + 2 * number)).astype(np.float32)
            place = {"offset": writer.append(picture), "height": SIDE, "width": SIDE, "teaches": True}
            rows.append({"image": f"{split}_00", "patient": split, "split": split, "label": split} | place)
    contracts.write(pd.DataFrame(rows), folder / "manifest.parquet", contracts.Track)
    monkeypatch.setattr(enhance, "region", lambda *_: (TOP, TOP))
    sample = params.load(SAMPLE)
    config = sample.enhance.model_copy(update={"presets": PRESETS, "region": REGION})
    enhance.run(sample.model_copy(update={"enhance": config}))
    return contracts.read(TRACK / "regions.parquet", contracts.Regions)


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
        label.run(sample.model_copy(update={"machine": machine, "label": params.LabelConfig.model_validate(section)}))

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
def brightened(monkeypatch: pytest.MonkeyPatch) -> Callable[[list[str]], None]:
    """Makes the network brighten the pictures of some splits by .05, more than label.veto.shift and less than max_shift."""
    real = labelling.Labeller.__call__
    means = {}
    down, right = np.mgrid[:SIDE, :SIDE] / 5
    for number, split in enumerate(contracts.SPLITS):
        means[split] = 0.5 + 0.35 * np.sin(down + number) * np.sin(right + 2 * number)

    def brightened(splits: list[str]) -> None:
        def brighter(self: labelling.Labeller, pixels: np.ndarray) -> np.ndarray:
            made = real(self, pixels)
            near = [np.abs(pixels - means[split]).max() < 1.1 * lesions.CONTRAST for split in splits]
            return made + np.float32(0.05) if any(near) else made

        monkeypatch.setattr(labelling.Labeller, "__call__", brighter)

    return brightened


def outputs() -> dict[str, bytes]:
    return {str(path): path.read_bytes() for folder in (TRACK, Path("artifacts/label")) for path in sorted(folder.iterdir())}


def pairs(manifest: pd.DataFrame) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Truth and label of each image, float32 (H, W)."""
    stores, targets = tracks.stores(TRACK), store.open_store(TRACK / "targets.npy")
    for row in manifest.to_dict("records"):
        yield tracks.truth(stores, row), store.read(targets, row["offset"], row["height"], row["width"])


def test_a_network_that_changes_nothing_gives_labels_that_are_the_truth(run, cheap, regions) -> None:
    run(cheap)
    manifest = contracts.read(TRACK / "manifest.parquet", contracts.Track)
    for column in ("image", "label", "offset"):
        assert list(manifest[column]) == list(regions[column])
    for truth, made in pairs(regions):
        np.testing.assert_allclose(made, truth, atol=0.01)  # half precision, amplified


def test_the_label_is_the_enhanced_plain_label_as_if_the_network_had_seen_the_whole_picture(run, cheap, regions, monkeypatch) -> None:
    """With a network that smooths: amplified in the region and its margin alone, its change gives the label of the whole picture."""
    monkeypatch.setattr(labelling.Labeller, "__call__", lambda _, pixels: cv2.GaussianBlur(pixels, (0, 0), 2))
    run(cheap)
    whole = store.open_store(Path("artifacts/tracks/noise/targets.npy")).reshape(PICTURES, SIDE, SIDE) / np.float32(65535)
    for row, (_, made) in zip(regions.to_dict("records"), pairs(regions), strict=True):
        plain = cv2.GaussianBlur(whole[contracts.SPLITS.index(row["split"])], (0, 0), 2)
        amplified = enhancement.amplify(torch.from_numpy(plain)[None, None], enhancement.gains([row["preset"]]))[0, 0].numpy()
        expected = tracks.enhanced(amplified, row)[TOP : TOP + REGION, TOP : TOP + REGION]
        np.testing.assert_allclose(made, expected, atol=0.005)


def test_in_order_plain_the_network_sees_each_picture_once_whatever_the_presets(run, cheap, calls) -> None:
    run(cheap)
    assert len(calls) == PASSES


def test_in_order_enhanced_the_network_sees_what_each_preset_made(run, cheap, regions, calls) -> None:
    run(cheap | {"order": "enhanced"})
    means = [float(truth.mean()) for truth, _ in pairs(regions)]
    assert len(calls) > PASSES
    assert all(np.abs(np.array(calls) - mean).min() < 1e-4 for mean in means)
    for truth, made in pairs(regions):
        np.testing.assert_allclose(made, truth, atol=0.005)


def test_the_audit_lists_every_label_and_names_the_worst(run, cheap, regions) -> None:
    run(cheap)
    table = contracts.read(Path("artifacts/label/audit.csv"), audit.Audit)
    assert list(table["image"]) == list(regions["image"])
    text = Path("artifacts/label/audit.md").read_text()
    for word in ("0 of 6 labels (0.0%) were vetoed", "| 0 |", "| 7 |", "(worst.png)"):
        assert word in text
    for heading in page.HEADINGS.values():
        assert heading in text


def test_a_vetoed_label_is_in_the_audit_with_its_reason_and_teaches_no_model(run, cheap, regions, brightened) -> None:
    brightened(["train"])
    run(cheap | {"veto": cheap["veto"] | {"shift": 0.045}})  # preset 0 shifts by .05, preset 7 by less, as it dampens what is slow
    table = contracts.read(Path("artifacts/label/audit.csv"), audit.Audit).set_index("image")
    assert list(table.index[table["vetoed"]]) == ["train_00-0"]
    assert table.loc["train_00-0", "reason"].startswith("shift +0.050, at most 0.045 either way")
    manifest = contracts.read(TRACK / "manifest.parquet", contracts.Track)
    assert list(manifest["image"]) == list(regions["image"])  # its truth is known all the same
    assert list(manifest.loc[~manifest["teaches"], "image"]) == ["train_00-0"]
    text = Path("artifacts/label/audit.md").read_text()
    assert "1 of 6 labels (16.7%) were vetoed" in text
    assert "| 0 | 1 of 3 labels (33.3%) |" in text


def test_the_worst_labels_are_kept_for_the_report_and_drawn(run, cheap, regions, brightened) -> None:
    brightened(["val"])
    run(cheap | {"veto": cheap["veto"] | {"shift": 0.06}})
    first, *others = worst.load(Path("artifacts/label/worst.npz"))
    assert first.image == "val_00-0"
    assert len(others) == page.WORST - 1
    assert np.mean(first.label.astype(float) - first.input) == pytest.approx(0.05 * 65535, rel=0.1)
    truth = dict(zip(regions["image"], pairs(regions), strict=True))["val_00-0"][0]
    noise = first.input / 65535 - truth  # of the track's first condition: 1000 photons at full scale
    assert np.mean(noise**2 / truth) == pytest.approx(1 / 1000, rel=0.2)
    assert cv2.imread("artifacts/label/worst.png", cv2.IMREAD_UNCHANGED).shape == (5 * 264, 3 * 264)


def test_a_split_without_a_label_left_stops_the_stage_with_the_way_out_and_the_audit_to_look_at(run, cheap, brightened, calls) -> None:
    brightened(["val"])
    with pytest.raises(ValueError, match=r"split val would keep none of its 2 labels; .*val_00-\d \(shift \+0.0.*enhance.images.val"):
        run(cheap | {"veto": cheap["veto"] | {"shift": 0.004}})
    assert contracts.read(Path("artifacts/label/audit.csv"), audit.Audit)["vetoed"].sum() == 2
    assert not (TRACK / "manifest.parquet").exists()
    calls.clear()
    run(cheap | {"veto": cheap["veto"] | {"shift": 0.06}})
    assert calls == []


def test_more_vetoes_than_allowed_stop_the_stage_and_name_the_worst(run, cheap, brightened) -> None:
    brightened(["train", "test"])
    strict = cheap | {"veto": cheap["veto"] | {"shift": 0.045}}
    with pytest.raises(
        ValueError, match=r"2 of 6 labels \(33.3%\) are vetoed, label.max_vetoed allows a share of 0.3; the worst: .*t\w+_00-0"
    ):
        run(strict | {"max_vetoed": 0.3})
    run(strict | {"max_vetoed": 0.34})


def test_a_picture_without_a_place_for_a_lesion_is_labelled_once_and_not_vetoed_for_it(run, cheap, regions, calls) -> None:
    with store.Writer(Path("artifacts/tracks/noise/targets.npy")) as writer:
        for number in range(PICTURES):
            writer.append(np.full((SIDE, SIDE), 0.1 * (number + 1), np.float32))
    run(cheap)
    assert len(calls) == PICTURES
    table = contracts.read(Path("artifacts/label/audit.csv"), audit.Audit)
    assert table["survival"].isna().all()


def test_nothing_is_left_in_work_and_timings_stay_out_of_the_outputs(run, cheap) -> None:
    run(cheap)
    assert not WORK.exists()
    assert logs.read("label")["pictures"] == PASSES
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
        with pytest.raises(ValueError, match=r"image val_00: \d+ of \d+ label pixels are NaN"):
            run(cheap)
    assert not (TRACK / "targets.npy").exists()
    calls.clear()
    run(cheap)
    assert len(calls) == PASSES - 3


def test_what_the_network_made_is_made_again_where_it_is_damaged(run, cheap, calls, brightened, damage, capsys) -> None:
    brightened(["val"])
    with pytest.raises(ValueError, match="split val would keep none"):
        run(cheap | {"veto": cheap["veto"] | {"shift": 0.004}})
    damaged = sorted(WORK.glob("*.npy"))[1]
    damage(damaged)
    calls.clear()
    capsys.readouterr()
    run(cheap | {"veto": cheap["veto"] | {"shift": 0.06}})
    assert len(calls) == 1
    assert capsys.readouterr().out.splitlines()[0].startswith(f"{damaged}: is not as it was written")
    resumed = outputs()
    run(cheap | {"veto": cheap["veto"] | {"shift": 0.06}})
    assert outputs() == resumed


def test_wrong_weights_stop_the_stage_before_a_label_is_made(run, cheap, calls) -> None:
    Path(str(cheap["weights"])).write_bytes(b"cut short")
    with pytest.raises(ValueError, match="sha256"):
        run(cheap)
    assert calls == []


def test_a_killed_run_goes_on_where_it_was_and_ends_with_the_same_bytes(run, calls, regions) -> None:
    """With the real x4plus, which also shows that its labels look like their inputs, though waves are not what it was made for."""
    real = REAL | {"veto": {"shift": 0.1, "detail": 9.0, "survival": [0.0, 9.0]}}
    command = [sys.executable, "-W", "ignore", "-c", RUN, str(SAMPLE), params.LabelConfig.model_validate(real).model_dump_json()]
    with subprocess.Popen(command) as process:
        limit = time.monotonic() + 120
        while not list(WORK.glob("*.npy")) and process.poll() is None and time.monotonic() < limit:
            time.sleep(0.005)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    saved = len(list(WORK.glob("*.npy")))
    assert 1 <= saved < PASSES

    run(real)
    assert len(calls) == PASSES - saved
    resumed = outputs()
    run(real)
    assert outputs() == resumed
    for truth, made in pairs(regions):
        assert np.corrcoef(truth.ravel(), made.ravel())[0, 1] > 0.8
