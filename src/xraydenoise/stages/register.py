"""register: mirror everything into MLflow, and register the model that is best on val."""

import json
from pathlib import Path

from xraydenoise import contracts
from xraydenoise.evaluation import ranking
from xraydenoise.params import Params
from xraydenoise.registry import champion, mirror, store
from xraydenoise.stages.sync import methods

RECORD = Path("mlruns/registered.json")
PROOF = Path("artifacts/ingest/leakage.json")


def run(params: Params) -> None:
    """Write mlruns/registered.json and MLflow's store; print what was registered and what to type next."""
    ranked = contracts.read(Path("artifacts/compare/ranking.parquet"), contracts.Ranking)
    best = ranking.choose(ranked, params.models)
    known = methods(params)
    with store.opened(params.registry.experiment) as opened:
        mirror.everything(opened, known)
        record = champion.register(opened, params.registry.name, next(method for method in known if method.name == best), ranked)
    record["test_set"] = json.loads(PROOF.read_text(encoding="utf-8"))["splits"]["test"]["identity"]
    RECORD.write_text(json.dumps(record, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    uri = f"models:/{record['name']}@{record['alias']}"
    print(f"registered {record['model']}, chosen on val, as {uri}: it {record['reason']}")
    print(f"load it: mlflow.set_tracking_uri({opened.uri!r}); mlflow.pyfunc.load_model({uri!r}).predict(array); look at it: `make ui`")
