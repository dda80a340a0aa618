"""train: one model learns from its track's training pictures, noise drawn live; a run that was killed goes on where it was."""

import hashlib
import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pandas as pd
import torch
from safetensors.torch import save_file

from xraydenoise import contracts, models, noise, training
from xraydenoise.data import store
from xraydenoise.params import ModelConfig, Params
from xraydenoise.progress import progress
from xraydenoise.training import batches, checkpoints, loop
from xraydenoise.training.device import pick
from xraydenoise.training.objectives import objective

INPUTS = {"noise": "targets.npy", "enhanced": "inputs.npy"}  # the store that noise is added to
VAL_PICTURES = 16  # noisy pictures that choose the best weights; whole, so more would take longer than they are worth


def run(params: Params, name: str) -> None:
    """Write artifacts/train/<name> and artifacts/curves/<name>.csv, going on from work/train/<name> if a killed run left it."""
    device = prepared(params)
    out, curves, work = Path("artifacts/train", name), Path("artifacts/curves"), Path("work/train", name)
    shutil.rmtree(out, ignore_errors=True)
    for folder in (out, curves, work):
        folder.mkdir(parents=True, exist_ok=True)

    model, mixture = params.models[name], params.mixtures[params.models[name].mixture]
    train, val = pictures(model.track, device)
    drawn = batches.Batches(train, mixture, params.train.batch, params.train.patch, params.seed)
    held_out = batches.validation(val, mixture, params.seed, VAL_PICTURES)
    state = loop.begin(models.initialised(model.network, params.seed), device, params.train.weight_decay)
    checkpoint, digest = work / "checkpoint.safetensors", recipe(params, model, device)
    resumed = checkpoints.restore(state, checkpoint, digest)
    if checkpoint.exists() and not resumed:
        print(f"train {name}: {checkpoint} is of other params, data or code, and is not taken; beginning anew")
    fit = loop.fit(state, drawn, held_out, objective(model.objective), model.steps, model.learning_rate, params.train)

    write_history(state.history, work / "history.csv")  # MLflow's mirror reads it while this runs
    saved = time.monotonic()
    for step in progress(fit, f"train {name}", total=model.steps, done=state.step):
        if step.val_psnr is not None:
            write_history(state.history, work / "history.csv")
        if time.monotonic() - saved >= params.train.checkpoint_every:
            checkpoints.save(state, checkpoint, digest)
            saved = time.monotonic()

    save_file({key: tensor.contiguous().cpu() for key, tensor in state.best.items()}, out / "weights.safetensors")
    facts = {"name": name, "track": model.track, "network": model.network.model_dump(mode="json")} | outcome(state, device)
    (out / "config.json").write_text(json.dumps(facts, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    write_history(state.history, curves / f"{name}.csv")
    log(state, name, device, resumed)
    shutil.rmtree(work)
    print(f"train {name}: PSNR on val {state.best_val_psnr:.2f} dB at step {state.best_step} of {state.step} (ended by {state.stopped})")


def prepared(params: Params) -> torch.device:
    """The device, with torch set so that a CPU gives the same bits again, or says which operation cannot."""
    torch.set_num_threads(params.machine.threads)
    device = pick(params.machine.device)
    torch.use_deterministic_algorithms(device.type == "cpu")
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # it would write every new tensor twice
    return device


def pictures(track: str, device: torch.device) -> tuple[batches.Pictures, batches.Pictures]:
    """The training and the val pictures of `track`; those of val in an order that takes every patient once before one a second time."""
    folder = Path("artifacts/tracks", track)
    manifest = contracts.read(folder / "manifest.parquet", contracts.Track).sort_values("image")
    turn = manifest.groupby("patient").cumcount()
    manifest = manifest.assign(turn=turn).sort_values(["turn", "image"])
    targets = store.resident(store.open_store(folder / "targets.npy"), device)
    inputs = targets if INPUTS[track] == "targets.npy" else store.resident(store.open_store(folder / INPUTS[track]), device)
    splits = (manifest[manifest["split"] == split] for split in ("train", "val"))
    train, val = (
        batches.Pictures(
            images=split["image"].tolist(),
            offset=split["offset"].tolist(),
            height=split["height"].tolist(),
            width=split["width"].tolist(),
            inputs=inputs,
            targets=targets,
        )
        for split in splits
    )
    return train, val


def recipe(params: Params, model: ModelConfig, device: torch.device) -> str:
    """Digest of all that a step depends on: entries of params.yaml, the track's bytes, the code, torch."""
    parts = [params.machine, params.train, model, *params.mixtures[model.mixture]]
    entries = [part.model_dump(mode="json") for part in parts]
    digest = hashlib.sha256(json.dumps([params.seed, entries, device.type, torch.__version__], sort_keys=True).encode())
    rooms = [Path(room.__path__[0]) for room in (models, noise, training)]
    used = [
        rooms[0] / f"{name}.py" for name in ("__init__", "initial", "padding", model.network.kind)
    ]  # another model changes nothing here
    sources = sorted([*used, *rooms[1].glob("*.py"), *rooms[2].glob("*.py")])
    for path in [*sources, *sorted(Path("artifacts/tracks", model.track).iterdir())]:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def write_history(history: Sequence[loop.Step], path: Path) -> None:
    """One row a validation."""
    rows = pd.DataFrame([asdict(step) for step in history]) if history else contracts.empty(contracts.History)
    contracts.write(rows, path, contracts.History)


def outcome(state: loop.State, device: torch.device) -> dict[str, object]:
    """What came of the training, for config.json."""
    return {
        "parameters": models.parameters(state.network),
        "best_step": state.best_step,
        "best_val_psnr": state.best_val_psnr,
        "steps_run": state.step,
        "stopped": state.stopped,
        "reproducible": device.type == "cpu" and state.stopped != "max_minutes",
    }


def log(state: loop.State, name: str, device: torch.device, resumed: bool) -> None:
    """Timings are no stage output: they would change its hash from run to run."""
    times = {"seconds": state.seconds, "steps": state.step, "steps_per_second": state.step / state.seconds}
    path = Path("logs", f"train-{name}.json")
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(times | {"device": device.type, "resumed": resumed}, indent=2) + "\n", encoding="utf-8")
