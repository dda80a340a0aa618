"""The flow and `dvc repro`, ended again and again at any moment: nothing stays running, and the run after it ends with the same bytes."""

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

KILLS = 8  # of each kind
SAME = ("dvc.lock", "data.dvc", "artifacts/train/dncnn/weights.safetensors", "artifacts/train/dncnn_enhanced/weights.safetensors")
FLOW, REPRO = ("python", "-m", "pipeline"), ("dvc", "repro")
Kill = Callable[[int, int], None]


def left(root: Path, within: float) -> list[str]:
    """The processes that still work in the folder after so many seconds."""
    deadline = time.monotonic() + within
    while (lives := living(root)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return lives


def living(root: Path) -> list[str]:
    return [
        " ".join(process.info["cmdline"] or [])
        for process in psutil.process_iter(["cwd", "status", "cmdline"])
        if process.info["cwd"] == str(root) and process.info["status"] != psutil.STATUS_ZOMBIE
    ]


@pytest.mark.parametrize(
    ("kind", "command", "kill", "number"),
    [
        ("kill -9 of the flow and its process group", FLOW, os.killpg, signal.SIGKILL),
        ("kill -9 of the flow alone", FLOW, os.kill, signal.SIGKILL),
        ("SIGTERM of the flow", FLOW, os.kill, signal.SIGTERM),
        ("Ctrl-C of the flow", FLOW, os.kill, signal.SIGINT),
        ("kill -9 of dvc repro and its process group", REPRO, os.killpg, signal.SIGKILL),
    ],
)
def test_what_is_killed_leaves_no_process_and_goes_on_to_the_same_bytes(
    kind: str, command: tuple[str, ...], kill: Kill, number: int, reproduced, fresh, tried
) -> None:
    chance = random.Random(kind)
    clean: list[bool] = []
    while len(clean) < KILLS:
        process = subprocess.Popen(command, cwd=fresh.root, env=fresh.env, start_new_session=True, stdout=subprocess.DEVNULL)
        try:
            process.wait(chance.uniform(0.5, 25))
        except subprocess.TimeoutExpired:
            kill(process.pid, number)
            process.wait(60)
            clean.append(not left(fresh.root, within=20))
            continue
        assert process.returncode == 0 or command == REPRO, "a run after a kill failed"
        break  # it came to its end before the kill
    fresh.run(*FLOW)
    same = fresh.read(*SAME) == reproduced.read(*SAME)
    for well in clean:
        tried(kind, well and same)
    assert same
    assert all(clean)
