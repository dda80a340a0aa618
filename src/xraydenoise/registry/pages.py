"""MLflow's pages on loopback, opened at the table of the models of the newest run of the pipeline.

The address of MLflow's runs page (3.17) takes a filter and an order, but no columns. All three together are a shared view: the page's Share
button keeps one in a tag of the experiment and names that tag in the address, and so does this.
"""

import json
import os
import socket
import subprocess
import sys
import warnings

from xraydenoise.registry import browser, parent, runs
from xraydenoise.registry.store import URI, Store

HOST = "127.0.0.1"
SHARED = "mlflow.sharedViewState."  # tag of an experiment, with the view's key behind it: the state of its runs page, JSON
KEY = "models"  # so the address is always the same, and shows the run that was newest when `ui` started
WIDTHS = {  # px; the columns in their order, narrow, as MLflow opens a panel at the right, which a window of 1366 px has room for too
    "attributes.`Run Name`": 180,
    "runDateAndNestInfo": 60,
    "metrics.`gain`": 70,
    "metrics.`gain_low`": 82,
    "metrics.`gain_high`": 86,
    "metrics.`psnr`": 62,
    "metrics.`ssim`": 68,
    "metrics.`seconds`": 76,
    "tags.`track`": 84,
    "duration": 80,
}


def table(store: Store, port: int) -> str:
    """Keep the view that shows the models of the newest run of the pipeline, best gain first; its address on a server on `port`."""
    finished = runs.search(store, "tags.kind = 'pipeline' and attributes.status = 'FINISHED'")
    over = parent.current(store) or next(iter(finished), None)  # an outcome that came back has its old run, which is not the last one
    models = "tags.kind = 'model'"
    view = {
        "searchFilter": f"{models} and tags.`{parent.NESTED}` = '{over.info.run_id}'" if over else models,
        "orderByKey": "metrics.`gain`",
        "orderByAsc": False,
        "selectedColumns": [column for column in WIDTHS if column.startswith(("metrics", "tags"))],
        "columnOrder": list(WIDTHS),
        "columnWidths": WIDTHS,
    }
    store.client.set_experiment_tag(store.experiment, SHARED + KEY, json.dumps(view))
    page = f"#/experiments/{store.experiment}/runs?viewStateShareKey={KEY}&workflowType=machine_learning"
    return f"http://{HOST}:{port}/{page}"


def check(port: int) -> None:
    """Raise ValueError, one line with the way out, where nothing can listen on this port of loopback."""
    try:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does: a port that was just left is free
            probe.bind((HOST, port))
    except (OSError, OverflowError) as error:
        told = error.strerror if isinstance(error, OSError) else "ports end at 65535"
        other = port + 1 if 1024 <= port < 65535 else 5001
        way_out = f"stop what uses it (another `make ui`?), or take another one: `python -m xraydenoise ui --port {other}`"
        raise ValueError(f"port {port} of {HOST}: {told}; {way_out}") from error


def serve(port: int, address: str) -> None:
    """Be MLflow's server until Ctrl-C. A browser opens `address` where there is one, and a terminal.

    `mlflow server` would start nine more processes, 1.9 GB together, for evaluations of language models, and they outlive a kill -9.
    """
    if browser.wanted():
        subprocess.Popen([sys.executable, "-m", "xraydenoise.leash", sys.executable, "-m", browser.__name__, address])
    os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"
    import uvicorn

    with warnings.catch_warnings(action="ignore"):  # of a part of starlette that MLflow still uses
        from mlflow.server import constants, fastapi_app
    os.environ |= {constants.BACKEND_STORE_URI_ENV_VAR: URI, constants.SERVE_ARTIFACTS_ENV_VAR: "true"}
    uvicorn.run(fastapi_app.app, host=HOST, port=port, log_level="warning", workers=1)
