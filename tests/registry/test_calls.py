"""A call of MLflow's over HTTP ends in time, whatever the server does, and says what was wrong in one line."""

import contextlib
import datetime
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from xraydenoise.registry import calls, fetch, store

LATE = "no whole answer within 1 s, and less than 20,000 bytes a second"
SAID = {
    "hangs": LATE,
    "drips its headers": LATE,
    "drips its body": LATE,
    "stops half-way": LATE,
    "ends half-way": "IncompleteRead",
    "resets": "Connection reset by peer",
    "says 500": "500 error responses",
    "says 429 for an hour": "429 error responses",
    "cuts its JSON": "not in a valid JSON format",
    "answers a page": "status 200 and a page of HTML; is a proxy or a login between",
    "redirects to a login": "status 200 and a page of HTML; is a proxy or a login between",
    "redirects in a circle": "redirects",
    "redirects to nowhere": "nowhere.invalid",
    "never ends": "an answer of more than 268435456 bytes",
    "is another service": "is it MLflow that answers there",
    "sends odd JSON": "Failed to parse experiment field",
    "speaks no HTTP": "BadStatusLine",
}


@contextlib.contextmanager
def refused(*said: str) -> Iterator[None]:
    """The block raises RuntimeError within seconds, with one line that has these parts."""
    begun = time.monotonic()
    with pytest.raises(RuntimeError) as raised:
        yield
    assert time.monotonic() - begun < 10
    line = str(raised.value)
    assert [part for part in said if part not in line] == [], line
    assert "\n" not in line
    assert len(line) < 700


@pytest.fixture
def chosen(fresh, monkeypatch):
    """chosen(address): MLflow is there; a call to it has a second, and no retry, which would hide what went wrong."""

    def chosen(address: str) -> str:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        return f"MLflow at {address}: "

    return chosen


def test_a_server_that_misbehaves_is_one_line_in_time(badly, bad_server, chosen):
    begins = chosen(bad_server(badly).address)
    with refused(begins, SAID[badly], "start that server, or unset MLFLOW_TRACKING_URI"), store.opened("x"):
        pass


@pytest.mark.parametrize("kind", ["hangs", "drips its body", "says 429 for an hour"])
def test_retries_and_what_a_server_asks_to_wait_count_too(kind, bad_server, chosen, monkeypatch):
    begins = chosen(bad_server(kind).address)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "5")
    with refused(begins, LATE), store.opened("x"):
        pass


@pytest.mark.parametrize("kind", ["hangs", "answers a page", "is another service"])
def test_a_model_that_such_a_server_is_asked_for_is_one_line_too(kind, bad_server, chosen):
    chosen(bad_server(kind).address)
    for uri in ("models:/xraydenoise@champion", "models:/xraydenoise/1"):
        with pytest.raises(RuntimeError, match=r"^MLflow at http://[^\n]*$"):
            fetch.fetch(uri)


def test_an_answer_on_which_mlflow_itself_stumbles_is_one_line(bad_server, chosen):
    from mlflow.artifacts import list_artifacts

    address = bad_server("sends odd JSON").address
    begins = chosen(address)
    with refused(begins, "cannot read an answer of it (TypeError: "), store.reading():
        list_artifacts(f"{address}/api/2.0/mlflow-artifacts/artifacts/x")
    with pytest.raises(ValueError, match="ours"), store.reading():
        raise ValueError("ours")


def test_a_certificate_that_nobody_signed_and_a_server_without_one_are_one_line(fresh, bad_server, chosen, tmp_path):
    with certified(tmp_path) as port:
        begins = chosen(f"https://127.0.0.1:{port}")
        with refused(begins, "CERTIFICATE_VERIFY_FAILED"), store.opened("x"):
            pass
    begins = chosen(bad_server("hangs").address.replace("http:", "https:"))
    with refused(begins), store.opened("x"):
        pass


def test_a_host_that_no_name_server_knows_is_one_line(chosen):
    begins = chosen("http://nowhere.invalid:5000")
    with refused(begins, "no answer (ConnectionError)"), store.opened("x"):
        pass


def test_a_health_page_that_drips_is_given_up(bad_server, chosen, monkeypatch):
    from xraydenoise.registry import address

    monkeypatch.setattr(address, "ANSWER", 0.5)
    begins = chosen(bad_server("drips its body").address + "/below")  # whose /below/health is not well
    with refused(begins, "no answer (ReadTimeout)"), store.opened("x"):
        pass


def test_an_upload_that_nobody_reads_is_given_up(tmp_path):
    path = tmp_path / "weights"
    path.write_bytes(bytes(2**25))
    begun = time.monotonic()
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        path.open("rb") as data,
        pytest.raises(requests.exceptions.ReadTimeout, match="no whole answer"),
    ):
        calls.within(0.5, requests.request, "PUT", f"http://127.0.0.1:{server.getsockname()[1]}/", data=data)
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize("stream", [False, True])
def test_what_is_slow_but_moves_is_read_to_its_end(stream, monkeypatch):
    monkeypatch.setattr(calls, "PACE", 100_000)
    blocks = [bytes([number]) * 100_000 for number in range(6)]

    def serve(server: socket.socket) -> None:
        client, _ = server.accept()
        client.recv(65536)
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 600000\r\n\r\n")
        for block in blocks:
            client.sendall(block)
            time.sleep(0.3)
        client.close()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, args=(server,), daemon=True).start()
        answer = calls.within(0.8, requests.request, "GET", f"http://127.0.0.1:{server.getsockname()[1]}/", stream=stream)
    read = b"".join(answer.iter_content(2**20)) if stream else answer.content
    assert read == b"".join(blocks)


def test_mlflow_sends_by_itself_again_once_the_store_is_closed(empty):
    from mlflow.utils import request_utils, rest_utils

    before = request_utils._get_http_response_with_retries
    with store.opened("x"):
        assert rest_utils._get_http_response_with_retries is request_utils._get_http_response_with_retries is not before
    assert rest_utils._get_http_response_with_retries is request_utils._get_http_response_with_retries is before


@contextlib.contextmanager
def certified(folder: Path) -> Iterator[int]:
    """The port of a server with a certificate that it signed itself."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
    signed = made.not_valid_before(now).not_valid_after(now + datetime.timedelta(1)).sign(key, hashes.SHA256())
    plain = serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    (folder / "server.pem").write_bytes(pem + signed.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")

    def serve(server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = server.accept()
                with contextlib.suppress(OSError):
                    context.wrap_socket(client, server_side=True).close()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, args=(server,), daemon=True).start()
        yield server.getsockname()[1]
