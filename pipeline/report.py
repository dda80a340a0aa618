"""What the terminal says at the end: the ranking, and what to type next."""

from pathlib import Path

from xraydenoise import contracts
from xraydenoise.evaluation import ranking
from xraydenoise.params import Params
from xraydenoise.stages import register, scoring

NEXT = """Next: open artifacts/compare/report.html in a browser; `make ui` compares the runs in MLflow;
`.venv/bin/python -m xraydenoise verdict` says why the model is {alias};
mlflow.pyfunc.load_model("models:/{name}@{alias}") loads it in Python."""


def table(params: Params) -> str:
    """The ranking of artifacts/compare as text, the registered model, and the next commands."""
    ranked = contracts.read(Path("artifacts/compare/ranking.parquet"), contracts.Ranking)
    seconds = scoring.seconds_an_image([*params.models, *params.baselines])
    registered = register.record("noise")
    return f"{ranking.table(ranked, params.models, seconds)}\n\n{NEXT.format(name=params.registry.name, alias=registered['alias'])}"
