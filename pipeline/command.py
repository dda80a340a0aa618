"""One DVC stage in a process group of its own: lines streamed, killed whole when its time is over."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

LIVE: set[subprocess.Popen[str]] = set()  # what runs now
ENDING = threading.Event()  # no other stage begins
GRACE = 8  # seconds for an orderly end; ten is what `docker stop` waits


class Ended(SystemExit):
    """A signal asked the flow to end."""


class StageError(RuntimeError):
    """A stage ended with an error, or outlasted its time limit."""


def environment(**more: str) -> dict[str, str]:
    """The environment of a stage: this interpreter first on PATH, so that `python` in dvc.yaml is this one."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    return {**os.environ, "PATH": path, "PYTHONUNBUFFERED": "1", **more}


def run(stage: str, command: list[str], limit: float, say: Callable[[str], None], env: dict[str, str]) -> None:
    """Run the `command` of `stage` for at most `limit` seconds and hand each line that it prints to `say`.

    Its process group dies with this process, and at the limit. Raises StageError, in one line with the last one printed.
    """
    if ENDING.is_set():
        raise StageError(f"{' '.join(command)}: not begun, as the flow is ending")
    leashed = [sys.executable, "-m", "xraydenoise.leash", *command]
    process = subprocess.Popen(
        leashed, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True
    )
    LIVE.add(process)
    if ENDING.is_set():  # it set out in the same instant
        _kill(process)
    late = threading.Event()

    def kill() -> None:
        late.set()
        _kill(process)

    timer = threading.Timer(limit, kill)
    timer.daemon = True
    timer.start()
    last = ""
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if line.strip():
                last = line.strip()
                say(line.rstrip())
        code = process.wait()
    finally:
        timer.cancel()
        if process.poll() is None:
            _kill(process)
        LIVE.discard(process)
    if late.is_set():
        raise StageError(f"stage {stage}: killed at its time limit of {limit / 60:g} minutes (pipeline.time_limit in params.yaml)")
    if code:
        raise StageError(f"stage {stage}: ended with exit code {code}" + f": {last.removeprefix('error: ')}" * bool(last))


def heed_signals() -> None:
    """Let Ctrl-C, SIGTERM (CI, Kubernetes, systemd) and a closed terminal end the flow at once; what nohup ignores stays ignored."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, interrupt)


def interrupt(number: int, frame: object) -> None:  # noqa: ARG001
    """End what runs, for it is in process groups of its own and its threads would wait for it; then end the flow, by Ended.

    Where that takes too long (a thread that waits to try a download again), this process ends all the same.
    """
    ENDING.set()
    for process in list(LIVE):
        _kill(process)
    late = threading.Timer(GRACE, os._exit, (128 + number,))
    late.daemon = True
    late.start()
    raise Ended(128 + number)


def _kill(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
