"""train: one model learns from its track's training pictures, noise drawn live; a run that was killed goes on where it was."""

import hashlib
import json
import resource
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import pandas as pd
import psutil
import torch
from safetensors.torch import save_file
from torch import nn

from xraydenoise import contracts, disk, enhancement, logs, models, noise, training
from xraydenoise.data import splits, store
from xraydenoise.device import pick
from xraydenoise.params import Params
from xraydenoise.progress import progress
from xraydenoise.stages import tracks
from xraydenoise.training import Recipe, batches, checkpoints, classifier, loop

CLASSIFIER = Path("artifacts/classifier")
START = Path("artifacts/start")


def run(params: Params, name: str) -> None:
    """Write artifacts/train/<name> and artifacts/curves/<name>.csv, going on from work/train/<name> if a killed run left it."""
    device = prepared(params)
    out, curves, work = Path("artifacts/train", name), Path("artifacts/curves"), Path("work/train", name)
    shutil.rmtree(out, ignore_errors=True)
    for folder in (out, curves, work):
        folder.mkdir(parents=True, exist_ok=True)

    model, mixture = params.models[name], params.mixtures[params.models[name].mixture]
    judge, classes = classifier.load(CLASSIFIER, device) if model.objective.needs_classifier else (None, [])
    track = Path("artifacts/tracks", model.track)
    train, val = pictures(track, device, classes)
    start = START / name / "weights.safetensors"
    if model.start and not start.exists():
        raise FileNotFoundError(f"{start}: not there, and {name} begins from {model.start}; `dvc repro start` fetches it")
    digest = recipe(params, model, mixture, device, track, [start] if model.start else [])
    network = models.load(start.parent, device) if model.start else models.initialised(model.network, params.seed)
    state, resumed = learn(params, name, model, network, mixture, train, val, judge, work, digest)

    with disk.whole(out / "weights.safetensors") as unfinished:
        save_file({key: tensor.contiguous().cpu() for key, tensor in state.best.items()}, unfinished)
    facts = {"name": name, "track": model.track, "start": model.start, "network": model.network.model_dump(mode="json")} | outcome(
        state, device
    )
    facts["objective"] = model.objective.model_dump(mode="json")
    if model.objective.needs_classifier:
        facts["classes"] = classes  # none: the dataset has no labels, and the denoiser was trained alone
    disk.write(out / "config.json", json.dumps(facts, indent=2, sort_keys=True) + "\n")
    write_history(state.history, curves / f"{name}.csv")
    log(state, name, device, resumed)
    shutil.rmtree(work)
    reached = f"PSNR to the target on val {state.best_val_target_psnr:.2f} dB at step {state.best_step} of {state.step}"
    print(f"train {name}: {reached} (ended by {state.stopped})")


def learn(
    params: Params,
    name: str,
    model: Recipe,
    network: nn.Module,
    mixture: Sequence[noise.Part],
    train: batches.Pictures,
    val: batches.Pictures,
    judge: classifier.Classifier | None,
    work: Path,
    digest: str,
) -> tuple[loop.State, bool]:
    """Train `network` on the device of the pictures, going on from `work` if a run of the same `digest` left it; whether it did."""
    device, plan = train.targets.device, model.plan(params.train)
    drawn = batches.Batches(train, mixture, plan.batch, plan.patch, params.seed, plan.augment)
    held_out = batches.validation(val, mixture, params.seed, params.train.val_pictures)
    state = loop.begin(network, device, plan)
    checkpoint = work / "checkpoint.safetensors"
    resumed = checkpoints.restore(state, checkpoint, digest)
    if checkpoint.exists() and not resumed:
        print(f"train {name}: {checkpoint} is of other params, data or code, and is not taken; beginning anew")
    if model.objective.needs_classifier and judge is None:
        print(f"train {name}: the dataset has no labels to classify, so the denoiser is trained alone")
    criterion = partial(model.objective.loss, classifier=judge)
    settled = model.objective.settled
    fit = loop.fit(state, drawn, held_out, criterion, plan, params.train, settled)

    write_history(state.history, work / "history.csv")  # MLflow's mirror reads it while this runs
    saved = time.monotonic()
    for step in progress(fit, f"train {name}", total=plan.steps, done=state.step):
        if step.val_target_psnr is not None:
            write_history(state.history, work / "history.csv")
        if time.monotonic() - saved >= params.train.checkpoint_every:
            checkpoints.save(state, checkpoint, digest)
            saved = time.monotonic()
    checkpoints.save(state, checkpoint, digest)  # so that whatever is killed from here on does not train again
    return state, resumed


def prepared(params: Params) -> torch.device:
    """The device, with torch set so that a CPU gives the same bits again, or says which operation cannot."""
    torch.set_num_threads(params.machine.threads)
    device = pick(params.machine.device)
    torch.use_deterministic_algorithms(device.type == "cpu")
    torch.backends.cudnn.allow_tf32 = False  # what asks for float32 gets it; bf16 is the fast way
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # it would write every new tensor twice
    return device


