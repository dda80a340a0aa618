"""An archive over HTTP: resumed where it was cut, retried with patience, checked by the server's hash, there whole or not at all."""

import base64
import email.utils
import hashlib
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, BinaryIO

import requests

from xraydenoise.progress import progress

MEBIBYTE = 1 << 20
CHUNK = 1 << 14  # bytes; at most so many are lost where a transfer is cut
TIMEOUT = (10.0, 60.0)  # seconds to connect, and without a byte
WAITS = (2.0, 8.0, 30.0, 60.0)  # seconds before each further attempt; an attempt that got further than any before starts them again
LONGEST = 300.0  # seconds; a server that asks for more is not waited for
PASSING = frozenset({408, 416, 429, 500, 502, 503, 504})  # HTTP states that a later attempt may find gone
RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)")
MD5 = re.compile(r"md5=([\w+/=]+)")  # in x-goog-hash, base64

Opened = Callable[[int], AbstractContextManager[requests.Response]]  # asks for the bytes from there on


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


def download(path: Path, name: str, opened: Opened, refusal: Callable[[int], str | None]) -> None:
    """Put the archive that `opened` answers with at `path`; what has arrived lies in `path`.partial and is not asked for again.

    `refusal` tells what to do about an HTTP state that no further attempt mends, or None. Raises ConnectionError where the server refuses
    or no attempt succeeds, and OSError where the disk has no room, each one line that starts with `name`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    furthest, waits = _size(partial), list(WAITS)
    while True:
        try:
            attempt(partial, name, opened)
            break
        except requests.RequestException as error:
            answer = error.response if error.response is not None and not error.response.ok else None
            if answer is not None and (advice := refusal(answer.status_code)):
                raise ConnectionError(f"{name}: {advice}") from error
            if answer is not None and answer.status_code == 416:  # more is there than the archive has: another file's
                partial.unlink(missing_ok=True)
            if (reached := _size(partial)) > furthest:
                furthest, waits = reached, list(WAITS)
            reason, asked = told(error), 0.0 if answer is None else retry_after(answer)
            if not waits or asked > LONGEST or (answer is not None and answer.status_code not in PASSING):
                until = f" and asks to wait {asked:.0f} s" if asked else ""
                raise ConnectionError(f"{name}: download failed: {reason}{until}; run again later, it goes on where it stopped") from error
            wait = max(waits.pop(0), asked)
            print(f"{name}: {reason}; next attempt in {wait:g} s", flush=True)
            time.sleep(wait)
    with partial.open("rb") as file:
        print(f"{name}: {_size(partial) / 1e6:.1f} MB, sha256 {hashlib.file_digest(file, 'sha256').hexdigest()}", flush=True)
    partial.replace(path)


def attempt(partial: Path, name: str, opened: Opened) -> None:
    """Complete `partial` once. Raises requests.RequestException; what arrived stays, unless its hash shows that it is wrong."""
    asked = max(0, _size(partial) - 1)  # the last byte once more, so that a whole file is no special case
    digest = hashlib.md5(usedforsecurity=False)
    with opened(asked) as response:
        start, total = place(response, asked)
        missing, free = total - start, shutil.disk_usage(partial.parent).free
        if missing + total > free:
            need = f"{missing / 1e6:.0f} MB to download and at least {total / 1e6:.0f} MB to unpack"
            raise OSError(f"{name}: needs {need}, but {partial.parent} has {free / 1e6:.0f} MB free; make room, run again")
        with partial.open("r+b" if start else "wb") as file:
            while file.tell() < start:
                digest.update(file.read(min(MEBIBYTE, start - file.tell())))
            written = write(response, file, digest)
            for _ in progress(written, f"{name}, MiB", total=total // MEBIBYTE, done=start // MEBIBYTE):
                pass
        expected = MD5.search(response.headers.get("x-goog-hash", ""))
    found = base64.b64encode(digest.digest()).decode()
    if expected is not None and expected[1] != found:
        partial.unlink()
        raise requests.RequestException(f"arrived with md5 {found}, the server gives {expected[1]}; what arrived is deleted")


def place(response: requests.Response, asked: int) -> tuple[int, int]:
    """Where the body's first byte stands in the file, and the bytes of the whole file. Raises requests.RequestException."""
    if response.status_code == requests.codes.partial_content:
        found = RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if found is None or int(found[1]) != asked:
            raise requests.RequestException(f"asked for the bytes from {asked} on, the server sends others")
        return asked, int(found[2])
    if "Content-Length" not in response.headers:
        raise requests.RequestException("the server does not say how long the archive is")
    return 0, int(response.headers["Content-Length"])


def write(response: requests.Response, file: BinaryIO, digest: Any) -> Iterator[None]:
    """Append the body to `file` and `digest`; yields whenever another MiB of the file is full."""
    for chunk in response.iter_content(CHUNK):
        file.write(chunk)
        digest.update(chunk)
        if file.tell() % MEBIBYTE < len(chunk):
            yield


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
