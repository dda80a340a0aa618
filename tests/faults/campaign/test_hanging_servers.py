"""MLflow servers that hang, drip, lie and break, from the first call on or half-way, under every command that asks them.

A command survives where it ends in time, with one line that names the server or the model, and no traceback.
"""

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

CALL = 4  # seconds that a call to a server has here, by default 30
LONGEST = 60  # seconds for a whole command; most of it goes by before the first call, as imports take long on a busy machine
PYTHON = [sys.executable, "-m"]
COMMANDS = {
    "register": [*PYTHON, "xraydenoise", "register"],
    "sync": [*PYTHON, "xraydenoise", "sync"],
    "verdict": [*PYTHON, "xraydenoise", "verdict"],
    "model": [*PYTHON, "xraydenoise", "denoise", "x.npy", "--output", "out", "--overwrite", "--model", "models:/xraydenoise/1"],
    "start of the flow": [*PYTHON, "pipeline", "--plan"],
}
HALF_WAY = {"register": 150, "model": 20}  # calls, the most that are answered well; each command makes more


@pytest.fixture(scope="module")
def project(reproduced: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The small project of the e2e tests, all of whose stages ran."""
    made = type(reproduced)(tmp_path_factory.mktemp("campaign") / "project")
    shutil.copytree(reproduced.root, made.root, symlinks=True)
    np.save(made.root / "x.npy", np.eye(16))
    return made


@pytest.fixture(scope="module")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory, project: Any) -> Iterator[str]:
    """The address of a real MLflow server, which has the project's model."""
    import requests

    folder = tmp_path_factory.mktemp("server")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    command = [
        *PYTHON,
        "mlflow",
        "server",
        "--backend-store-uri",
        f"sqlite:///{folder}/x.db",
        "--artifacts-destination",
        str(folder / "files"),
    ]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW_")} | {"MLFLOW_DISABLE_TELEMETRY": "true"}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port), "--workers", "1"],
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        latest = time.monotonic() + 120
        while True:
            try:
                requests.get(f"{address}/health", timeout=5)
                break
            except requests.RequestException:
                assert time.monotonic() < latest, (folder / "log").read_text()
                time.sleep(0.5)
        ended = asked(project, COMMANDS["register"], address)
        assert ended.returncode == 0, ended.stderr
        yield address
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)


def asked(project: Any, command: list[str], address: str, call: int = 30) -> subprocess.CompletedProcess[str]:
    """The command in the project with an MLflow server at `address`. Raises TimeoutExpired where it takes too long."""
    environment = project.env | {"MLFLOW_TRACKING_URI": address, "MLFLOW_HTTP_REQUEST_TIMEOUT": str(call), "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=project.root, env=environment, capture_output=True, text=True, check=False, timeout=10 * LONGEST)


def ended_well(project: Any, command: list[str], address: str) -> bool:
    """Whether the command says in time, in one line, that the server does not do its part."""
    begun = time.monotonic()
    ended = asked(project, command, address, CALL)
    said = [line for line in ended.stderr.splitlines() if "Warning" not in line]
    well = (
        time.monotonic() - begun < LONGEST
        and ended.returncode == 1
        and len(said) == 1
        and said[0].startswith(("error: MLflow at ", "error: models:/xraydenoise/1: "))
    )
    if not well:
        print(f"{command[2:4]} on {address}: {ended.returncode} after {time.monotonic() - begun:.0f} s\n{ended.stdout}{ended.stderr}")
    return well


@pytest.mark.parametrize("command", COMMANDS)
def test_a_server_that_misbehaves_from_the_first_call(command, badly, bad_server, project, tried):
    well = ended_well(project, COMMANDS[command], bad_server(badly).address)
    tried(f"server that {badly}, at once", well)
    assert well


@pytest.mark.parametrize("command", HALF_WAY)
def test_a_server_that_misbehaves_half_way(command, badly, bad_server, project, mlflow_server, tried):
    good = random.Random(f"{command} {badly}").randint(1, HALF_WAY[command])
    if command == "register":  # all of its calls, of which a store that has the model needs few
        project.params({"registry.name": badly.replace(" ", "_"), "registry.experiment": badly})
    well = ended_well(project, COMMANDS[command], bad_server(badly, mlflow_server, good).address)
    tried(f"server that {badly}, half-way", well)
    assert well
    if command == "register":
        again = asked(project, COMMANDS[command], mlflow_server)
        tried(f"the next run after a server that {badly}", again.returncode == 0)
        assert again.returncode == 0, again.stderr