def pictures(
    track: Path, device: torch.device, classes: Sequence[str], position: enhancement.Position | None = None
) -> tuple[batches.Pictures, batches.Pictures]:
    """The training and the val pictures in the folder of a track; those of val in an order that takes every patient once before a second
    time. `position` is where noise joins on track enhanced; None is where params.yaml had it."""
    manifest = splits.by_turns(contracts.read(track / "manifest.parquet", contracts.Track).query("teaches"), ["image"]).reset_index(
        drop=True
    )
    regions = tracks.regions(track, manifest["image"], position)
    names = ["targets"] if regions is None else ["targets", "linear", "plain"]
    stores = {name: store.resident(store.open_store(track / f"{name}.npy"), device) for name in names}
    train, val = (listed(manifest["split"] == split, manifest, regions, stores, classes) for split in ("train", "val"))
    return train, val


def listed(
    chosen: pd.Series, manifest: pd.DataFrame, regions: pd.DataFrame | None, stores: dict[str, torch.Tensor], classes: Sequence[str]
) -> batches.Pictures:
    """The `chosen` rows of a contracts.Track, and of the contracts.Regions beside it, as pictures in resident stores."""
    device = stores["targets"].device
    rows = manifest[chosen]
    labels = rows["label"].astype(object).where(rows["label"].notna(), None)
    numbers = {name: torch.tensor(rows[name].to_numpy(), dtype=torch.int64, device=device) for name in ("offset", "height", "width")}
    return batches.Pictures(
        images=rows["image"].tolist(),
        targets=stores["targets"],
        labels=torch.tensor(classifier.numbered(labels.tolist(), classes), dtype=torch.int64, device=device),
        enhanced=None if regions is None else enhanced(regions[chosen], stores),
        **numbers,
    )


def enhanced(regions: pd.DataFrame, stores: dict[str, torch.Tensor]) -> batches.Enhanced:
    """What the inputs of some contracts.Regions are made of."""
    device = stores["linear"].device
    return batches.Enhanced(
        linear=stores["linear"],
        plain=stores["plain"],
        offset=torch.tensor(regions["plain"].to_numpy(), dtype=torch.int64, device=device),
        gains=enhancement.gains(regions["preset"].tolist()).to(device),
        curves=torch.tensor(regions[tracks.CURVE].to_numpy(), dtype=torch.float32, device=device),
        position=next(iter(regions["noise"]), "before"),
    )


def recipe(
    params: Params, model: Recipe, mixture: Sequence[noise.Part], device: torch.device, track: Path, more: Sequence[Path] = ()
) -> str:
    """Digest of all that a step depends on: entries of params.yaml, the bytes of the folder `track`, the code and that in `more`, torch."""
    parts = [params.machine, params.train, model, model.plan(params.train), *mixture]
    entries = [part.model_dump(mode="json") for part in parts]
    digest = hashlib.sha256(json.dumps([params.seed, entries, device.type, torch.__version__], sort_keys=True).encode())
    for path in [
        *code(model),
        *more,
        *sorted(track.iterdir()),
        *(sorted(CLASSIFIER.iterdir()) if model.objective.needs_classifier else []),
    ]:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def code(model: Recipe) -> list[Path]:
    """The files that train `model`, the same as in dvc.yaml: those of other networks and objectives change nothing here."""
    package = Path(training.__path__[0]).parent
    named = [f"models/{name}" for name in ("__init__", "bottleneck", "initial", "padding", "patches", model.network.kind)]
    named += [f"training/objectives/{name}" for name in ("__init__", model.objective.kind)]
    named += ["data/depth", "data/splits", "data/store", "device", "stages/tracks", "stages/train"]
    return sorted([*(package / f"{name}.py" for name in named), *package.glob("noise/*.py"), *package.glob("training/*.py")])


def write_history(history: Sequence[loop.Step], path: Path) -> None:
    """One row a validation."""
    rows = pd.DataFrame([asdict(step) for step in history]) if history else contracts.empty(contracts.History)
    contracts.write(rows, path, contracts.History)


def outcome(state: loop.State, device: torch.device) -> dict[str, object]:
    """What came of the training, for config.json."""
    return {
        "parameters": models.parameters(state.network),
        "best_step": state.best_step,
        "best_val_target_psnr": state.best_val_target_psnr,
        "steps_run": state.step,
        "stopped": state.stopped,
        "reproducible": device.type == "cpu" and state.stopped != "max_minutes",
    }


def log(state: loop.State, name: str, device: torch.device, resumed: bool) -> None:
    """Timings are no stage output: they would change its hash from run to run."""
    times = {"seconds": state.seconds, "steps": state.step, "steps_per_second": state.step / state.seconds}
    told = {"device": device.type, "resumed": resumed, "system": used(device)}
    logs.write(f"train-{name}", times | told)


def used(device: torch.device) -> dict[str, float]:
    """What this process took of the machine, under the names that MLflow gives system metrics."""
    process = psutil.Process()
    busy = process.cpu_times().user + process.cpu_times().system
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)  # bytes there, kilobytes here
    found = {
        "cpu_utilization_percentage": 100 * busy / (time.time() - process.create_time()),
        "system_memory_usage_megabytes": peak / 1e6,
    }
    if device.type == "cuda":
        found["gpu_0_memory_usage_megabytes"] = torch.cuda.max_memory_allocated(device) / 1e6
    return found
