"""register: ask the gate about the model that is best on val, mirror everything into MLflow, register the model as it has earned."""

import json
import shutil
from pathlib import Path

from xraydenoise import contracts
from xraydenoise.evaluation import ranking
from xraydenoise.params import Params
from xraydenoise.registry import champion, images, mirror, rollback, runs, store
from xraydenoise.registry.model_card import model_card
from xraydenoise.stages import gate, scoring
from xraydenoise.stages.sync import methods, shared

OUT = Path("artifacts/register")
VERDICT, TABLE, DIFFERENCES = OUT / "verdict.json", OUT / "verdict.txt", OUT / "champion_differences.csv"
RECORD = Path("mlruns/registered.json")
INGEST = Path("artifacts/ingest")


def run(params: Params) -> None:
    """Write artifacts/register, mlruns/registered.json and MLflow's store; print the verdict and what to type next."""
    ranked = contracts.read(Path("artifacts/compare/ranking.parquet"), contracts.Ranking)
    best = ranking.choose(ranked, params.models)
    known = methods(params)
    method = next(method for method in known if method.name == best)
    digest, name = runs.identity(method.folder), params.registry.name
    test_set = json.loads((INGEST / "leakage.json").read_text(encoding="utf-8"))["splits"]["test"]["identity"]
    pictures = contracts.read(Path("artifacts/tracks", method.track, "manifest.parquet"), contracts.Track)
    learnt = pictures.loc[pictures["split"] != "test", "image"]
    data = json.loads((INGEST / "card.json").read_text(encoding="utf-8"))
    with store.opened(params.registry.experiment) as opened:
        standing = champion.current(opened, name)
        weights = champion.download(opened, standing) if standing and standing.digest != digest else method.folder
    champ = gate.Standing(standing.uri, standing.digest, champion.learnt_from(weights), weights) if standing else None
    verdict, differences = gate.weigh(params, best, digest, champ)  # the store is closed meanwhile, so that trainings can be mirrored
    with store.opened(params.registry.experiment) as opened:
        champion.unmoved(opened, name, standing)  # before anything tells of the verdict
        verdict = rollback.vetoed(opened, name, digest, verdict)
        card = model_card(name, method, ranked, verdict, data, test_set)
        shutil.rmtree(OUT, ignore_errors=True)
        OUT.mkdir(parents=True)
        VERDICT.write_text(json.dumps(verdict.as_json(), indent=1) + "\n", encoding="utf-8")
        TABLE.write_text(verdict.table() + "\n", encoding="utf-8")
        contracts.write(differences, DIFFERENCES, contracts.Differences)
        (OUT / "model_card.md").write_text(card, encoding="utf-8")
        mirror.everything(opened, known, shown(known), verdict, shared(params))
        record = champion.register(opened, name, method, verdict, standing, test_set, learnt, card)
    RECORD.write_text(json.dumps(record, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    uri = f"models:/{name}@{record['alias']}"
    print(verdict.table())
    print(f"registered {best}, chosen on val, as {uri}")
    print(f"load it: mlflow.set_tracking_uri({opened.uri!r}); mlflow.pyfunc.load_model({uri!r}).predict(array); look at it: `make ui`")


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
