import os
from pathlib import Path

import pytest

from xraydenoise.data.workers import AHEAD, Lost, cores, each


def test_results_come_in_the_order_of_the_items() -> None:
    assert list(each(abs, [-3, 2, -1, 0], workers=2, time_limit=30)) == [3, 2, 1, 0]


def test_no_item_needs_no_worker() -> None:
    assert list(each(abs, [], workers=2, time_limit=30)) == []


def test_an_item_that_kills_its_process_or_hangs_is_lost_alone() -> None:
    items = ["1 + 1", "__import__('os').abort()", "2 + 2", "__import__('time').sleep(60)", "3 + 3"]
    found = list(each(eval, items, workers=2, time_limit=15))
    assert found == [2, Lost("crash", "its process died with exit code -6"), 4, Lost("timeout", "took more than 15 s"), 6]


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_an_item_whose_process_is_killed_twice_found_no_memory() -> None:
    (found,) = each(eval, ["__import__('os').kill(__import__('os').getpid(), 9)"], workers=1, time_limit=30)
    assert found == Lost("memory", "its process was killed twice, as systems do where memory runs out")


def test_a_worker_that_was_killed_from_outside_costs_nothing(tmp_path: Path) -> None:
    """An item dies at its first attempt alone, as one does where memory runs out because of others."""
    mark = tmp_path / "tried"
    item = f"7 if __import__('os').path.exists({str(mark)!r}) else (open({str(mark)!r}, 'w').close(), __import__('os').abort())"
    assert list(each(eval, ["1", item, "2"], workers=2, time_limit=30)) == [1, 7, 2]


def test_workers_use_one_thread_and_end_with_the_pool() -> None:
    threads = "(__import__('cv2').getNumThreads(), __import__('os').getpid())"
    ((count, process),) = each(eval, [threads], workers=1, time_limit=30)
    assert count == 1
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def test_few_items_are_taken_ahead_however_slowly_results_are() -> None:
    taken: list[int] = []

    def items():
        for number in range(30):
            taken.append(number)
            yield number

    for done, _ in enumerate(each(abs, items(), workers=2, time_limit=30), start=1):
        assert len(taken) <= done + 2 * AHEAD
    assert len(taken) == 30


def test_what_the_function_raises_is_raised() -> None:
    with pytest.raises(TypeError, match="bad operand"):
        list(each(abs, ["x"], workers=1, time_limit=30))


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system ties no process to a CPU")
def test_only_the_cpus_that_the_process_may_use_count() -> None:
    allowed = os.sched_getaffinity(0)
    assert cores() == len(allowed)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        assert cores() == 1
    finally:
        os.sched_setaffinity(0, allowed)
