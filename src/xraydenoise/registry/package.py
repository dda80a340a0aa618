"""A trained model as MLflow stores it: weights without pickle, the code of the network beside them, pinned requirements, an example."""

import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path

import xraydenoise
from xraydenoise import checksums
from xraydenoise.registry import mirror
from xraydenoise.registry.runs import Method
from xraydenoise.registry.store import Store

# The code of this package that travels with the model, and what that imports.
PACKAGES = ("mlflow", "numpy", "opencv-python-headless", "pydantic", "safetensors", "torch")
CODE = (
    "__init__.py",
    "checksums.py",
    "device.py",
    "inference.py",
    "kinds.py",
    "models",
    *(f"data/{name}.py" for name in ("__init__", "depth", "opencv", "picture", "png")),
)


def log(store: Store, method: Method, tags: dict[str, str]) -> tuple[str, str]:
    """Log a trained model under the run of its training; the ids of the logged model and of that run."""
    import mlflow
    import numpy as np
    from mlflow.entities import LoggedModelOutput
    from mlflow.models import Model, ModelSignature
    from mlflow.types import Schema, TensorSpec

    # MLflow's tensor types are strict in dtype and rank, and one signature must let through uint8, uint16 and floats, single pictures,
    # batches and the text of PNG files. This type lets every array through; `predict` checks what it gets, and says what it takes.
    anything = Schema([TensorSpec(np.dtype(object), (-1,))])
    client, run = store.client, mirror.of(store, method).info.run_id
    logged = client.create_logged_model(store.experiment, name=method.name, source_run_id=run, tags=tags, model_type="denoiser")
    with tempfile.TemporaryDirectory() as folder:
        mlflow.pyfunc.save_model(
            Path(folder, "model"),
            python_model=str(Path(__file__).with_name("pyfunc.py")),
            artifacts={"trained": method.folder.absolute().as_uri()},
            code_paths=[str(_code(Path(folder)))],
            signature=ModelSignature(inputs=anything, outputs=anything),
            input_example=np.full((1, 8, 8), 0.5, np.float32),
            pip_requirements=requirements(),
            mlflow_model=Model(run_id=run, model_id=logged.model_id, model_uuid=logged.model_id),
        )
        checksums.write(Path(folder, "model"))
        client.log_model_artifacts(logged.model_id, str(Path(folder, "model")))
    client.finalize_logged_model(logged.model_id, "READY")
    client.log_outputs(run, [LoggedModelOutput(logged.model_id, step=0)])
    return logged.model_id, run


def requirements() -> list[str]:
    """Pinned, without the local part of a version (2.13.0+cpu), which no package index has."""
    return [f"{package}=={version(package).partition('+')[0]}" for package in PACKAGES]


def _code(folder: Path) -> Path:
    """A copy of the code that the network needs, so that the model also loads where this package is another version, or missing."""
    source, copy = Path(xraydenoise.__file__).parent, folder / "xraydenoise"
    for part in CODE:
        (copy / part).parent.mkdir(parents=True, exist_ok=True)
        if (source / part).is_dir():
            shutil.copytree(source / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(source / part, copy / part)
    return copy
