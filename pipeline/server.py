"""The flow's own Prefect: its settings, and a server with a database of this project alone, which ends with the flow.

Prefect reads settings from the environment, then from `.env`, prefect.toml and pyproject.toml of the current folder, then from a profile.
So the environment names all that matters, and Prefect reads the rest in HOME, where no such file lies.
"""

import atexit
import contextlib
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

from xraydenoise import leash

HOME = Path(".prefect")
LOG = HOME / "server.log"
READY = 120  # seconds that the server has to start; 20 were too few on a busy machine
SETTINGS = {
    "PREFECT_TASKS_DEFAULT_NO_CACHE": "true",  # DVC is the only cache
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
}
EPHEMERAL = {"PREFECT_UI_ENABLED": "0", "PREFECT__SERVER_EPHEMERAL": "1", "PREFECT__SERVER_FINAL": "1"}  # as Prefect starts such a server


class ServerError(RuntimeError):
    """The server does not start."""


def start() -> None:
    """Start the server, and make an environment in which a Prefect that is imported later finds it and nothing else.

    Raises ServerError where it does not start. It ends last: Prefect, when this process ends, still has logs and events for it.
    """
    os.environ |= SETTINGS | {"PREFECT_HOME": str(HOME.resolve())}
    with socket.socket() as listening, LOG.open("wb") as log:
        listening.bind(("127.0.0.1", 0))  # handed on, so that nobody else can take the port
        port = listening.getsockname()[1]
        server = subprocess.Popen(
            [sys.executable, "-m", "pipeline.server", str(listening.fileno())],
            cwd=Path(__file__).parents[1],
            env=os.environ | EPHEMERAL,
            stdout=log,
            stderr=subprocess.STDOUT,
            pass_fds=[listening.fileno()],
            start_new_session=True,  # Ctrl-C is for the flow, which ends its server last
        )
    atexit.register(_end, server)  # the first to be registered is the last to run
    os.environ["PREFECT_API_URL"] = f"http://127.0.0.1:{port}/api"
    _wait(server, port)


def _end(server: "subprocess.Popen[bytes]") -> None:
    server.terminate()
    try:
        server.wait(10)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def _wait(server: "subprocess.Popen[bytes]", port: int) -> None:
    latest = time.monotonic() + READY
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):  # it listens when it is ready
            return
        if server.poll() is not None or time.monotonic() > latest:
            why = f"ended with exit code {server.returncode}" if server.returncode is not None else f"did not start within {READY} s"
            raise ServerError(f"Prefect's own server {why}; {LOG} says why (it keeps the history of runs in {HOME}, which may be deleted)")
        time.sleep(0.1)


def _serve(listening: int) -> None:
    """The server's own process."""
    leash.tie_to_parent()
    os.chdir(os.environ["PREFECT_HOME"])
    import uvicorn

    config = uvicorn.Config("prefect.server.api.server:create_app", factory=True, log_level="error", workers=1)
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=listening)])


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
