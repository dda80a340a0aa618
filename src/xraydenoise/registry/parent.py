"""The parent run: one a distinct outcome of the pipeline, with what belongs to all methods; their runs are nested under it."""

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

from xraydenoise.evaluation.verdict import Verdict
from xraydenoise.registry import runs
from xraydenoise.registry.store import Store

if TYPE_CHECKING:
    from mlflow.entities import Run

COMPARED = Path("artifacts/compare")  # report, ranking, figures
PROTOCOLS = Path("artifacts/protocols")
DATA = Path("artifacts/ingest")  # the dataset card, the proof that nothing leaks, the quarantine
LABELS = Path("artifacts/label")  # their audit, the worst of them
NESTED = "mlflow.parentRunId"  # the tag by which MLflow's pages nest runs
READ = {".csv", ".html", ".json", ".md", ".png"}  # what people read; manifests and pixels stay where they are
VERDICT = "xraydenoise.verdict"  # tag: which verdict is shown


def mirror(store: Store, verdict: Verdict) -> "tuple[Run, list[str]]":
    """The run of what artifacts/ holds now, found again or made, and a line for each thing logged."""
    files = _files()
    outcome = runs.digest(path for path, _ in files)
    known = runs.find(store, outcome=outcome)
    run, said = next((run for run in known if run.info.status == "FINISHED"), None), []
    if run is None:
        run, said = known[0] if known else _create(store, outcome), ["pipeline: report, figures, data"]
        for path, folder in [*files, *([(runs.LOCK, None)] if runs.LOCK.exists() else [])]:  # the lock changes without the outcome
            store.client.log_artifact(run.info.run_id, str(path), folder)
        runs.finish(store, run, outcome)
    return run, said + _decided(store, run, verdict)


def adopt(store: Store, parent: "Run", child: "Run") -> None:
    """Nest a run under `parent`; one whose method did not change moves there from an older one."""
    if child.data.tags.get(NESTED) != parent.info.run_id:
        store.client.set_tag(child.info.run_id, NESTED, parent.info.run_id)


def _files() -> list[tuple[Path, str | None]]:
    """What is logged, with the folder in which MLflow shows it."""
    places = ((COMPARED, None), (PROTOCOLS, PROTOCOLS.name), (DATA, "data"), (LABELS, LABELS.name))
    return [(path, folder) for root, folder in places for path in sorted(root.glob("*")) if path.suffix in READ]


def _create(store: Store, outcome: str) -> "Run":
    test_set = json.loads((DATA / "leakage.json").read_text(encoding="utf-8"))["splits"]["test"]["identity"]
    return runs.create(store, "pipeline", {"kind": "pipeline", "test_set": test_set, runs.OUTCOME: outcome}, {})


def _decided(store: Store, run: "Run", verdict: Verdict) -> list[str]:
    """Log the verdict. One that merely finds the candidate to be champion already does not hide the one that made it so."""
    client, name = store.client, run.info.run_id
    text = json.dumps(verdict.as_json(), indent=2)
    digest = hashlib.sha256(text.encode()).hexdigest()
    shown = run.data.tags.get(VERDICT)
    if shown == digest or (shown and verdict.alias == "champion" and not verdict.promoted):
        return []
    client.log_text(name, text + "\n", "verdict.json")
    client.log_text(name, verdict.table() + "\n", "verdict.txt")
    client.set_tag(name, "mlflow.note.content", f"```\n{verdict.table()}\n```")  # the description on the run's page
    client.set_tag(name, VERDICT, digest)
    return [f"pipeline: the verdict on {verdict.candidate}"]
