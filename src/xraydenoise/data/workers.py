"""Work on many items in worker processes, a few at a time and in order; one that dies or hangs twice costs its own item and no other."""

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import TimeoutError as TimedOut
from dataclasses import dataclass
from typing import TypeVar

import cv2
from pebble import ProcessExpired, ProcessFuture, ProcessPool

from xraydenoise import leash
from xraydenoise.data.picture import MEMORY

CRASH, TIMEOUT = "crash", "timeout"
AHEAD = 4  # items a worker that wait for it or whose result waits for its turn, so that no core stands idle

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Lost:
    """An item whose worker gave no result."""

    reason: str  # CRASH, MEMORY or TIMEOUT
    detail: str


def cores() -> int:
    """The CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def each(function: Callable[[Item], Result], items: Iterable[Item], workers: int, time_limit: float) -> Iterator[Result | Lost]:
    """`function` of each item, in order; an item is taken from `items` only when at most `AHEAD` a worker are on their way.

    `function` stands at the top of a module, as spawned processes find it by its name, and must not raise: what it raises is raised here.
    `time_limit`: seconds for one item.
    """
    waiting: deque[tuple[Item, ProcessFuture[Result]]] = deque()

    def outcome(item: Item, future: "ProcessFuture[Result]") -> Result | Lost:
        found = _outcome(future.result, time_limit)
        if isinstance(found, Lost):  # once more, as a worker may have been killed for want of memory, and not by its item
            found = _outcome(pool.schedule(function, (item,), timeout=time_limit).result, time_limit)
        return found

    # Spawned, not forked: threads of the caller (torch, Prefect) may hold locks that a fork would copy.
    with ProcessPool(workers, initializer=_alone, context=multiprocessing.get_context("spawn")) as pool:
        try:
            for item in items:
                waiting.append((item, pool.schedule(function, (item,), timeout=time_limit)))
                if len(waiting) >= AHEAD * workers:
                    yield outcome(*waiting.popleft())
            while waiting:
                yield outcome(*waiting.popleft())
        finally:  # the caller may leave early
            for _, future in waiting:
                future.cancel()  # type: ignore[no-untyped-call]


def _alone() -> None:
    """A worker is one thread of one core, and dies with its parent."""
    leash.tie_to_parent()
    cv2.setNumThreads(1)


def _outcome(result: Callable[[], Result], time_limit: float) -> Result | Lost:
    try:
        return result()
    except TimedOut:
        return Lost(TIMEOUT, f"took more than {time_limit:g} s")
    except ProcessExpired as expired:
        if expired.exitcode == -signal.SIGKILL:
            return Lost(MEMORY, "its process was killed twice, as systems do where memory runs out")
        return Lost(CRASH, f"its process died with exit code {expired.exitcode}")
