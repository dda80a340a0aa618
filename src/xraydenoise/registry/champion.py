"""The registered model: logged with its weights and code, given the alias that it has earned."""

import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

import xraydenoise
from xraydenoise.evaluation.ranking import on_test
from xraydenoise.registry import mirror, runs
from xraydenoise.registry.runs import Method
from xraydenoise.registry.store import Store

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

DIGEST = "xraydenoise.digest"  # tag of a version: its weights and config
PACKAGES = ("mlflow", "numpy", "pydantic", "safetensors", "torch")  # what the code that travels with the model imports
CODE = ("__init__.py", "kinds.py", "models")  # of this package; all that a network needs
ALIASES = ("champion", "challenger")


def register(store: Store, name: str, method: Method, ranking: pd.DataFrame) -> dict[str, Any]:
    """Register a trained model under `name`: as champion if it beats the median filter on test, else as challenger.

    The same weights are registered once. Returns what is worth keeping, without ids and times. Raises ValueError where the model was not
    scored on test.
    """
    gain, low, high = _gain(method, ranking)
    alias = "champion" if gain > 0 else "challenger"
    verb = "beats" if gain > 0 else "does not beat"
    reason = f"{verb} the median filter on test: {gain:+.2f} dB PSNR, interval {low:+.2f} to {high:+.2f}"
    digest = runs.digest(method.outputs())
    found = _known(store, name, digest) or _log(store, name, method, digest)
    if found.description != (text := f"{method.name} {reason}."):
        store.client.update_model_version(name, str(found.version), text)
    _alias(store, name, found, alias)
    record: dict[str, Any] = {"name": name, "alias": alias, "model": method.name, "track": method.track, "digest": digest, "reason": reason}
    return record | {"gain_psnr": gain, "gain_psnr_low": low, "gain_psnr_high": high}


def requirements() -> list[str]:
    """Pinned, without the local part of a version (2.13.0+cpu), which no package index has."""
    return [f"{package}=={version(package).partition('+')[0]}" for package in PACKAGES]


def _gain(method: Method, ranking: pd.DataFrame) -> tuple[float, float, float]:
    """Over the median filter, on test, over all conditions: the mean and its interval, dB."""
    rows = on_test(ranking)
    rows = rows[(rows["track"] == method.track) & (rows["method"] == method.name)]
    if rows.empty:
        raise ValueError(f"{method.name}: was not scored on test of track {method.track}, so its gain over the median filter is unknown")
    row = rows.iloc[0]
    return float(row["gain_psnr"]), float(row["gain_psnr_low"]), float(row["gain_psnr_high"])


def _known(store: Store, name: str, digest: str) -> "ModelVersion | None":
    """The version that holds these weights already, if its files are still there."""
    for found in store.client.search_model_versions(f"name = '{name}'"):
        model = str(found.source).removeprefix("models:/")
        if found.tags.get(DIGEST) == digest and store.client.list_logged_model_artifacts(model):
            return found
    return None


def _log(store: Store, name: str, method: Method, digest: str) -> "ModelVersion":
    """Log the model under its training's run and make a version of it."""
    import mlflow
    import numpy as np
    from mlflow.entities import LoggedModelOutput
    from mlflow.exceptions import MlflowException
    from mlflow.models import Model, ModelSignature
    from mlflow.types import Schema, TensorSpec

    # MLflow's tensor types are strict in dtype and rank, and one signature must let through uint8, uint16 and floats, single pictures and
    # batches. This type lets every array through; `predict` itself checks what it gets, and its errors say what it takes.
    anything = Schema([TensorSpec(np.dtype(object), (-1,))])
    client, run = store.client, mirror.of(store, method).info.run_id
    logged = client.create_logged_model(store.experiment, name=method.name, source_run_id=run, tags={DIGEST: digest}, model_type="denoiser")
    with tempfile.TemporaryDirectory() as folder:
        mlflow.pyfunc.save_model(
            Path(folder, "model"),
            python_model=str(Path(__file__).with_name("pyfunc.py")),
            artifacts={"trained": str(Path("artifacts/train", method.name).absolute())},
            code_paths=[str(_code(Path(folder)))],
            signature=ModelSignature(inputs=anything, outputs=anything),
            input_example=np.full((1, 8, 8), 0.5, np.float32),
            pip_requirements=requirements(),
            mlflow_model=Model(run_id=run, model_id=logged.model_id, model_uuid=logged.model_id),
        )
        client.log_model_artifacts(logged.model_id, str(Path(folder, "model")))
    client.finalize_logged_model(logged.model_id, "READY")
    client.log_outputs(run, [LoggedModelOutput(logged.model_id, step=0)])
    try:
        client.create_registered_model(name, description="Removes noise from radiographs. Not for diagnostic use.")
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    tags = {DIGEST: digest, "model": method.name, "track": method.track}
    return client.create_model_version(name, f"models:/{logged.model_id}", run, tags=tags, model_id=logged.model_id)


def _code(folder: Path) -> Path:
    """A copy of the code that the network needs, so that the model also loads where this package is another version, or missing."""
    source, copy = Path(xraydenoise.__file__).parent, folder / "xraydenoise"
    copy.mkdir()
    for part in CODE:
        if (source / part).is_dir():
            shutil.copytree(source / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(source / part, copy / part)
    return copy


def _alias(store: Store, name: str, found: "ModelVersion", alias: str) -> None:
    """Point `alias` at the version, and take the other one from it. An older champion stays where a challenger comes."""
    current = store.client.get_registered_model(name).aliases
    for other in ALIASES:
        if other != alias and str(current.get(other)) == str(found.version):
            store.client.delete_registered_model_alias(name, other)
    if str(current.get(alias)) != str(found.version):
        store.client.set_registered_model_alias(name, alias, str(found.version))
