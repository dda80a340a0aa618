"""What every test gives back as it was, damage to a file, a browser, a project in a new folder with the real `dvc repro`, bad servers."""

import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update "
    "--disable-sync --force-device-scale-factor=1 --window-size=1280,1000"
)


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "cut": lambda content: content[: len(content) // 2],
    "empty": lambda _: b"",
    "garbage": lambda _: b"\xff\x00 none of ours \n" * 9,
    "zeroed": lambda content: bytes(len(content)),
    "flipped": lambda content: content[: (place := len(content) * 3 // 4)] + bytes([content[place] ^ 1]) + content[place + 1 :],
}


@pytest.fixture(params=DAMAGE)
def damage(request: pytest.FixtureRequest) -> Callable[[Path], None]:
    """Damages a file in one of five ways; one bit is flipped at three quarters of it."""

    def damage(path: Path) -> None:
        path.write_bytes(DAMAGE[request.param](path.read_bytes()))

    return damage


@pytest.fixture(scope="session", autouse=True)
def signals_of_a_terminal() -> None:
    """What nohup or a shell's `&` ignores would be ignored by all that the tests start, and the pipeline respects that."""
    if os.name == "posix" and threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) == signal.SIG_IGN:
                signal.signal(number, signal.SIG_DFL)


@pytest.fixture(autouse=True)
def same_import_path() -> Iterator[None]:
    """MLflow puts the code that travels with a model in front of ours and leaves it there, and later tests' processes inherit it."""
    before = sys.path[:]
    yield
    sys.path[:] = before


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Chromium without a window; the test is skipped where there is none."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed, so no browser can be driven")
    binary = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    driver = shutil.which("chromedriver")
    if not binary or not driver:
        pytest.skip("no Chromium with its chromedriver is installed")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for flag in [*FLAGS.split(), f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    started = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield started
    started.quit()


@pytest.fixture
def visit(browser: Any) -> Iterator[Callable[[Path], Any]]:
    """Open a page; at the end, nothing may have been reported or asked of a network."""
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    def visit(page: Path) -> Any:
        for kind in ("browser", "performance"):
            browser.get_log(kind)
        browser.get(page.as_uri())
        viewer = browser.find_element(By.ID, "viewer")
        WebDriverWait(browser, 10).until(lambda driver: driver.find_element(By.ID, "scale").text or not viewer.is_displayed())
        return browser

    yield visit
    assert browser.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = {event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"}
    assert {url.split(":")[0] for url in asked} <= {"file", "data", "chrome"}  # chrome: the browser's own first page
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


ROOT = Path(__file__).parents[1]
FILES = ["dvc.yaml", "data.dvc", ".dvcignore", ".gitignore", "pyproject.toml", "params.yaml"]
FOLDERS = ["src", "pipeline", "inbox", "profiles", "starts"]


class Project:
    """A project folder, and what a person types in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self.env = {**os.environ, "PATH": path, "PYTHONPATH": str(root / "src")}

    def run(self, *command: str, fails: bool = False) -> str:
        """Standard output and error; the command must succeed, or fail where that is asked for."""
        ended = subprocess.run(command, cwd=self.root, env=self.env, capture_output=True, text=True, check=False)
        assert (ended.returncode != 0) == fails, ended.stdout + ended.stderr
        return ended.stdout + ended.stderr

    def kill_when(self, *command: str, appears: str) -> None:
        """Start the command, and kill -9 its process group as soon as a file `appears` (a pattern below the root)."""
        process = subprocess.Popen(command, cwd=self.root, env=self.env, start_new_session=True, stdout=subprocess.DEVNULL)
        while not list(self.root.glob(appears)):
            assert process.poll() is None, f"ended before {appears} appeared"
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def repro(self, *more: str) -> set[str]:
        """`dvc repro`; the stages that it ran."""
        said = self.run("dvc", "repro", *more)
        return {line.split("'")[1] for line in said.splitlines() if line.startswith("Running stage '")}

    def params(self, change: dict[str, object]) -> None:
        """Set entries of params.yaml by their dotted names."""
        import yaml  # here and below, since the tests of the plain layer run without it

        content = yaml.safe_load((self.root / "params.yaml").read_text())
        for path, value in change.items():
            section, *rest = [content, *path.split(".")]
            for part in rest[:-1]:
                section = section[part]
            section[rest[-1]] = value
        (self.root / "params.yaml").write_text(yaml.safe_dump(content, sort_keys=False))

    def read(self, *names: str) -> list[bytes]:
        return [(self.root / name).read_bytes() for name in names]


def small_params() -> dict[str, object]:
    """Eight phantom patients, two models and packaged weights as they are, one label a split: every stage, in seconds."""
    import yaml

    content = yaml.safe_load((ROOT / "profiles" / "sample.yaml").read_text())
    phantom = {"kind": "phantom", "path": "src/xraydenoise/data/sources/phantom"}
    content["datasets"] = {
        "phantom": phantom | {"patients": 8, "images_per_patient": 1, "size": 80, "seed": 3},
        "inbox": content["datasets"]["inbox"],
    }
    content["machine"] = {"device": "cpu", "threads": 1}
    content["enhance"] = {"presets": [0, 7], "noise": "before", "images": {"train": 1, "val": 1, "test": 1}, "region": 32}
    content["label"] |= {"tile": 64, "overlap": 32}
    content["train"] |= {"batch": 4, "patch": 32, "warmup": 2, "validate_every": 10, "checkpoint_every": 0.01}
    content["models"] = {name: content["models"][name] for name in ("fast", "dncnn", "dncnn_enhanced")}
    content["models"]["dncnn"]["steps"] = content["models"]["dncnn_enhanced"]["steps"] = 20
    content["classifier"] |= {"channels": 2, "steps": 5}
    content["protocols"] = {name: content["protocols"][name] | {"steps": 10} for name in ("c_dncnn",)}
    content["baselines"] = {name: content["baselines"][name] for name in ("noisy", "median", "total_variation")}
    content["baselines"]["total_variation"]["weights"] = [0.1, 0.2]
    content["evaluate"]["repeats"] |= {"draws": 6, "side": 48}
    content["evaluate"]["sweep"] |= {"pictures": 1, "gaussian": [0.1, 0.2], "quantum": [30.0, 300.0]}
    content["compare"]["resamples"] = 200
    return content


def copy_project(root: Path) -> Project:
    """The sources as a fresh clone has them, with small params."""
    import yaml

    root.mkdir(parents=True)
    for name in FILES:
        shutil.copyfile(ROOT / name, root / name)
    for name in FOLDERS:
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__", "images", "images.dvc"))
    (root / "mlruns").mkdir()
    shutil.copyfile(ROOT / "mlruns" / ".gitignore", root / "mlruns" / ".gitignore")
    project = Project(root)
    (root / "params.yaml").write_text(yaml.safe_dump(small_params(), sort_keys=False))
    project.run("git", "init", "--quiet")
    project.run("dvc", "init", "--quiet")
    project.run("dvc", "config", "core.analytics", "false")
    return project


@pytest.fixture(scope="session")
def reproduced(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A fresh project after `dvc repro`; tests copy it before they change it."""
    project = copy_project(tmp_path_factory.mktemp("reproduced") / "project")
    assert project.repro() >= {"ingest", "label", "train@dncnn", "register"}
    return project


@pytest.fixture
def project(reproduced: Project, tmp_path: Path) -> Project:
    """A copy of the reproduced project that a test may change."""
    shutil.copytree(reproduced.root, tmp_path / "project", symlinks=True)
    return Project(tmp_path / "project")


@pytest.fixture
def fresh(tmp_path: Path) -> Project:
    """The project as a fresh clone has it: nothing has run."""
    return copy_project(tmp_path / "fresh")


class BadServer(ThreadingHTTPServer):
    """An MLflow server that answers /health, and after so many `good` calls, which `behind` answers, does what its `kind` says."""

    daemon_threads = True
    kinds = (
        "hangs",
        "drips its headers",
        "drips its body",
        "stops half-way",
        "ends half-way",
        "resets",
        "says 500",
        "says 429 for an hour",
        "cuts its JSON",
        "answers a page",
        "redirects to a login",
        "redirects in a circle",
        "redirects to nowhere",
        "never ends",
        "is another service",
        "sends odd JSON",
        "speaks no HTTP",
    )

    def __init__(self, kind: str, behind: str = "", good: int = 0) -> None:
        super().__init__(("127.0.0.1", 0), BadHandler)
        self.kind, self.behind, self.good, self.calls = kind, behind, good, 0
        self.over = threading.Event()
        self.address = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, *_: object) -> None:
        """Clients that leave are no news here."""


class BadHandler(BaseHTTPRequestHandler):
    """One connection of a BadServer."""

    server: BadServer

    def log_message(self, *_: object) -> None:
        """Nothing."""

    def answer(self, status: int, body: bytes = b"", kind: str = "application/json", length: int | None = None, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(length or len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def drip(self, byte: bytes) -> None:
        while not self.server.over.wait(0.1):
            self.wfile.write(byte)

    def forward(self, body: bytes) -> None:
        import requests  # here: the plain layer's tests have none

        headers = {name: value for name, value in self.headers.items() if name not in ("Host", "Content-Length")}
        found = requests.request(self.command, self.server.behind + self.path, headers=headers, data=body, timeout=60)
        self.answer(found.status_code, found.content, found.headers.get("Content-Type", "application/json"))

    def do_GET(self) -> None:
        server, body = self.server, self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == "/health":
            self.answer(200, b"OK", "text/html")
        elif self.path == "/login":
            self.answer(200, b"<html>\n<b>Who are you?</b>\n</html>\n", "text/html")
        else:
            server.calls += 1
            self.forward(body) if server.calls <= server.good else self.misbehave(server.kind)
        self.close_connection = True

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815

    def misbehave(self, kind: str) -> None:
        match kind:
            case "hangs":
                self.server.over.wait()
            case "drips its headers":
                self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
                self.drip(b".")
            case "drips its body":
                self.answer(200, b"{", length=1_000_000)
                self.drip(b" ")
            case "stops half-way" | "ends half-way":
                self.answer(200, b'{"experiment', length=1000)
                self.server.over.wait(None if kind.startswith("stops") else 0)
            case "resets":
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
            case "says 500":
                self.answer(500, b'Traceback (most recent call last):\n  File "server.py"\n', "text/plain")
            case "says 429 for an hour":
                self.answer(429, b"{}", Retry_After="3600")
            case "cuts its JSON":
                self.answer(200, b'{"experiment": {"experiment_id": "1", "na')
            case "answers a page":
                self.answer(200, b"<html>\n<b>Accept the terms to go on</b>\n</html>\n", "text/html; charset=utf-8")
            case "redirects to a login":
                self.answer(302, Location="/login")
            case "redirects in a circle":
                self.answer(302, Location=self.path)
            case "redirects to nowhere":
                self.answer(302, Location=f"http://nowhere.invalid{self.path}")
            case "never ends":
                self.answer(200, b"{", length=2**40)
                while True:
                    self.wfile.write(b" " * 2**20)
            case "is another service":
                self.answer(200, b'{"status": "well"}')
            case "sends odd JSON":
                self.answer(200, b'{"experiment": 5, "registered_model": 5, "run": 5, "runs": 5, "model_versions": 5, "files": 5}')
            case "speaks no HTTP":
                self.wfile.write(b"SSH-2.0-OpenSSH_9.6\r\n")


@pytest.fixture(scope="session")
def bad_server() -> Iterator[Callable[..., BadServer]]:
    """bad_server(kind, behind, good): a BadServer of one of `BadServer.kinds` that runs until the session ends."""
    started = []

    def start(kind: str, behind: str = "", good: int = 0) -> BadServer:
        server = BadServer(kind, behind, good)
        started.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server

    yield start
    for server in started:
        server.over.set()
        server.shutdown()
        server.server_close()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that asks for `badly` runs once for each kind of bad server."""
    if "badly" in metafunc.fixturenames:
        metafunc.parametrize("badly", BadServer.kinds)
