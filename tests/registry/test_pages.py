"""The table of models that `ui` opens: its address, and what MLflow's page shows there."""

import contextlib
import json
import os
import pty
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from xraydenoise.__main__ import main
from xraydenoise.registry import pages, store

ROOT = Path(__file__).parents[2]
GAINS = {"autoencoder": -1.0, "dncnn": 2.0, "unet": 10.125}
LEAVES = '#!/bin/sh\necho "$1" > opened.partial\nmv opened.partial opened\n'


@pytest.fixture
def models(project):
    """The project with three models, all timed."""
    Path("logs").mkdir()
    for name in GAINS:
        if name != "dncnn":
            shutil.copytree("artifacts/train/dncnn", f"artifacts/train/{name}")
            shutil.copy("artifacts/curves/dncnn.csv", f"artifacts/curves/{name}.csv")
            project.evaluate(name)
        Path(f"logs/evaluate-{name}.json").write_text(json.dumps({"device": "cpu", "pictures": 2, "seconds_per_image": 0.01234}))
    project.compare({**GAINS, "median": 0.0})
    project.methods = [*(project.method(name) for name in GAINS), project.method("median", learns=False)]
    Path("params.yaml").write_text((ROOT / "params.yaml").read_text().replace("experiment: xraydenoise", "experiment: x"))
    return project


def shown(opened: store.Store) -> tuple[dict, list]:
    """The view that is kept, and the runs that MLflow finds by it, in its order."""
    tags = opened.client.get_experiment(opened.experiment).tags
    view = json.loads(tags["mlflow.sharedViewState.models"])
    order = f"{view['orderByKey']} {'ASC' if view['orderByAsc'] else 'DESC'}"
    return view, list(opened.client.search_runs([opened.experiment], view["searchFilter"], order_by=[order]))


def test_the_address_shows_the_models_alone_best_gain_first_with_a_number_in_every_column(models):
    with store.opened("x") as opened:
        models.mirror(opened)
        address = pages.table(opened, 5000)
        view, found = shown(opened)
    assert address.startswith(f"http://127.0.0.1:5000/#/experiments/{opened.experiment}/runs?viewStateShareKey=models")
    assert [run.info.run_name for run in found] == ["unet", "dncnn", "autoencoder"]
    columns = [re.fullmatch(r"(metrics|tags)\.`(.*)`", column).groups() for column in view["selectedColumns"]]
    told = [(run.data.metrics if kind == "metrics" else run.data.tags)[name] for run in found[:1] for kind, name in columns]
    assert told == [10.12, 9.62, 10.62, 38.12, 0.8, 0.0123, "noise"]


def test_the_address_shows_the_run_of_what_is_in_artifacts_now_also_where_an_outcome_came_back(models):
    with store.opened("x") as opened:
        for gains in (GAINS, {**GAINS, "unet": 3.0}, GAINS):
            models.compare({**gains, "median": 0.0})
            models.mirror(opened)
            pages.table(opened, 5000)
            _, found = shown(opened)
            assert [run.data.metrics["gain"] for run in found if run.info.run_name == "unet"] == [round(gains["unet"], 2)]
        Path("artifacts/compare/report.md").write_text("of a run that is not over")
        pages.table(opened, 5000)
        _, found = shown(opened)
        assert [run.data.metrics["gain"] for run in found if run.info.run_name == "unet"] == [3.0]  # the newest that is


def test_a_port_that_is_taken_or_is_none_is_one_line_with_the_way_out(models, capsys):
    with store.opened("x"), socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for tried, told in ((port, "Address already in use"), (70000, "ports end at 65535")):
            assert main(["ui", "--port", str(tried)]) == 1
            (line,) = capsys.readouterr().err.splitlines()
            assert line.startswith(f"error: port {tried} of 127.0.0.1: {told}; stop what uses it (another `make ui`?)")
            assert re.search(r"`python -m xraydenoise ui --port \d+`$", line)


@pytest.fixture
def terminal():
    """The end of a terminal for a process to write to, and all that was written so far; somebody has to read, or the process waits."""
    reading, writing = pty.openpty()
    said = bytearray()

    def read() -> None:
        with contextlib.suppress(OSError):  # the writers are gone
            while part := os.read(reading, 4096):
                said.extend(part)

    reader = threading.Thread(target=read)
    reader.start()
    yield writing, said
    os.close(writing)
    reader.join()
    os.close(reading)


@pytest.mark.e2e
def test_ui_opens_a_browser_at_a_table_that_shows_every_model_with_its_numbers(models, servers, browser, terminal):
    with store.opened("x") as opened:
        models.mirror(opened)
    Path("leave").write_text(LEAVES)
    Path("leave").chmod(0o755)
    writing, said = terminal
    port, environment = servers.free_port(), {**os.environ, "BROWSER": str(Path("leave").absolute())}
    command = [sys.executable, "-m", "xraydenoise", "ui", "--port", str(port)]
    ends = {"stdin": writing, "stdout": writing, "stderr": writing}
    server = subprocess.Popen(command, **ends, env=environment, start_new_session=True)
    size = browser.get_window_size()
    browser.set_window_size(1366, 1000)  # a small notebook's
    try:
        address = wait(lambda: Path("opened").exists() and Path("opened").read_text().strip())
        assert address in said.decode()
        browser.get(address)
        rows = wait(lambda: browser.execute_script(SEEN))
        browser.save_screenshot("table.png")
        started = [child for child in psutil.Process(server.pid).children() if child.status() != psutil.STATUS_ZOMBIE]
    finally:
        browser.set_window_size(**size)
        os.killpg(server.pid, signal.SIGINT)  # what Ctrl-C does
        server.wait(60)
    head = ["gain", "gain_low", "gain_high", "psnr", "ssim", "seconds"]
    numbers = {
        "unet": ["10.12", "9.62", "10.62", "38.12", "0.8", "0.0123"],
        "dncnn": ["2", "1.5", "2.5", "30", "0.8", "0.0123"],
        "autoencoder": ["-1", "-1.5", "-0.5", "27", "0.8", "0.0123"],
    }
    assert not started  # what would outlive a kill -9 of the server
    assert rows == [[name, dict(zip(head, row, strict=True))] for name, row in numbers.items()]


def wait(ready):
    """What `ready` gives as soon as it gives something, within three minutes: a server starts slowly on a busy machine."""
    latest = time.monotonic() + 180
    while not (found := ready()):
        assert time.monotonic() < latest
        time.sleep(0.2)
    return found


# The numbers on MLflow's page that lie inside the table's frame, by run, from the top; null until they are there.
SEEN = """
const seen = (cell) => {
  const own = cell.getBoundingClientRect(), frame = cell.closest('.ag-center-cols-viewport').getBoundingClientRect();
  return own.left >= frame.left && own.right <= frame.right;
};
const place = (row) => Number(row.getAttribute('row-index'));
const rows = [...document.querySelectorAll('.ag-pinned-left-cols-container .ag-row')].sort((one, other) => place(one) - place(other));
const told = rows.map((row) => {
  const cells = [...document.querySelectorAll(`.ag-center-cols-container .ag-row[row-index="${place(row)}"] [col-id^="metrics."]`)];
  const numbers = cells.filter(seen).map((cell) => [cell.getAttribute('col-id').slice(9, -1), cell.innerText.trim()]);
  return [row.querySelector('a')?.innerText, Object.fromEntries(numbers)];
});
return told.length && told.every(([name, numbers]) => name && Object.keys(numbers).length) ? told : null;
"""
