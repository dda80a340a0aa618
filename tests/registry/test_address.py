"""Where MLflow is: no password is shown, and a server that does not answer is one line at once."""

import os
import re
import socket
import time

import pytest

from xraydenoise.registry import address, store

SHOWN = {
    "http://127.0.0.1:5000": "http://127.0.0.1:5000",
    "http://someone:secret@h:5000/x": "http://h:5000/x",
    "http://h:5000/x?token=secret": "http://h:5000/x?token=***",
    "postgresql+psycopg2://someone:secret@h/db": "postgresql+psycopg2://h/db",
    "postgresql+psycopg2://someone:sec@ret@h/db": "postgresql+psycopg2://h/db",
    "postgresql+psycopg2://someone:sec/ret@h:1/db": "postgresql+psycopg2://h:1/db",
    "postgresql+psycopg2://someone:sec?re=t@h/db": "postgresql+psycopg2://h/db",
    "postgresql+psycopg2://h/db?user=some@one&password=secret": "postgresql+psycopg2://h/db?password=***&user=***",
    "postgresql+psycopg2://someone:secret": "postgresql+psycopg2://...",
    "sqlite:////some/folder/a@b.db": "sqlite:////some/folder/a@b.db",
    "databricks": "databricks",
}


@pytest.mark.parametrize(("uri", "shown"), SHOWN.items(), ids=range(len(SHOWN)))
def test_an_address_is_shown_without_user_password_and_values_of_its_query(uri, shown):
    assert address.public(uri) == shown
    assert address.scrub(f"(OperationalError) cannot open {uri} now", uri) == f"(OperationalError) cannot open {shown} now"


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("no route to http://someone:sec@ret@proxy:80/x (again)", "no route to http://proxy:80/x (again)"),
        ("'postgresql://h/db?user=someone&password=secret' failed", "'postgresql://h/db?user=***&password=*** failed"),
        ("sqlite:////a/b.db: locked", "sqlite:////a/b.db: locked"),
    ],
)
def test_a_line_of_mlflow_tells_no_password_of_other_addresses_either(line, shown):
    assert address.scrub(line, "http://h") == shown


@pytest.mark.parametrize("uri", ["postgresql+psycopg2://someone:secret", "postgresql+psycopg2://someone:sec@ret@127.0.0.1:9/db"])
def test_an_address_that_cannot_be_read_is_one_line_without_its_password(fresh, uri, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with (
        pytest.raises(RuntimeError, match="cannot be read as an address; in a user or password write @ as %40") as raised,
        store.opened("x"),
    ):
        pass
    assert str(raised.value).startswith(f"MLflow at {address.public(uri)}: ")
    assert not any(part in str(raised.value) for part in ("secret", "someone", "ret@", "\n"))


@pytest.fixture
def silent():
    """The port of a server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize("scheme", ["http", "postgresql+psycopg2"])
def test_a_server_that_is_not_there_is_one_clear_line_at_once(fresh, scheme, monkeypatch):
    server = f"{scheme}://someone:secret@127.0.0.1:9/x"  # discard: nothing listens
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    begun = time.monotonic()
    with pytest.raises(RuntimeError, match="no answer") as raised, store.opened("xraydenoise"):
        pass
    assert time.monotonic() - begun < 5
    assert str(raised.value).startswith(f"MLflow at {scheme}://127.0.0.1:9/x: no answer (Connection")
    assert str(raised.value).endswith("; start that server, or unset MLFLOW_TRACKING_URI to use mlruns/")
    assert "\n" not in str(raised.value)
    assert os.environ["MLFLOW_TRACKING_URI"] == server


@pytest.mark.parametrize(
    ("scheme", "error"), [("http", "ReadTimeout"), ("postgresql+psycopg2", "TimeoutError"), ("mysql+pymysql", "TimeoutError")]
)
def test_a_server_that_says_nothing_is_given_up(fresh, silent, scheme, error, monkeypatch):
    monkeypatch.setattr(address, "ANSWER", 0.5)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"{scheme}://127.0.0.1:{silent}/x")
    with (
        pytest.raises(RuntimeError, match=rf"^MLflow at {re.escape(scheme)}://127\.0\.0\.1:\d+/x: no answer \({error}\)"),
        store.opened("x"),
    ):
        pass


def test_a_server_that_dies_half_way_is_one_clear_line(fresh, silent, monkeypatch):
    monkeypatch.setattr(address, "reach", lambda *_: None)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://someone:secret@127.0.0.1:{silent}")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(RuntimeError, match=r"^MLflow at http://127\.0\.0\.1:\d+: .*unset MLFLOW_TRACKING_URI") as raised, store.opened("x"):
        pass
    assert "secret" not in str(raised.value)
