"""register: ask the gate about the model of each track that is best on val, mirror everything into MLflow, register these models."""

import json
import shutil
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from xraydenoise import contracts, disk
from xraydenoise.data import learnt, splits
from xraydenoise.data.learnt import Learnt
from xraydenoise.evaluation import ranking
from xraydenoise.evaluation.verdict import Verdict
from xraydenoise.params import Params
from xraydenoise.registry import champion, fetch, images, mirror, rollback, runs, store
from xraydenoise.registry.model_card import model_card
from xraydenoise.stages import gate, scoring, seen
from xraydenoise.stages.sync import methods, shared

RECORD = Path("mlruns/registered.json")  # of track noise; dvc.yaml names it, so that a clone without its MLflow registers again
INGEST = Path("artifacts/ingest")
RECORDED = {"name", "alias", "model", "track", "digest", "test_set"}


class Files(NamedTuple):
    """What the stage writes of one track."""

    verdict: Path  # the numbers; that of track noise is a metric of DVC's, which wants a file that is always there
    table: Path  # the same for people
    differences: Path  # contracts.Differences
    card: Path  # of the model
    record: Path  # what was registered


class Weighed(NamedTuple):
    """The candidate of one track, and what the gate says of it."""

    method: runs.Method
    name: str  # of the registered model
    standing: fetch.Registered | None  # the champion it was weighed against
    verdict: Verdict
    differences: pd.DataFrame  # contracts.Differences


def files(track: str) -> Files:
    """Where the stage leaves what it found of a track."""
    out = runs.decided(track)
    record = RECORD if track == "noise" else out / RECORD.name
    return Files(out / "verdict.json", out / "verdict.txt", out / runs.DIFFERENCES, out / champion.CARD, record)


def found() -> list[str]:
    """The tracks that the stage has reached a verdict on, noise first."""
    return [track for track in contracts.TRACKS if files(track).record.exists()]


def record(track: str) -> dict[str, str]:
    """What was registered of a track: name, alias, model, track, digest, test_set. Raises ValueError naming a file that is damaged."""
    path = files(track).record
    try:
        registered: dict[str, str] = json.loads(path.read_bytes())
        if lacking := RECORDED.difference(registered):
            raise ValueError(f"no {min(lacking)} in it")
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: is damaged ({error}); `dvc repro register` writes it again") from error
    return registered


def run(params: Params) -> None:
    """Write artifacts/register, mlruns/registered.json and MLflow's store; print the verdicts and what to type next."""
    ranked = contracts.read(Path("artifacts/compare/ranking.parquet"), contracts.Ranking)
    known = methods(params)
    data = json.loads((INGEST / "card.json").read_text(encoding="utf-8"))
    tracks = [track for track in contracts.TRACKS if track in params.gate.tracks]  # noise first, in whatever order params name them
    best = [ranking.choose(ranked, params.models, track) for track in tracks]
    weighed = [weigh(params, next(method for method in known if method.name == name)) for name in best]
    with store.opened(params.registry.experiment) as opened:
        for one in weighed:
            champion.unmoved(opened, one.name, one.standing)  # before anything tells of a verdict
        weighed = [
            one._replace(verdict=rollback.vetoed(opened, one.name, runs.identity(one.method.folder), one.verdict)) for one in weighed
        ]
        cards = [model_card(one.name, one.method, ranked, one.verdict, data, test_set(one.method.track)) for one in weighed]
        shutil.rmtree(runs.REGISTERED, ignore_errors=True)
        for track in contracts.TRACKS:
            runs.decided(track).mkdir(parents=True)
            if track not in tracks:  # each folder is an output of DVC's, which warns of an empty one
                disk.write(files(track).table, f"gate.tracks does not name {track}, so its best model was not weighed\n")
        for one, card in zip(weighed, cards, strict=True):
            write(files(one.method.track), one, card)
        mirror.everything(opened, known, shown(known), [one.verdict for one in weighed], shared(params))
        for one, card in zip(weighed, cards, strict=True):
            track = one.method.track
            by = taught_by(params, one.method)
            registered = champion.register(opened, one.name, one.method, one.verdict, one.standing, test_set(track), by, card)
            disk.write(files(track).record, json.dumps(registered, indent=2, sort_keys=True) + "\n")
    for one in weighed:
        uri = f"models:/{one.name}@{one.verdict.alias}"
        print(one.verdict.table())
        print(f"registered {one.method.name}, chosen on val, as {uri}")
        print(f"load it: mlflow.set_tracking_uri({opened.uri!r}); mlflow.pyfunc.load_model({uri!r}).predict(array); look at it: `make ui`")


def pictures(track: str) -> pd.DataFrame:
    """contracts.Track."""
    return contracts.read(Path("artifacts/tracks", track, "manifest.parquet"), contracts.Track)


def taught_by(params: Params, method: runs.Method) -> Learnt | None:
    """The pictures that a model has seen: where its weights come from, and of its track, unless it is scored as it is; None where they
    do not tell."""
    begun = seen.begun(method.name)
    if begun is None or params.models[method.name].steps == 0:
        return begun
    own = pictures(method.track).query("split != 'test' and teaches")["image"]
    return begun.joined(seen.Pictures().learnt(own))


def test_set(track: str) -> str:
    """The identity of the test images of a track: on track noise that of ingest, on track enhanced that of its regions."""
    return splits.identity(pictures(track).query("split == 'test'")["image"])


def weigh(params: Params, method: runs.Method) -> Weighed:
    """What the gate says of the candidate of a track, against the champion that the registry has of that track."""
    digest, name = runs.identity(method.folder), params.registry.model(method.track)
    with store.opened(params.registry.experiment) as opened:
        standing = champion.current(opened, name)
        weights = fetch.download(opened.client, standing) if standing and standing.digest != digest else method.folder
    champ = gate.Standing(standing.uri, standing.digest, learnt.load(weights), weights) if standing else None
    # The store is closed meanwhile, so that trainings can be mirrored
    verdict, differences = gate.weigh(params, method.name, digest, champ)
    return Weighed(method, name, standing, verdict, differences)


def write(to: Files, weighed: Weighed, card: str) -> None:
    """The verdict, how models differ from the champion, and the model card."""
    disk.write(to.verdict, json.dumps(weighed.verdict.as_json(), indent=1) + "\n")
    disk.write(to.table, weighed.verdict.table() + "\n")
    contracts.write(weighed.differences, to.differences, contracts.Differences)
    disk.write(to.card, card)


def shown(known: list[runs.Method]) -> dict[str, list[images.Shown]]:
    """The kept test pictures of every method, by its title: the same ones, under the same numbers."""
    tracks = {track: scoring.Track(track) for track in contracts.TRACKS}
    medians = {track: scoring.kept(ranking.REFERENCE, track) for track in contracts.TRACKS}
    found: dict[str, list[images.Shown]] = {}
    for method in known:
        track = tracks[method.track]
        rows = {(row["condition"], row["image"]): row for row in track.rows.to_dict("records")}
        numbers: dict[str, int] = {}
        for (condition, image), denoised in sorted(scoring.kept(method.name, method.track).items()):
            numbers[condition] = numbers.get(condition, 0) + 1
            noisy, truth = track.pair(rows[condition, image])
            layers = images.layers(noisy, medians[method.track][condition, image], denoised, truth)
            found.setdefault(method.title, []).append(images.Shown(condition, numbers[condition], layers))
    return found
