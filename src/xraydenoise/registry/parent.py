"""The parent run: one a distinct outcome of the pipeline, with what belongs to all methods; each has runs of its own nested under it."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
VERDICT = "xraydenoise.verdict"  # tag, with the name of a track that is not noise behind it: which verdict is shown
NOTE = 8000  # characters that MLflow keeps of a tag
REST = "... verdict.txt has the rest"


def mirror(store: Store, verdicts: Sequence[Verdict]) -> "tuple[Run, list[str]]":
    """The run of what artifacts/ holds now, found again or made, with its verdicts; and a line for each thing logged."""
    run, said = current(store), []
    if run is None:
        files, outcome = _files(), _outcome()
        half = runs.find(store, outcome=outcome)
        run, said = half[0] if half else _create(store, outcome), ["pipeline: report, figures, data"]
        for path, folder in [*files, *([(runs.LOCK, None)] if runs.LOCK.exists() else [])]:  # the lock changes without the outcome
            store.client.log_artifact(run.info.run_id, str(path), folder)
        runs.tag_lock(store, run)
        runs.finish(store, run, outcome)
    for verdict in verdicts:
        said += _decided(store, run, verdict)
    return run, said


def current(store: Store) -> "Run | None":
    """The finished run of what artifacts/ holds now."""
    return next((run for run in runs.find(store, outcome=_outcome()) if run.info.status == "FINISHED"), None)


def of(child: "Run") -> str | None:
    """The id of the run that a run is nested under."""
    found: str | None = child.data.tags.get(NESTED)
    return found


def facts() -> dict[str, object]:
    """What the pictures are, as the run's params: the data sets, and each split's pictures, patients and identity."""
    datasets = json.loads((DATA / "card.json").read_text(encoding="utf-8"))["datasets"]
    return {"data": {"datasets": " + ".join(datasets), **_splits()}}


def adopt(store: Store, parent: "Run", child: "Run") -> None:
    """Nest a run that no other has under `parent`: it belongs to the same dvc.lock from here on."""
    runs.tag_lock(store, child)
    store.client.set_tag(child.info.run_id, NESTED, parent.info.run_id)


def _outcome() -> str:
    return runs.digest(path for path, _ in _files())


def _files() -> list[tuple[Path, str | None]]:
    """What is logged, with the folder in which MLflow shows it."""
    places = ((COMPARED, None), (PROTOCOLS, PROTOCOLS.name), (DATA, "data"), (LABELS, LABELS.name))
    return [(path, folder) for root, folder in places for path in sorted(root.glob("*")) if path.suffix in READ]


def _create(store: Store, outcome: str) -> "Run":
    return runs.create(store, "pipeline", {"kind": "pipeline", "test_set": _splits()["test"]["identity"], runs.OUTCOME: outcome}, {})


def _splits() -> dict[str, dict[str, Any]]:
    """Pictures, patients and identity of each."""
    found: dict[str, dict[str, Any]] = json.loads((DATA / "leakage.json").read_text(encoding="utf-8"))["splits"]
    return found


def _decided(store: Store, run: "Run", verdict: Verdict) -> list[str]:
    """Log the verdict on a track. One that merely finds the candidate to be champion already does not hide the one that made it so.

    That on track noise is the run's description; the files of another track lie in a folder of its name.
    """
    client, name = store.client, run.info.run_id
    folder, tag = (None, VERDICT) if verdict.track == "noise" else (verdict.track, f"{VERDICT}.{verdict.track}")
    differences = runs.decided(verdict.track) / runs.DIFFERENCES
    text = json.dumps(verdict.as_json(), indent=2)
    digest = runs.digest([differences], text)
    shown = run.data.tags.get(tag)
    if shown == digest or (shown and verdict.alias == "champion" and not verdict.promoted):
        return []
    client.log_text(name, text + "\n", str(Path(folder or "", "verdict.json")))
    client.log_text(name, verdict.table() + "\n", str(Path(folder or "", "verdict.txt")))
    if differences.exists():
        client.log_artifact(name, str(differences), folder)
    elif (old := str(Path(folder or "", differences.name))) in {file.path for file in client.list_artifacts(name, folder)}:
        runs.delete(run, old)  # of an older verdict
    if folder is None:
        client.set_tag(name, "mlflow.note.content", _note(verdict))  # the description on the run's page
    client.set_tag(name, tag, digest)
    return [f"pipeline: the verdict on {verdict.candidate}"]


def _note(verdict: Verdict) -> str:
    """The verdict as Markdown, the reasons and warnings before the checks: where it is too long for MLflow, only checks are cut."""
    text = "\n".join([verdict.head(), *verdict.said(), "", *verdict.lines()])
    fence = "`" * (1 + max([2, *map(len, re.findall("`+", text))]))  # longer than any in the text, which else would end the block
    room = NOTE - 2 * len(f"{fence}\n")
    if len(text) > room:
        text = text[: text.rindex("\n", 0, room - len(REST)) + 1] + REST
    return f"{fence}\n{text}\n{fence}"
