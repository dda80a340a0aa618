"""A server on this machine that speaks Kaggle's protocol: an interface that redirects, and a store of archives on another host name."""

import base64
import hashlib
import io
import json
import socket
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from kagglesdk import kaggle_env

from xraydenoise import transfer

SERVICE = "/v1/datasets.DatasetApiService/"
SIGNATURE = "c0ffee5ignature"  # of the archive's address, which opens it to whoever has it


class Kaggle:
    """What the server holds, how it fails, what it was asked and what it sent."""

    def __init__(self) -> None:
        self.archives: dict[str, dict[int, bytes]] = {}  # handle -> version -> zip
        self.states: list[tuple[int, dict[str, str]]] = []  # (HTTP state, headers) of the next calls of the interface
        self.store_states: list[int] = []  # HTTP state of the next answers of the store; 0: as it should be
        self.cuts: list[int] = []  # bytes of the archive at which the next transfers are cut
        self.hashes: list[str] = []  # x-goog-hash of the next transfers, in place of the true one
        self.ranges = True  # whether the store knows Range
        self.silent = threading.Event()  # set: the store sends headers and then nothing
        self.asked: list[str] = []  # the calls of the interface
        self.sent: list[tuple[int, int]] = []  # (first byte, bytes sent) of each transfer
        self.credentials: dict[str, list[str | None]] = {"interface": [], "store": []}
        self.port = 0

    def holds(self, handle: str, files: dict[str, bytes], version: int = 2) -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        self.archives.setdefault(handle, {})[version] = buffer.getvalue()
        return buffer.getvalue()

    def start(self) -> None:
        """Listen: on a port of its own at first, later on the same one."""
        self.listener = ThreadingHTTPServer(("127.0.0.1", self.port), handler(self))
        self.port = self.listener.server_port
        self.thread = threading.Thread(target=self.listener.serve_forever, args=(0.01,))
        self.thread.start()

    def stop(self) -> None:
        self.silent.clear()
        self.listener.shutdown()
        self.thread.join()
        self.listener.server_close()


def handler(kaggle: Kaggle) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            kaggle.asked.append(self.path.removeprefix(SERVICE))
            kaggle.credentials["interface"].append(self.headers["Authorization"])
            handle = f"{request['ownerSlug']}/{request['datasetSlug']}"
            versions = kaggle.archives.get(handle, {})
            if kaggle.states:
                self.answer(*kaggle.states.pop(0))
            elif self.path == SERVICE + "GetDataset" and versions:
                body = json.dumps({"ref": handle, "currentVersionNumber": max(versions)}).encode()
                self.answer(200, {"Content-Type": "application/json"}, body)
            elif self.path == SERVICE + "DownloadDataset" and (version := request["datasetVersionNumber"]) in versions:
                address = f"http://localhost:{kaggle.port}/{handle}/{version}/archive.zip?X-Goog-Signature={SIGNATURE}"
                self.answer(302, {"Location": address})
            else:
                body = json.dumps({"code": 404, "message": "Not found"}).encode()
                self.answer(404, {"Content-Type": "application/json"}, body)

        def do_GET(self) -> None:
            kaggle.credentials["store"].append(self.headers["Authorization"])
            if kaggle.store_states and (state := kaggle.store_states.pop(0)):
                self.answer(state, {}, b"<Error>an error page</Error>")
                return
            owner, dataset, version = self.path.split("/")[1:4]
            archive = kaggle.archives[f"{owner}/{dataset}"][int(version)]
            asked = self.headers["Range"] if kaggle.ranges else None
            start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
            if start >= len(archive):
                self.answer(416, {"Content-Range": f"bytes */{len(archive)}"}, b"<Error>InvalidRange</Error>")
                return
            md5 = base64.b64encode(hashlib.md5(archive).digest()).decode()
            self.send_response(206 if asked else 200)
            self.send_header("Content-Length", str(len(archive) - start))
            self.send_header("x-goog-hash", kaggle.hashes.pop(0) if kaggle.hashes else f"crc32c=AAAAAA==,md5={md5}")
            if kaggle.ranges:
                self.send_header("Accept-Ranges", "bytes")
            if asked:
                self.send_header("Content-Range", f"bytes {start}-{len(archive) - 1}/{len(archive)}")
            self.end_headers()
            while kaggle.silent.is_set() and not self.gone():
                pass
            end = kaggle.cuts.pop(0) if kaggle.cuts else len(archive)
            self.wfile.write(archive[start:end])
            kaggle.sent.append((start, max(0, end - start)))
            if end < len(archive):
                self.connection.shutdown(socket.SHUT_RDWR)

        def gone(self) -> bool:
            """Whether the client has hung up; waits a moment for it."""
            self.connection.settimeout(0.05)
            try:
                return self.connection.recv(1) == b""
            except TimeoutError:
                return False

        def answer(self, state: int, headers: dict[str, str], body: bytes = b"") -> None:
            self.send_response(state)
            for name, value in (headers | {"Content-Length": str(len(body))}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    return Handler


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kaggle]:
    """The server; kagglehub talks to it, without any account of whoever runs the tests, and works in an empty folder."""
    kaggle = Kaggle()
    kaggle.start()
    monkeypatch.setitem(kaggle_env._env_to_endpoint, kaggle_env.KaggleEnv.PROD, f"http://127.0.0.1:{kaggle.port}")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(tmp_path))
    for name in ("KAGGLE_API_TOKEN", "KAGGLE_USERNAME", "KAGGLE_KEY", "KAGGLE_API_ENVIRONMENT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(transfer, "WAITS", (0.0, 0.0))
    monkeypatch.chdir(tmp_path)
    yield kaggle
    kaggle.stop()
