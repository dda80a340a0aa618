"""Every call over HTTP ends: it has so many seconds in all, with its retries, and as many again only while it moves enough bytes."""

import contextlib
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from typing import IO, Any
from urllib.parse import urlsplit

import requests

PACE = 20_000  # bytes a second, the least that counts as moving
ANSWER, FILE = 2**28, 2**33  # bytes that an answer, and a file, may have: the next ones are of a server that never ends
SEND = "_get_http_response_with_retries"  # MLflow's function for all its calls, which two of its modules know by this name
CHUNK, IN_MEMORY = 2**14, 2**26  # bytes

Send = Callable[..., requests.Response]


@contextlib.contextmanager
def bounded() -> Iterator[None]:
    """While the block lasts, all calls of MLflow's client end after MLFLOW_HTTP_REQUEST_TIMEOUT seconds, or as `within` has it.

    MLflow gives this time to each read of a socket and to each retry, so that a server which sends a byte now and then is never given up.
    """
    from mlflow.environment_variables import MLFLOW_HTTP_REQUEST_TIMEOUT
    from mlflow.utils import request_utils, rest_utils

    send: Send = getattr(request_utils, SEND)

    def limited(method: str, url: str, *args: Any, **kwargs: Any) -> requests.Response:
        seconds = MLFLOW_HTTP_REQUEST_TIMEOUT.get()  # type: ignore[no-untyped-call]
        return within(seconds, send, method, url, *args, **kwargs)

    modules = (request_utils, rest_utils)
    for module in modules:
        setattr(module, SEND, limited)
    try:
        yield
    finally:
        for module in modules:
            setattr(module, SEND, send)


def within(seconds: float, send: Send, method: str, url: str, *args: Any, **kwargs: Any) -> requests.Response:
    """What `send` returns, its body read whole, within `seconds`, and as many again as long as `PACE` bytes move in each of them.

    Raises requests.exceptions.ReadTimeout where it takes longer, and RequestException where the answer never ends, or is a page of a proxy
    or of a login instead of MLflow's.
    """
    ended: Future[requests.Response] = Future()
    received = [0]  # bytes

    def call() -> None:
        try:
            answer = send(method, url, *args, **{**kwargs, "stream": True})
            ended.set_result(_whole(answer, method, url, bool(kwargs.get("stream")), received))
        except BaseException as error:  # whatever it was, the caller raises it
            ended.set_exception(error)

    # No time limit of a socket covers the look-up of a name, a handshake and headers that drip. The thread ends with the process.
    threading.Thread(target=call, daemon=True).start()
    moved = 0
    while not wait([ended], seconds).done:
        before, moved = moved, received[0] + _sent(kwargs.get("data"))
        if moved - before < PACE * seconds:
            raise requests.exceptions.ReadTimeout(f"no whole answer within {seconds:g} s, and less than {PACE:,} bytes a second")
    return ended.result()


def _sent(data: Any) -> int:
    """How much of a file that is uploaded was read."""
    try:
        return int(data.tell())
    except (AttributeError, OSError, ValueError):  # no file, or closed already
        return 0


def _whole(answer: requests.Response, method: str, url: str, file: bool, received: list[int]) -> requests.Response:
    """The same with its body in hand, counted as it comes in."""
    path = urlsplit(url).path
    served = method.upper() == "GET" and "/mlflow-artifacts/" in path  # a file, which may be HTML
    if "/api/" in path and not served and answer.headers.get("Content-Type", "").startswith("text/html"):
        answer.close()
        raise requests.exceptions.InvalidJSONError(f"status {answer.status_code} and a page of HTML; is a proxy or a login between?")
    body: IO[bytes] = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 - the answer keeps it
    for chunk in answer.iter_content(CHUNK):
        received[0] += len(chunk)
        if received[0] > (FILE if file else ANSWER):
            answer.close()
            raise requests.exceptions.ContentDecodingError(f"an answer of more than {FILE if file else ANSWER} bytes")
        body.write(chunk)
    body.seek(0)
    answer.raw, answer._content_consumed = body, False
    if not file:
        _ = answer.content
    return answer
