"""Other programs' settings, a proxy, another folder, signals: none leads a run elsewhere, and none leaves a process behind."""

import json
import signal
import socketserver
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.e2e

LOAD = """
import mlflow
mlflow.set_tracking_uri("sqlite:///mlruns/mlflow.db")
mlflow.pyfunc.load_model("models:/xraydenoise@{alias}")
client = mlflow.MlflowClient()
print(client.get_model_version_download_uri("xraydenoise", client.get_model_version_by_alias("xraydenoise", "{alias}").version))
"""


@pytest.fixture
def proxy() -> Iterator[tuple[str, list[str]]]:
    """The address of a proxy that answers 502, and the first line of each request that it got."""
    asked: list[str] = []

    class Refuses(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            asked.append(self.rfile.readline().decode().strip())
            self.wfile.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Refuses) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
        server.shutdown()


def test_no_environment_dotenv_profile_or_proxy_leads_the_flow_to_another_prefect(project, proxy, tmp_path):
    address, asked = proxy
    dead, other = "http://127.0.0.1:9/api", tmp_path / "other.db"
    database = f"sqlite+aiosqlite:///{other}"
    (project.root / ".env").write_text(f"PREFECT_API_URL={dead}\nPREFECT_SERVER_DATABASE_CONNECTION_URL={database}\n")
    (project.root / "prefect.toml").write_text(f'[api]\nurl = "{dead}"\n')
    (tmp_path / "profiles.toml").write_text(f'active = "work"\n[profiles.work]\nPREFECT_API_URL = "{dead}"\n')
    project.env |= {
        "PREFECT_API_DATABASE_CONNECTION_URL": database,
        "PREFECT_PROFILES_PATH": str(tmp_path / "profiles.toml"),
        "prefect_api_key": "somebody's",
        "HTTP_PROXY": address,
        "https_proxy": address,
        "ALL_PROXY": address.replace("http", "socks5h"),
    }
    project.env.pop("NO_PROXY", None)
    project.env.pop("no_proxy", None)
    (project.root / "mlruns/registered.json").unlink()
    assert "Done in" in project.run("python", "-m", "pipeline")
    assert not other.exists()
    assert asked == []


def test_a_renamed_project_loads_its_model_as_the_last_line_says(project):
    moved = project.root.with_name("trial #1 ?é")
    project.root.rename(moved)
    project = type(project)(moved)
    assert "Nothing has changed" in project.run("python", "-m", "pipeline")
    alias = json.loads((moved / "mlruns/registered.json").read_text())["alias"]
    assert f"{moved.as_uri()}/mlruns/artifacts/" in project.run("python", "-c", LOAD.format(alias=alias))


def test_a_copy_that_would_run_the_code_of_its_original_stops_with_one_line(project, reproduced):
    project.env["PYTHONPATH"] = str(reproduced.root / "src")  # as the copy of an environment does
    (said,) = project.run("python", "-m", "pipeline", fails=True).splitlines()
    assert said.startswith(f"error: {project.root}: the code of {reproduced.root / 'src/xraydenoise'} would run here, not that of src/")
    before = project.read("dvc.lock")
    assert said in project.run("dvc", "repro", "--force", "--single-item", "download@phantom", fails=True)
    assert project.read("dvc.lock") == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_signal_to_the_flow_alone_ends_its_stages_and_its_server(project, number):
    project.params({"models.dncnn.steps": 1_000_000})
    flow = subprocess.Popen(["python", "-m", "pipeline"], cwd=project.root, env=project.env, stderr=subprocess.PIPE, text=True)
    wait(lambda: (project.root / "work/train/dncnn/history.csv").exists() or flow.poll() is not None)
    left = within(project.root)
    assert flow.poll() is None
    assert len(left) > 3  # the flow, its server, dvc, the stage
    flow.send_signal(number)
    _, said = flow.communicate(timeout=60)
    assert flow.returncode == (-number if number == signal.SIGKILL else 128 + number), said
    assert number == signal.SIGKILL or "make run` goes on where it was" in said
    assert not wait(lambda: not within(project.root)), [process.cmdline() for process in within(project.root)]


def wait(ready, seconds=180):
    """Wait until `ready`; what is left of its time says whether it came."""
    latest = time.monotonic() + seconds
    while not ready() and time.monotonic() < latest:
        time.sleep(0.1)
    return time.monotonic() >= latest


def within(folder: Path) -> list[psutil.Process]:
    """The living processes that work in `folder`."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and Path(process.cwd()).is_relative_to(folder):
                found.append(process)
        except psutil.Error:
            continue
    return found
