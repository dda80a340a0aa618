"""Learning curves: what training has written so far, and what of it MLflow does not show yet."""

import csv
import time
from pathlib import Path
from typing import TYPE_CHECKING

from xraydenoise.registry.runs import BATCH, same
from xraydenoise.registry.store import Store

if TYPE_CHECKING:
    from mlflow.entities import Run

Row = dict[str, float]  # without its step and its empty cells
FIRST = "loss"  # the column that every row has


def live(name: str) -> Path:
    """The history of a training that is not finished."""
    return Path("work/train", name, "history.csv")


def finished(name: str) -> Path:
    """The history of a finished one."""
    return Path("artifacts/curves", f"{name}.csv")


def read(path: Path) -> dict[int, Row]:
    """Rows by step. A last line without its end is left for the next time: training is still writing it."""
    text = path.read_text(encoding="utf-8")
    lines = csv.DictReader(text[: text.rfind("\n") + 1].splitlines())
    rows = {int(line.pop("step")): {key: float(value) for key, value in line.items() if value} for line in lines}
    return {step: row for step, row in rows.items() if FIRST in row}


def shown(store: Store, run: "Run") -> dict[int, float]:
    """The loss by step that MLflow has of this run."""
    return {metric.step: metric.value for metric in store.client.get_metric_history(run.info.run_id, f"curve/{FIRST}")}


def continues(shown: dict[int, float], curve: dict[int, Row]) -> bool:
    """Whether `curve` can be the training that MLflow shows: it begins alike. After a crash later steps may be gone, or differ on a GPU."""
    if not shown or not curve:
        return True
    first = min(shown)
    return first in curve and same(shown[first], curve[first][FIRST])


def log(store: Store, run: "Run", curve: dict[int, Row], shown: dict[int, float]) -> int:
    """Log the rows of steps that MLflow does not show; how many they were. A row is never split over two batches."""
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    new = [[Metric(f"curve/{key}", value, now, step) for key, value in row.items()] for step, row in curve.items() if step not in shown]
    rows = BATCH // max((len(row) for row in new), default=1)
    for start in range(0, len(new), rows):
        store.client.log_batch(run.info.run_id, metrics=[metric for row in new[start : start + rows] for metric in row])
    return len(new)
