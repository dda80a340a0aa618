"""The mirror: what DVC versions in artifacts/ as MLflow shows it. Calling it again logs nothing twice."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from xraydenoise.evaluation.verdict import Verdict
from xraydenoise.registry import curves, images, numbers, parent, runs
from xraydenoise.registry.runs import Method
from xraydenoise.registry.store import Store

if TYPE_CHECKING:
    from mlflow.entities import Run


def trainings(store: Store, methods: Sequence[Method]) -> list[str]:
    """Mirror the trainings that run, and finish the runs of those that have ended since; a line for each thing logged.

    Scores are left out, since while the pipeline runs those in artifacts/ may still be of an older training: `everything` logs them.
    Runs that a crash left RUNNING under a recipe that is no longer in params are closed as KILLED.
    """
    said: list[str] = []
    for method in methods:
        if not method.learns:
            continue
        if _learning(method):
            said += _live(store, method)
        elif not curves.live(method.name).exists() and _done(method) and (begun := _unfinished(store, method.recipe())):
            said += _finish(store, method, begun)[1]
    return said + _close(store, {method.recipe() for method in methods})


def everything(
    store: Store,
    methods: Sequence[Method],
    shown: Mapping[str, Sequence[images.Shown]],
    verdicts: Sequence[Verdict],
    params: Mapping[str, Any],
) -> list[str]:
    """Mirror trainings, scores, gains, timings and pictures, a run a method, and nest them under one with all that the pipeline found.

    A run that an older outcome of the pipeline has stays there as it is: the new one has runs of its own, with the same curves.
    `shown` are pictures by `Method.title`, `verdicts` one a track, that of track noise first, whose candidate's test scores the pipeline's
    own run shows beside `params`. All of artifacts/ belongs together when this is called, as the register stage may assume. Returns a line
    for each thing logged.
    """
    found = numbers.read(parent.COMPARED)
    over, said = parent.mirror(store, verdicts)
    (chosen,) = (method for method in methods if method.name == verdicts[0].candidate)
    on_test = {key: value for key, value in numbers.scores(chosen, found).items() if key.startswith("test/")}
    for what, logged in {
        "params": runs.log_params(store, over, {**params, **parent.facts(), "chosen": chosen.name}),
        "metrics": runs.log_metrics(store, over, on_test),
    }.items():
        said += [f"pipeline: {logged} {what}"] if logged else []
    for method in filter(_done, methods):
        run = child(store, over, method)
        if run is None:
            run, told = _begin(store, over, method)
            said += told
        for what, logged in {
            "metrics": runs.log_metrics(store, run, numbers.scores(method, found) | numbers.times(method)),
            "settings": runs.log_params(store, run, {"setting": numbers.settings(method)}),
            "pictures": images.log(store, run, method, shown[method.title]) if method.title in shown else 0,
        }.items():
            said += [f"{method.title}: {logged} {what}"] if logged else []
    return said + _close(store, {method.recipe() for method in methods if _learning(method)})


def of(store: Store, method: Method) -> "Run":
    """The run of a method under that of what artifacts/ holds now. Raises ValueError where it was not mirrored yet."""
    over = parent.current(store)
    run = child(store, over, method) if over else None
    if run is None:
        raise ValueError(f"{method.title}: has no run in MLflow yet; run `dvc repro`, whose last stage mirrors it")
    return run


def child(store: Store, over: "Run", method: Method) -> "Run | None":
    """The finished run of a method under a run of the pipeline."""
    known = runs.find(store, recipe=method.recipe(), outcome=runs.digest(method.outputs()))
    return next((run for run in known if run.info.status == "FINISHED" and parent.of(run) == over.info.run_id), None)


def _begin(store: Store, over: "Run", method: Method) -> "tuple[Run, list[str]]":
    """Nest a run of this clone that no run of the pipeline has yet, finished first if it is not; else a new one."""
    known = runs.find(store, recipe=method.recipe(), outcome=runs.digest(method.outputs()), project=store.project)
    run = next((run for run in known if run.info.status == "FINISHED" and parent.of(run) is None), None)
    said: list[str] = []
    if run is None:
        run, said = _finish(store, method, _unfinished(store, method.recipe()))
    parent.adopt(store, over, run)
    return run, said


def _done(method: Method) -> bool:
    """Whether all that comes of a method is there."""
    return all(path.exists() for path in (*method.outputs(), *([curves.finished(method.name)] if method.learns else [])))


def _learning(method: Method) -> bool:
    """Whether its training runs, or was killed and can go on. DVC removes outputs before a stage, so where they are, it was put aside."""
    return method.learns and curves.live(method.name).exists() and not _done(method)


def _unfinished(store: Store, recipe: str) -> "list[Run]":
    """This clone's runs of a recipe that are not over."""
    return [run for run in runs.find(store, recipe=recipe, project=store.project) if run.info.status == "RUNNING"]


def _live(store: Store, method: Method) -> list[str]:
    try:
        curve = curves.read(curves.live(method.name))
    except (FileNotFoundError, ValueError, KeyError):  # it has just ended, and the next call finishes its run; or a kill left it damaged,
        return []  # and when the training goes on it writes it again
    run, shown = _run(store, method, _unfinished(store, method.recipe()), curve)
    logged = curves.log(store, run, curve, shown)
    return [f"{method.title}: {logged} points of its curve"] if logged else []


def _finish(store: Store, method: Method, begun: "list[Run]") -> "tuple[Run, list[str]]":
    curve = curves.read(curves.finished(method.name)) if method.learns else {}
    run, shown = _run(store, method, begun, curve)
    logged = curves.log(store, run, curve, shown)
    runs.finish(store, run, runs.digest(method.outputs()))
    return run, [f"{method.title}: {logged} points of its curve, finished" if method.learns else f"{method.title}: finished"]


def _run(store: Store, method: Method, begun: "list[Run]", curve: dict[int, curves.Row]) -> "tuple[Run, dict[int, float]]":
    """The run among those begun that `curve` continues, and what it shows; else a new one."""
    for run in begun:
        if curves.continues(shown := curves.shown(store, run), curve):
            return run, shown
        store.client.set_terminated(run.info.run_id, "KILLED")  # an attempt that was thrown away, not resumed
    tags = {runs.RECIPE: method.recipe(), "track": method.track, "kind": "model" if method.learns else "baseline"}
    return runs.create(store, method.title, tags, method.params), {}


def _close(store: Store, current: set[str]) -> list[str]:
    """Close this clone's runs that are RUNNING under no `current` recipe: what ran them is gone."""
    left = runs.search(store, f"attributes.status = 'RUNNING' and tags.`{runs.PROJECT}` = '{store.project}'")
    dead = [run for run in left if run.data.tags.get(runs.RECIPE) not in current]
    for run in dead:
        store.client.set_terminated(run.info.run_id, "KILLED")
    return [f"{run.info.run_name}: closed a run that never ended" for run in dead]
