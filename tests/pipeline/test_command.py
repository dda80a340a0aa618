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


def test_ctrl_c_ends_what_runs_and_then_the_flow(tmp_path):
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
    with pytest.raises(KeyboardInterrupt):
        command.interrupt(2, None)
    thread.join(timeout=60)
    assert failed
    assert _gone(int(child.read_text()))


def _gone(number: int) -> bool:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if not psutil.pid_exists(number) or psutil.Process(number).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False
