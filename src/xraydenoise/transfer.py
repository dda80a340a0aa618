"""A large file over HTTP: bounded, resumed where it was cut, retried with patience, checked by the server's hash, whole or not there."""

import base64
import contextlib
import email.utils
import hashlib
import queue
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, cast

import requests
import urllib3

from xraydenoise import disk
from xraydenoise.progress import progress

MEBIBYTE = 1 << 20
CHUNK = 1 << 14  # bytes; at most so many are lost where a transfer is cut
TIMEOUT = (10.0, 60.0)  # seconds to connect, and without a byte
WAITS = (2.0, 8.0, 30.0, 60.0)  # seconds before each further attempt; an attempt that got further than any before starts them again
LONGEST = 300.0  # seconds; a server that asks for more is not waited for
ANSWER = 60.0  # seconds, from the question to the end of the headers
PACE, GRACE = 20_000, 600.0  # bytes a second that a server must send on average, after so many seconds; else it is given up
PASSING = frozenset({408, 416, 429, 500, 502, 503, 504})  # HTTP states that a later attempt may find gone
RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)")
MD5 = re.compile(r"md5=([\w+/=]+)")  # in x-goog-hash, base64

Answer = TypeVar("Answer")
Opened = Callable[[int], AbstractContextManager[requests.Response]]  # asks for the bytes from there on


class Useless(requests.RequestException):
    """An answer that no further attempt makes better."""


class Patient(requests.adapters.HTTPAdapter):
    """Gives up on a silent server, and asks for a file's bytes from `start` on, whatever session it is mounted in."""

    def __init__(self, start: int) -> None:
        super().__init__()
        self.start = start

    def send(self, request: requests.PreparedRequest, *arguments: Any, **settings: Any) -> requests.Response:
        if request.method == "GET":
            request.headers["Accept-Encoding"] = "identity"  # so that bytes received are bytes of the file
            if self.start:
                request.headers["Range"] = f"bytes={self.start}-"
        return super().send(request, *arguments, **(settings | {"timeout": TIMEOUT}))


