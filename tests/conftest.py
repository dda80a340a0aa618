"""What every test gives back as it found it, a browser, and servers that misbehave."""

import json
import shutil
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update "
    "--disable-sync --force-device-scale-factor=1 --window-size=1280,1000"
)


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
