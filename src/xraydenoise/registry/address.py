"""Where MLflow is: what of an address people may see, and whether a server answers there."""

import contextlib
import re
import socket
from typing import TYPE_CHECKING

import requests

from xraydenoise.registry import calls

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

CONNECT, ANSWER = 5, 20  # seconds that a server has for it, and for all of it; one worker with many clients takes its time
PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}  # by the scheme of a database's URI
ASKED = {"postgresql": b"\0\0\0\x08\x04\xd2\x16\x2f", "mysql": b""}  # what makes a server speak: the first asks for TLS, MySQL greets
WAY_OUT = "; start that server, or unset MLFLOW_TRACKING_URI to use mlruns/"
HIDDEN = "***"
LONGEST = 400  # characters of a message; MLflow repeats whole answers in its own


def public(uri: str) -> str:
    """An address without user and password, and without the values of its query, of which a password may be one."""
    scheme, found, _ = uri.partition("://")
    if not found:
        return uri  # a folder, or a name such as `databricks`
    try:
        url = _parsed(uri)
    except ValueError:
        return f"{scheme}://..."  # nobody knows which part is what
    if not (url.username or url.password or url.query):
        return uri
    shown = str(url.create(url.drivername, host=_host(url), port=url.port, database=url.database))
    return shown + "".join(f"{'&' if place else '?'}{key}={HIDDEN}" for place, key in enumerate(sorted(url.query)))


def line(error: Exception, uri: str) -> str:
    """What an error of MLflow's, or of the call below it, says of its store at `uri`: one line of text that people may see."""
    first, *_ = str(error).strip().splitlines() or [type(error).__name__]
    text = scrub(first, uri).rstrip(".")
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} ..."


def scrub(text: str, uri: str) -> str:
    """A line of MLflow's about its store at `uri`, with no more of this or another address than people may see."""
    return re.sub(r"[\w+.-]+://\S+", _hide, text.replace(uri, public(uri)))


def _hide(address: re.Match[str]) -> str:
    return re.sub(r"://(?!/)\S*@", "://", re.sub(r"([?&][^=&\s]*=)[^&\s]*", rf"\g<1>{HIDDEN}", address[0]))


def reach(uri: str) -> None:
    """Raise RuntimeError, one line, where `uri` cannot be read or none answers there. MLflow itself tries dead ones again for minutes."""
    shown = public(uri)
    try:
        if uri.startswith(("http://", "https://")):
            with contextlib.suppress(requests.exceptions.SSLError):  # it answers; whom to trust is MLflow's business
                calls.within(ANSWER, requests.request, "GET", f"{uri.rstrip('/')}/health", timeout=(CONNECT, ANSWER), allow_redirects=False)
        elif "://" in uri:
            url = _parsed(uri)
            if url.host and (port := url.port or PORTS.get(url.get_backend_name())):
                if _host(url) != url.host:  # MLflow would look for a host of this name, and tell it
                    raise ValueError("an @ in its user or password")
                with socket.create_connection((url.host, port), CONNECT) as connection:
                    if url.get_backend_name() in ASKED:
                        connection.settimeout(ANSWER)
                        connection.sendall(ASKED[url.get_backend_name()])
                        if not connection.recv(1):
                            raise ConnectionResetError
    except OSError as error:  # requests raises such too; their texts are long and repeat the address, with its password
        raise RuntimeError(f"MLflow at {shown}: no answer ({type(error).__name__}){WAY_OUT}") from error
    except ValueError:
        told = "MLFLOW_TRACKING_URI cannot be read as an address; in a user or password write @ as %40, : as %3A, / as %2F"
        raise RuntimeError(f"MLflow at {shown}: {told}") from None  # its text may hold a part of the password


def _parsed(uri: str) -> "URL":
    """As MLflow reads the address of a database. Raises ValueError."""
    from sqlalchemy.engine import make_url  # a part of a second, which mlruns/ need not pay
    from sqlalchemy.exc import ArgumentError

    try:
        return make_url(uri)
    except ArgumentError as error:
        raise ValueError(str(error)) from error


def _host(url: "URL") -> str | None:
    """What stands behind the last @, where SQLAlchemy takes the password to end at the first."""
    return url.host and url.host.rpartition("@")[2]
