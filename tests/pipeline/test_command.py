import os
import signal
import sys
import threading
import time

import psutil
import pytest

from pipeline import command


def test_lines_are_handed_on_as_they_are_printed():
    lines: list[str] = []
    command.run("train", [sys.executable, "-c", "print('one'); print(); print('two')"], 20, lines.append, command.environment())
    assert lines == ["one", "two"]


def test_a_failing_stage_is_named_with_its_exit_code_and_last_line():
    script = "print('before'); print('error: the reason'); raise SystemExit(3)"
    with pytest.raises(command.StageError, match=r"^stage train: ended with exit code 3: the reason$"):
        command.run("train", [sys.executable, "-c", script], 20, lambda _: None, command.environment())


def test_a_stage_that_fails_without_a_word_is_named_with_its_exit_code():
    with pytest.raises(command.StageError, match=r"^stage train: ended with exit code 3$"):
        command.run("train", [sys.executable, "-c", "raise SystemExit(3)"], 20, lambda _: None, command.environment())


def test_at_the_time_limit_the_whole_process_group_is_killed(tmp_path):
    child = tmp_path / "child"
    script = f"sleep 60 & echo $! > {child}; echo begun; wait"
    begun = time.monotonic()
    with pytest.raises(command.StageError, match=r"^stage train: killed at its time limit of 0.0166667 minutes"):
        command.run("train", ["sh", "-c", script], 1, lambda _: None, command.environment())
    assert time.monotonic() - begun < 15
    assert _gone(int(child.read_text()))


def test_the_interpreter_of_the_flow_is_the_python_of_its_stages():
    lines: list[str] = []
    command.run("train", ["python", "-c", "import sys; print(sys.prefix)"], 20, lines.append, command.environment())
    assert lines == [sys.prefix]


@pytest.fixture
def ending(monkeypatch):
    """A flow that may be asked to end: the test's process is not ended when that takes long, and later stages begin again."""
    timers = []

    class Timer(threading.Timer):
        def start(self) -> None:
            timers.append((self.interval, self.function, self.args))

    yield lambda: monkeypatch.setattr(command.threading, "Timer", Timer) or timers
    command.ENDING.clear()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_what_runs_and_then_the_flow_and_nothing_begins_any_more(tmp_path, ending, number):
    child = tmp_path / "child"
    script = f"sleep 60 & echo $! > {child}; echo begun; wait"
    failed: list[BaseException] = []

    def stage() -> None:
        try:
            command.run("train", ["sh", "-c", script], 60, lambda _: None, command.environment())
        except command.StageError as error:
            failed.append(error)

    thread = threading.Thread(target=stage)
    thread.start()
    while not (child.exists() and child.read_text()):
        time.sleep(0.02)
    timers = ending()
    with pytest.raises(command.Ended) as ended:
        command.interrupt(number, None)
    assert ended.value.code == 128 + number
    assert timers == [(command.GRACE, os._exit, (128 + number,))]  # where what waits in a thread would keep it from ending
    thread.join(timeout=60)
    assert failed
    assert _gone(int(child.read_text()))
    with pytest.raises(command.StageError, match="not begun"):
        command.run("train", ["true"], 60, lambda _: None, command.environment())


def test_what_nohup_ignores_stays_ignored():
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # which pytest's workers ignore
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        command.heed_signals()
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
        assert signal.getsignal(signal.SIGTERM) == signal.getsignal(signal.SIGINT) == command.interrupt
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _gone(number: int) -> bool:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if not psutil.pid_exists(number) or psutil.Process(number).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False
