"""What one MLflow run stands for, and how it is found again: by its recipe, and by what came of it."""

import hashlib
import json
import math
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xraydenoise.registry.store import Store

if TYPE_CHECKING:
    from mlflow.entities import Run

RECIPE = "xraydenoise.recipe"  # tag: all that the result depends on, known before it is there
OUTCOME = "xraydenoise.outcome"  # tag: what came of it; code may change under the same recipe
PROJECT = "xraydenoise.project"  # tag: the clone that wrote the run
CARD = Path("artifacts/ingest/card.json")  # what the pictures are
LOCK = Path("dvc.lock")  # what DVC made of the project
REGISTERED = Path("artifacts/register")  # verdicts, model cards
DIFFERENCES = "champion_differences.csv"  # file: the models against the champion, where there was one
BATCH, PARAMS = 1000, 100  # metrics and params, the most that one log_batch takes


@dataclass(frozen=True)
class Method:
    """A trained model, or a baseline on one track: what it is called, and all that its result depends on, nested."""

    name: str
    track: str
    learns: bool
    params: Mapping[str, Any]

    @property
    def title(self) -> str:
        """Baselines stand on every track, so theirs says which."""
        return self.name if self.learns else f"{self.name} ({self.track})"

    @property
    def folder(self) -> Path:
        """Where training leaves its network, if it learns."""
        return Path("artifacts/train", self.name)

    def outputs(self) -> tuple[Path, ...]:
        """The files whose bytes are its outcome."""
        return (self.folder / "config.json", self.folder / "weights.safetensors") if self.learns else (scores(self.name),)

    def recipe(self) -> str:
        """Digest of params and of the track's pictures, so that a run that trains and the same run once trained are one."""
        manifest = Path("artifacts/tracks", self.track, "manifest.parquet")
        return digest([manifest], json.dumps([self.title, self.params], sort_keys=True))


def scores(name: str) -> Path:
    """Where the scores of a method lie."""
    return Path("artifacts/evaluate", name, "scores.parquet")


def decided(track: str) -> Path:
    """Where stage register leaves the verdict on a track: dvc.yaml names the files of noise, and a folder beside them for another's."""
    return REGISTERED if track == "noise" else REGISTERED / track


def digest(paths: Iterable[Path], text: str = "") -> str:
    """SHA-256 of `text` and of the bytes of those `paths` that are there."""
    found = hashlib.sha256(text.encode())
    for path in paths:
        if path.exists():
            with path.open("rb") as file:
                found.update(hashlib.file_digest(file, "sha256").digest())
    return found.hexdigest()


def identity(folder: Path) -> str:
    """SHA-256 of the trained network in `folder`: its weights, and the `network` entry of config.json.

    The notes of its training beside that entry are left out, since the same network may have been trained by another recipe.
    """
    network = json.loads((folder / "config.json").read_text(encoding="utf-8"))["network"]
    return digest([folder / "weights.safetensors"], json.dumps(network, sort_keys=True))


def find(store: Store, **tags: str) -> "list[Run]":
    """The runs with all of these tags (recipe, outcome, project), newest first."""
    names = {"recipe": RECIPE, "outcome": OUTCOME, "project": PROJECT}
    return search(store, " and ".join(f"tags.`{names[key]}` = '{value}'" for key, value in tags.items()))


def search(store: Store, condition: str) -> "list[Run]":
    """Every run of the experiment that MLflow's filter `condition` lets through, newest first."""
    found: list[Run] = []
    token = None
    while True:
        page = store.client.search_runs([store.experiment], condition, page_token=token)
        found += page
        token = page.token
        if not token:
            return found


def create(store: Store, title: str, tags: Mapping[str, str], params: Mapping[str, Any]) -> "Run":
    """A new run, RUNNING."""
    known = {PROJECT: store.project, **tags, **({"mlflow.source.git.commit": commit} if (commit := _commit()) else {})}
    run = store.client.create_run(store.experiment, tags=known, run_name=title)
    log_params(store, run, params)
    _dataset(store, run)
    return run


def _dataset(store: Store, run: "Run") -> None:
    """The pictures as MLflow's dataset of the run: the card that ingest wrote is its profile."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    if not CARD.exists():
        return
    card = json.loads(CARD.read_text(encoding="utf-8"))
    pictures = Dataset(
        name=" + ".join(card["datasets"]),
        digest=card["identity"],
        source_type="local",
        source=json.dumps({"uri": str(CARD)}),
        profile=json.dumps(card),
    )
    store.client.log_inputs(run.info.run_id, [DatasetInput(pictures, [InputTag("mlflow.data.context", "training")])])


def finish(store: Store, run: "Run", outcome: str) -> None:
    """Say what came of the run, and that it is over."""
    store.client.set_tag(run.info.run_id, OUTCOME, outcome)
    store.client.set_terminated(run.info.run_id, "FINISHED")


def tag_lock(store: Store, run: "Run") -> None:
    """Say of which dvc.lock a run is, as sha256sum prints it: the one that stage register finds. DVC adds that stage's own entry later."""
    if LOCK.exists():
        store.client.set_tag(run.info.run_id, "dvc.lock", hashlib.sha256(LOCK.read_bytes()).hexdigest())


def delete(run: "Run", name: str) -> None:
    """Delete a file among a run's artifacts, for which MLflow's client has no call."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    get_artifact_repository(run.info.artifact_uri).delete_artifacts(name)  # type: ignore[no-untyped-call]


def log_metrics(store: Store, run: "Run", wanted: Mapping[str, float]) -> int:
    """Log those of the `wanted` metrics that the run does not show yet; how many they were."""
    from mlflow.entities import Metric

    now, shown = int(time.time() * 1000), run.data.metrics
    new = [Metric(key, value, now, 0) for key, value in wanted.items() if key not in shown or not same(shown[key], value)]
    for start in range(0, len(new), BATCH):
        store.client.log_batch(run.info.run_id, metrics=new[start : start + BATCH])
    return len(new)


def log_params(store: Store, run: "Run", wanted: Mapping[str, Any]) -> int:
    """Log those of the `wanted` params, nested, that the run does not show yet; how many they were. MLflow lets none change."""
    from mlflow.entities import Param

    new = [Param(key, str(value)) for key, value in flatten(wanted) if key not in run.data.params]
    for start in range(0, len(new), PARAMS):
        store.client.log_batch(run.info.run_id, params=new[start : start + PARAMS])
    return len(new)


def same(stored: float, value: float) -> bool:
    """Whether MLflow's `stored` is `value`: it keeps infinity as the largest float."""
    if math.isnan(value):
        return math.isnan(stored)
    return stored == max(min(value, sys.float_info.max), -sys.float_info.max)


def flatten(nested: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of nested mappings, and of lists of mappings, by their dotted path."""
    if isinstance(nested, Mapping):
        for key, value in nested.items():
            yield from flatten(value, f"{path}.{key}" if path else str(key))
    elif isinstance(nested, list) and any(isinstance(value, Mapping) for value in nested):
        for place, value in enumerate(nested):
            yield from flatten(value, f"{path}.{place}")
    else:
        yield path, nested


def _commit() -> str | None:
    """The commit that is checked out, if git is there and answers."""
    try:
        answer = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()
