"""Progress that fits where it is read: a bar on a terminal, a plain line every few seconds in a log."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

Item = TypeVar("Item")

PLAIN_EVERY = 10.0  # seconds between lines where there is no terminal


def progress(items: Iterable[Item], what: str, total: int, done: int = 0) -> Iterator[Item]:
    """Yield `items`, saying how far it is: `done` of `total` were there before the first (a resumed run)."""
    if sys.stderr.isatty():
        yield from tqdm(items, desc=what, total=total, initial=done, file=sys.stderr, leave=True)
        return
    start = said = time.monotonic()
    for count, item in enumerate(items, start=done + 1):
        yield item
        now = time.monotonic()
        if now - said >= PLAIN_EVERY or count == total:
            left = (now - start) / (count - done) * (total - count)
            print(f"{what}: {count}/{total}, {now - start:.0f} s, about {left:.0f} s left", file=sys.stderr, flush=True)
            said = now


def say(line: str) -> None:
    """A line on stderr, above the bar where there is one."""
    tqdm.write(line, file=sys.stderr)
