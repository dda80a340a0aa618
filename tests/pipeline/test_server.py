"""The flow's own Prefect, which no other's settings reach and which ends with its flow."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[2]
FLOW = """
import contextlib, json, sys
sys.path.insert(0, sys.argv[1])
from pipeline import server
server.start()
with contextlib.chdir(server.HOME):
    from prefect import flow, get_run_logger
    from prefect.settings import get_current_settings
flow(name="own")(lambda: get_run_logger().info("something to tell the server at the end"))()
seen = get_current_settings()
print(json.dumps([seen.api.url, seen.tasks.default_no_cache, seen.api.key and "key"]), flush=True)
if "stay" in sys.argv:
    sys.stdin.read()
"""
OTHER = "PREFECT_API_URL=http://127.0.0.1:9/api\nPREFECT_API_KEY=key\nPREFECT_TASKS_DEFAULT_NO_CACHE=false\n"


@pytest.fixture
def flow(tmp_path):
    """Start a process with a server of its own in a folder whose `.env` and prefect.toml name another one."""
    (tmp_path / ".prefect").mkdir()
    (tmp_path / ".env").write_text(f"{OTHER}PREFECT_SERVER_DATABASE_CONNECTION_URL=sqlite+aiosqlite:///{tmp_path}/other.db\n")
    (tmp_path / "prefect.toml").write_text('[api]\nurl = "http://127.0.0.1:9/api"\n')
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    command = [sys.executable, "-c", FLOW, str(ROOT)]
    started = []

    def start(*more: str) -> "subprocess.Popen[str]":
        ends = {
            "stdin": subprocess.PIPE,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "text": True,
            "cwd": tmp_path,
            "env": environment,
        }
        started.append(subprocess.Popen([*command, *more], **ends))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_the_settings_in_the_folder_reach_neither_the_flow_nor_its_server(flow, tmp_path):
    process = flow()
    said, complaints = process.communicate(timeout=180)
    assert process.returncode == 0
    assert "Error" not in complaints  # of logs and events that come when the server has gone
    address, no_cache, key = json.loads(said)
    assert address.startswith("http://127.0.0.1:")
    assert address != "http://127.0.0.1:9/api"
    assert (no_cache, key) == (True, None)
    assert not (tmp_path / "other.db").exists()
    assert (tmp_path / ".prefect/prefect.db").exists()


def test_the_server_of_a_flow_that_is_killed_is_gone(flow):
    process = flow("stay")
    assert process.stdout.readline()
    (server,) = [child for child in psutil.Process(process.pid).children() if "pipeline.server" in child.cmdline()]
    process.kill()
    _, alive = psutil.wait_procs([server], timeout=60)
    assert not [left for left in alive if left.status() != psutil.STATUS_ZOMBIE]


def test_a_server_that_cannot_start_is_one_line_that_names_its_log(tmp_path, monkeypatch):
    from pipeline import server

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "environ", os.environ.copy())
    server.HOME.mkdir()
    (server.HOME / "prefect.db").write_bytes(b"no database at all")
    begun = time.monotonic()
    with pytest.raises(server.ServerError, match=r"ended with exit code \d+; \.prefect/server\.log says why") as failed:
        server.start()
    assert len(str(failed.value).splitlines()) == 1
    assert "database" in server.LOG.read_text()
    assert time.monotonic() - begun < 100