def download(
    path: Path,
    name: str,
    opened: Opened,
    refusal: Callable[[int], str | None] = lambda _: None,
    way_out: str = "run again later, it goes on where it stopped",
    limit: int | None = None,
    unpacks: bool = False,
) -> None:
    """Put the file that `opened` answers with at `path`; what has arrived lies in `path`.partial and is not asked for again.

    `refusal` tells what to do about an HTTP state that no further attempt mends, or None. No more than `limit` bytes are taken; a server
    that is slower than `PACE` on average is given up. A file that `unpacks` needs room for its content too. Raises ConnectionError where
    the server refuses or no attempt succeeds, and OSError where the disk has no room, each one line that starts with `name`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    furthest, waits = _size(partial), list(WAITS)
    paced = pace(furthest)
    while True:
        try:
            attempt(partial, name, opened, paced, limit, unpacks)
            break
        except Useless as error:
            raise ConnectionError(f"{name}: {told(error)}; {way_out}") from error
        except requests.RequestException as error:
            answer = error.response if error.response is not None and not error.response.ok else None
            if answer is not None and (advice := refusal(answer.status_code)):
                raise ConnectionError(f"{name}: {advice}") from error
            if answer is not None and answer.status_code == 416:  # more is there than the file has: another file's
                partial.unlink(missing_ok=True)
            if (reached := _size(partial)) > furthest:
                furthest, waits = reached, list(WAITS)
            reason, asked = told(error), 0.0 if answer is None else retry_after(answer)
            for_good = isinstance(error, ValueError) or (answer is not None and answer.status_code not in PASSING)  # ValueError: a bad URL
            if not waits or asked > LONGEST or for_good:
                until = f" and asks to wait {asked:.0f} s" if asked else ""
                raise ConnectionError(f"{name}: download failed: {reason}{until}; {way_out}") from error
            wait = max(waits.pop(0), asked)
            print(f"{name}: {reason}; next attempt in {wait:g} s", flush=True)
            time.sleep(wait)
    with partial.open("rb") as file:
        print(f"{name}: {_size(partial) / 1e6:.1f} MB, sha256 {hashlib.file_digest(file, 'sha256').hexdigest()}", flush=True)
    partial.replace(path)


def ask(name: str, opened: Opened, way_out: str, limit: int) -> int:
    """The bytes of the file that `opened` answers with, of which none is taken.

    Raises ConnectionError, one line that starts with `name`, where no answer comes within `ANSWER` seconds, or none that `download` takes.
    """
    try:
        with contextlib.ExitStack() as stack:
            return place(within(lambda: stack.enter_context(opened(0))), 0, limit)[1]
    except requests.RequestException as error:
        raise ConnectionError(f"{name}: {told(error)}; {way_out}") from error


def within(call: Callable[[], Answer]) -> Answer:
    """What `call` gives. Raises Useless after `ANSWER` seconds: a server may drip its headers, for which no client has a limit."""
    found: queue.SimpleQueue[tuple[Answer | None, BaseException | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            found.put((call(), None))
        except BaseException as error:
            found.put((None, error))

    threading.Thread(target=run, daemon=True).start()  # it is left behind where the server goes on dripping
    try:
        answer, error = found.get(timeout=ANSWER)
    except queue.Empty:
        raise Useless(f"no answer within {ANSWER:g} s") from None
    if error is not None:
        raise error
    return cast(Answer, answer)


def pace(before: int) -> Callable[[int], None]:
    """A check that is given how many bytes are there, `before` of them from the start. Raises Useless where the server is too slow."""
    begun = time.monotonic()

    def check(now: int) -> None:
        elapsed, arrived = time.monotonic() - begun, max(0, now - before)
        if elapsed > GRACE + arrived / PACE:
            raise Useless(f"sent {arrived} bytes in {elapsed:.0f} s, slower than {PACE / 1000:g} kB/s, so it was given up")

    return check


def attempt(partial: Path, name: str, opened: Opened, paced: Callable[[int], None], limit: int | None, unpacks: bool) -> None:
    """Complete `partial` once. Raises requests.RequestException; what arrived stays, unless its hash shows that it is wrong."""
    asked = max(0, _size(partial) - 1)  # the last byte once more, so that a whole file is no special case
    paced(asked)
    digest = hashlib.md5(usedforsecurity=False)
    with contextlib.ExitStack() as stack:
        response = within(lambda: stack.enter_context(opened(asked)))
        start, total = place(response, asked, limit)
        missing, free = total - start, shutil.disk_usage(partial.parent).free
        if missing + total * unpacks > free:
            need = f"{missing / 1e6:.0f} MB to download" + (f" and at least {total / 1e6:.0f} MB to unpack" if unpacks else "")
            raise OSError(f"{name}: needs {need}, but {partial.parent} has {free / 1e6:.0f} MB free; make room, run again")
        with disk.naming(partial), partial.open("r+b" if start else "wb") as file:
            while file.tell() < start:
                digest.update(file.read(min(MEBIBYTE, start - file.tell())))
            written = write(response, file, digest, paced)
            for _ in progress(written, f"{name}, MiB", total=total // MEBIBYTE, done=start // MEBIBYTE):
                pass
        expected = MD5.search(response.headers.get("x-goog-hash", ""))
    found = base64.b64encode(digest.digest()).decode()
    if expected is not None and expected[1] != found:
        partial.unlink()
        raise requests.RequestException(f"arrived with md5 {found}, the server gives {expected[1]}; what arrived is deleted")


def place(response: requests.Response, asked: int, limit: int | None = None) -> tuple[int, int]:
    """Where the body's first byte stands in the file, and the bytes of the whole file.

    Raises requests.RequestException where the server sends another part, and Useless where it does not say how long the file is, or longer
    than `limit`.
    """
    if response.status_code == requests.codes.partial_content:
        found = RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if found is None or int(found[1]) != asked:
            raise requests.RequestException(f"asked for the bytes from {asked} on, the server sends others")
        start, total = asked, int(found[2])
    else:
        length = response.headers.get("Content-Length")
        if length is None or not length.isdecimal():
            raise Useless("the server does not say how long the file is" + (f": its Content-Length is {length!r}" if length else ""))
        start, total = 0, int(length)
    if limit is not None and total > limit:
        raise Useless(f"the server would send {total / 1e6:.1f} MB, more than the {limit // MEBIBYTE} MiB allowed")
    return start, total


def write(response: requests.Response, file: BinaryIO, digest: Any, paced: Callable[[int], None]) -> Iterator[None]:
    """Append the body to `file` and `digest`, as it comes; yields whenever another MiB of the file is full."""
    try:
        while chunk := response.raw.read1(CHUNK):
            file.write(chunk)
            digest.update(chunk)
            paced(file.tell())
            if file.tell() % MEBIBYTE < len(chunk):
                yield
    except urllib3.exceptions.HTTPError as error:  # cut off, or silent for too long
        raise requests.ConnectionError(error) from error


def told(error: requests.RequestException) -> str:
    """The error in one line, without the query of any address: an archive's is a signature that opens it."""
    if error.response is not None and not error.response.ok:
        return f"HTTP {error.response.status_code} {error.response.reason}"
    return re.sub(r"\?[^\s'\")]+", "?...", " ".join(str(error).split()))[:300]


def retry_after(response: requests.Response) -> float:
    """Seconds that a server asks to wait (RFC 9110, 10.2.3: a number or a date); 0 where it does not."""
    asked = response.headers.get("Retry-After", "")
    if asked.isdecimal():
        return float(asked)
    date = email.utils.parsedate_tz(asked)
    return 0.0 if date is None else max(0.0, email.utils.mktime_tz(date) - time.time())


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
