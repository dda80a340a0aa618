import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from xraydenoise import contracts, models, params
from xraydenoise.data import card, duplicates, leakage, store
from xraydenoise.evaluation import report
from xraydenoise.evaluation.baselines.base import Baseline, Setting
from xraydenoise.labelling import audit, worst
from xraydenoise.noise import gaussian
from xraydenoise.stages import baseline, compare, evaluate

SAMPLE = Path(__file__).parents[2] / "profiles/sample.yaml"
LABELS = ("clear", "opacity", None, "clear", None, "opacity")  # of the patients of `tracks`
SIGMAS = {"noise": {"gaussian_05": 0.05, "gaussian_20": 0.2}, "enhanced": {"quantum_1000": 0.1}}


def smooth(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A picture (H, W) of slow waves in [0.1, 0.9], so that there is something to denoise."""
    down, right = np.mgrid[:height, :width] / 8
    return (0.5 + 0.4 * np.sin(down + rng.uniform(0, 6)) * np.sin(right + rng.uniform(0, 6))).astype(np.float32)


def identity(track: str, number: int) -> str:
    """The id of a picture, or on track enhanced of its one region."""
    return f"noise{number:04d}" + ("-0" if track == "enhanced" else "")


def track(folder: Path, rows: list[dict[str, object]], pictures: list[np.ndarray]) -> None:
    """A track as the stages before degrade leave it; on track enhanced with labels a little paler than the truth, `pictures`."""
    folder.mkdir(parents=True)
    enhanced = folder.name == "enhanced"
    with store.Writer(folder / "targets.npy") as targets:
        for row, pixels in zip(rows, pictures, strict=True):
            row |= {"offset": targets.append(0.9 * pixels + 0.05 if enhanced else pixels)}
            row |= {"height": pixels.shape[0], "width": pixels.shape[1], "teaches": True}
    contracts.write(pd.DataFrame(rows), folder / "manifest.parquet", contracts.Track)
    unlike = np.random.default_rng(0).standard_normal((len(rows), duplicates.LENGTH)) / duplicates.LENGTH**0.5
    np.save(folder / duplicates.FILE, unlike.astype(np.float16))  # as if none were like another
    if enhanced:
        with store.Writer(folder / "plain.npy") as plain, store.Writer(folder / "linear.npy", np.float32) as linear:
            for pixels in pictures:
                plain.append(pixels)
                linear.append(pixels)
        curve = {"low": 0.0, "middle": 0.5, "high": 1.0, "level": 0.5}  # changes nothing
        facts = {"preset": 0, "noise": "before", "top": 0, "left": 0, **curve}
        regions = [
            {name: row[name] for name in row if name != "teaches"}
            | facts
            | {"parent": str(row["image"]).removesuffix("-0"), "plain": row["offset"]}
            for row in rows
        ]
        contracts.write(pd.DataFrame(regions), folder / "regions.parquet", contracts.Regions)


@pytest.fixture
def degraded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of its own, the current folder, as the degrade stages leave it: six patients of val and of test, two pictures each."""
    monkeypatch.chdir(tmp_path)
    degrade(tmp_path)
    return tmp_path


def degrade(root: Path) -> None:
    rng = np.random.default_rng(0)
    for name, sigmas in SIGMAS.items():
        drawn = root / "artifacts/degrade" / name
        drawn.mkdir(parents=True)
        rows, clean = [], []
        for number in range(24):
            split, size = ("val", (32, 40)) if number < 12 else ("test", (40, 32))
            clean.append(smooth(rng, *size))
            rows.append({"image": identity(name, number), "patient": f"patient{number // 2}", "split": split, "label": None})
        track(root / "artifacts/tracks" / name, rows, clean)
        noisy = []
        for condition, sigma in sigmas.items():
            with store.Writer(drawn / f"{condition}.npy") as pixels:
                for row, picture in zip(rows, clean, strict=True):
                    draw = np.clip(picture + sigma * rng.standard_normal(picture.shape), 0, 1)
                    kept = {name: value for name, value in row.items() if name not in ("label", "teaches")}
                    noisy.append(kept | {"condition": condition, "seed": 0, "offset": pixels.append(draw)})
        contracts.write(pd.DataFrame(noisy), drawn / "manifest.parquet", contracts.Degraded)


@pytest.fixture
def small(degraded: Path) -> Callable[..., params.Params]:
    """`small_params`, in a project as the degrade stages leave it."""
    return small_params


@pytest.fixture
def scored(small: Callable[..., params.Params]) -> params.Params:
    """`small` with all methods scored and examined, models with random weights."""
    chosen = small()
    score_all(chosen)
    return chosen


def score_all(chosen: params.Params) -> None:
    for name, model in chosen.models.items():
        untrained(Path("artifacts/train", name), model.network, seed=0)
        evaluate.run(chosen, name)
    for name in chosen.baselines:
        baseline.run(chosen, name)


@pytest.fixture
def described(degraded: Path) -> Path:
    """The same project with what ingest, label and protocols leave besides."""
    describe(degraded)
    return degraded


def negative(config: Baseline) -> Baseline:
    """What every network beats, also one of random weights: the baseline with black for white."""

    class Negative(type(config)):
        def denoise(self, noisy: np.ndarray, setting: Setting) -> np.ndarray:
            return 1 - super().denoise(noisy, setting)

    return Negative.model_validate(config.model_dump())


@pytest.fixture(scope="module")
def compared_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project as compare leaves it, made once: networks of random weights, and a negative in the place of every baseline."""
    root = tmp_path_factory.mktemp("compared") / "project"
    root.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        degrade(root)
        describe(root)
        chosen = small_params()
        chosen = chosen.model_copy(update={"baselines": {name: negative(config) for name, config in chosen.baselines.items()}})
        score_all(chosen)
        compare.run(chosen)
    return root


@pytest.fixture
def compared(compared_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of `compared_once`, the current folder, with no MLflow yet."""
    root = tmp_path / "project"
    shutil.copytree(compared_once, root)
    monkeypatch.chdir(root)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return root


@pytest.fixture
def small_of_stages() -> Callable[..., params.Params]:
    return small_params


@pytest.fixture
def untrained_of_stages() -> Callable[..., None]:
    return untrained


def untrained(folder: Path, network: models.Network, seed: int) -> None:
    """A network with small random weights as training leaves it: it hardly changes a picture."""
    folder.mkdir(parents=True, exist_ok=True)
    built = models.initialised(network, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    for parameter in built.parameters():
        torch.nn.init.normal_(parameter, std=0.02, generator=generator)
    save_file(built.state_dict(), folder / "weights.safetensors")
    (folder / "config.json").write_text(json.dumps({"network": network.model_dump(mode="json"), "steps": 1}), encoding="utf-8")
    curves = folder.parents[1] / "curves"
    curves.mkdir(exist_ok=True)
    (curves / f"{folder.name}.csv").write_text("step,loss,learning_rate,val_target_psnr\n100,0.01,0.001,25.0\n")


def describe(root: Path) -> None:
    """The manifest, the proof and the card of ingest; the audit of labels; a published comparison."""
    frame = contracts.read(root / "artifacts/tracks/noise/manifest.parquet", contracts.Track)
    native = {"native_height": frame["height"], "native_width": frame["width"], "spacing": np.nan, "bits": 16}
    frame = frame.drop(columns="teaches").assign(
        burned_in=False,
        dicom_patient=None,
        dicom_study=None,
        named=True,
        source="clinic",
        file="a.png",
        view=None,
        label=None,
        licence="CC BY 4.0",
        **native,
    )
    ingested, labelled, protocols = root / "artifacts/ingest", root / "artifacts/label", root / "artifacts/protocols"
    for folder in (ingested, labelled, protocols):
        folder.mkdir()
    contracts.write(frame, ingested / "manifest.parquet", contracts.Images)
    contracts.write(contracts.empty(contracts.Quarantine), ingested / "quarantine.parquet", contracts.Quarantine)
    proof = leakage.prove(frame, {patient: patient for patient in frame["patient"]}, [], [], 0.94)
    (ingested / "leakage.json").write_text(json.dumps(proof))
    origins = pd.DataFrame({"source": ["clinic"], "kind": "folder", "origin": "folder clinic", "licence": "CC BY 4.0"})
    pixels = store.open_store(root / "artifacts/tracks/noise/targets.npy")
    (ingested / "card.json").write_text(json.dumps(card.describe(frame, contracts.empty(contracts.Quarantine), origins, pixels)))
    label, why = np.full((8, 8), 30000, np.uint16), "added .05 is over .035"
    worst.save(labelled / "worst.npz", [worst.Pair(identity("enhanced", 1), why, label, label + 99)])
    numbers = dict.fromkeys([name for name in audit.Audit.to_schema().columns if name not in ("image", "preset", "vetoed", "reason")], 0.5)
    audited = pd.DataFrame([{"image": identity("enhanced", 1), "preset": 7, "vetoed": True, "reason": why, **numbers}])
    contracts.write(audited, labelled / "audit.csv", audit.Audit)
    (protocols / "c.md").write_text("# Protocol C\n")
    table = report.Section("SSIM", "", pd.DataFrame({"method": ["autoencoder"], "f.1": ["0.8200 (0.8825)"]}))
    trained = report.Section("What was trained", "", pd.DataFrame({"method": ["autoencoder"], "shape": ["published"]}))
    report.save([report.Chapter("Protocol C", ["Tested on 2 pictures."], [trained, table])], protocols / "pages.json")


def small_params(**sections: object) -> params.Params:
    """The profile `sample`, less all but the first model of each track that begins anew, for the CPU; keywords replace whole sections."""
    whole = params.load(SAMPLE)
    first = {model.track: name for name, model in reversed(whole.models.items()) if model.start is None}
    machine = whole.machine.model_copy(update={"device": "cpu", "threads": 1})  # two would wait on each other on a busy machine
    learners = {name: whole.models[name] for name in first.values()}
    disc = {"radius": 4.0, "contrast": 0.05, "blur": 1.0}
    repeats = {"pictures": 2, "draws": 6, "side": 32, "disc": disc}
    sweep = {"pictures": 2, "gaussian": [0.05, 0.2], "quantum": [20.0, 200.0], "full_dose": 200.0}
    examined = params.EvaluateConfig.model_validate({"pictures": 2, "tune_images": 4, "repeats": repeats, "sweep": sweep})
    conditions = {
        "noise": {name: gaussian.Config(kind="gaussian", mean=0.0, sigma=sigma, clip=True) for name, sigma in SIGMAS["noise"].items()},
        "enhanced": whole.conditions["enhanced"],
    }
    baselines = {name: whole.baselines[name] for name in ("noisy", "median", "total_variation")}
    changed = {"baselines": baselines, "machine": machine, "models": learners, "evaluate": examined, "conditions": conditions}
    return whole.model_copy(update={**changed, **sections})


@pytest.fixture
def tracks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of its own, the current folder, as ingest and label leave it: both tracks, six patients, two pictures of each."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for name in contracts.TRACKS:
        rows, pictures = [], []
        for number in range(12):
            patient = number // 2
            split = ("train", "train", "train", "val", "val", "test")[patient]
            pictures.append(smooth(rng, *((32, 40), (40, 32))[number % 2]))
            rows.append({"image": identity(name, number), "patient": f"patient{patient}", "split": split, "label": LABELS[patient]})
        track(tmp_path / "artifacts/tracks" / name, rows, pictures)
    return tmp_path


@pytest.fixture
def ready(compared: Path, small_of_stages) -> params.Params:
    """The params of the compared project, whose model passes every audit."""
    Path("params.yaml").write_text((Path(__file__).parents[2] / "params.yaml").read_text())
    chosen = small_of_stages()
    audits = chosen.gate.audits.model_copy(update={"added_detail": 1.0, "fixed_pattern": 1.0, "noise_gain": 10.0})
    return chosen.model_copy(update={"gate": chosen.gate.model_copy(update={"audits": audits})})
