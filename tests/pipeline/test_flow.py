import logging
import subprocess
import sys
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client

from pipeline import command, flow, graph, lock
from xraydenoise import params
from xraydenoise.registry import store

pytestmark = pytest.mark.usefixtures("prefect_server")


@pytest.fixture(scope="module")
def checked():
    """The project's own params, with two slots and quick retries."""
    whole = params.load(Path(__file__).parents[2] / "params.yaml")
    kaggle = params.load(Path(__file__).parents[2] / "profiles" / "full.yaml").datasets[
        "chest_xray_pneumonia"
    ]  # downloads from afar are tried again
    machine = whole.machine.model_copy(update={"threads": 1, "device": "cpu"})
    return whole.model_copy(
        update={
            "machine": machine,
            "datasets": {"first": kaggle, "second": kaggle},
            "pipeline": whole.pipeline.model_copy(update={"retry_delay": 0.1}),
        }
    )


def test_the_flow_and_a_plain_dvc_repro_write_the_same_lock(toy, checked):
    plan = graph.plan()
    lock.keep(toy / ".prefect" / "before")
    flow.run(checked, plan)
    lock.order(toy / ".prefect" / "before", plan.order, completed=True)
    by_flow = [(toy / name).read_bytes() for name in ("dvc.lock", "data.dvc")]
    (toy / "dvc.lock").unlink()
    subprocess.run([sys.executable, "-m", "dvc", "repro", "--quiet", "--force"], check=True)
    assert [(toy / name).read_bytes() for name in ("dvc.lock", "data.dvc")] == by_flow
    assert graph.plan().stages == ()


def test_a_forced_stage_runs_again_though_nothing_changed_and_the_lock_stays(toy, checked):
    flow.run(checked, graph.plan())
    before = (toy / "dvc.lock").read_bytes()
    (toy / "trained_fast").unlink()
    (toy / "trained_fast").write_bytes((toy / "ingested").read_bytes())
    written = (toy / "trained_fast").stat().st_mtime_ns
    flow.run(checked, graph.plan(forced=("train@fast",)))
    assert (toy / "trained_fast").stat().st_mtime_ns > written
    assert (toy / "dvc.lock").read_bytes() == before


def test_a_download_that_fails_at_first_is_tried_again(toy, checked):
    flaky = "test -e tried || { touch tried; echo the server is down; exit 1; }; mkdir -p"
    (toy / "dvc.yaml").write_text((toy / "dvc.yaml").read_text().replace("cmd: mkdir -p", f"cmd: {flaky}"))
    flow.run(checked, graph.plan())
    assert graph.plan().stages == ()


class Heard(logging.Handler):
    """What Prefect logs of tasks and flows."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    def naming(self, words: str) -> list[str]:
        return [record.getMessage() for record in self.records if words in record.getMessage()]


@pytest.fixture
def heard():
    handler, loggers = Heard(), [logging.getLogger(name) for name in ("prefect.task_runs", "prefect.flow_runs")]
    for logger in loggers:
        logger.addHandler(handler)
    yield handler
    for logger in loggers:
        logger.removeHandler(handler)


def test_a_stage_that_fails_stops_the_flow_with_its_name_and_last_line(toy, checked, heard):
    (toy / "dvc.yaml").write_text((toy / "dvc.yaml").read_text().replace("cat data/*/file > ingested", "echo no such thing >&2; exit 1"))
    with pytest.raises(command.StageError, match=r"^stage ingest: ended with exit code 1: no such thing$"):
        flow.run(checked, graph.plan())
    assert not (toy / "trained_fast").exists()
    assert heard.naming("no such thing")[0] == "no such thing"
    assert all("Finished in state" in line and "\n" not in line for line in heard.naming("no such thing")[1:])
    assert not [record for record in heard.records if record.exc_info]


def test_of_two_stages_that_fail_at_once_each_is_named(toy, checked):
    (toy / "dvc.yaml").write_text((toy / "dvc.yaml").read_text().replace("cp ingested trained_${item}", "echo no ${item}; exit 1"))
    with pytest.raises(command.StageError, match=r"^stage train@slow: .*: no slow\nstage train@fast: .*: no fast$"):
        flow.run(checked, graph.plan())


def test_a_download_that_never_succeeds_is_told_in_a_line_an_attempt(toy, checked, heard):
    (toy / "dvc.yaml").write_text((toy / "dvc.yaml").read_text().replace("cmd: mkdir -p", "cmd: echo the server is down; exit 1; mkdir -p"))
    with pytest.raises(
        command.StageError, match=r"^stage download@first: ended with exit code 1: the server is down\nstage download@second"
    ):
        flow.run(checked, graph.plan())
    told = heard.naming("the server is down")
    attempts = checked.pipeline.retries + 1
    assert told.count("the server is down") == 2 * attempts
    assert len([line for line in told if "will start" in line]) == 2 * checked.pipeline.retries
    assert not [line for line in told if "\n" in line and "Flow run" not in line]
    assert not [record for record in heard.records if record.exc_info]


def test_what_dvc_itself_refuses_is_told(toy, checked):
    (toy / "dvc.yaml").write_text((toy / "dvc.yaml").read_text().replace("cat data/*/file > ingested", "echo done"))
    with pytest.raises(command.StageError, match=r"^stage ingest: .*: output 'ingested' does not exist$"):
        flow.run(checked, graph.plan())


def test_a_flow_that_failed_and_one_that_completed_leave_the_lock_of_dvc_repro(toy, checked):
    text, kept = (toy / "dvc.yaml").read_text(), toy / ".prefect" / "before"
    (toy / "dvc.yaml").write_text(text.replace("test ${item} = fast ||", "test ${item} = fast || exit 1;"))  # slow is the first
    lock.keep(kept)
    plan = graph.plan()
    with pytest.raises(command.StageError):
        flow.run(checked, plan)
    lock.order(kept, plan.order, completed=False)
    assert "train@fast" in (toy / "dvc.lock").read_text()
    (toy / "dvc.yaml").write_text(text)
    lock.keep(kept)
    plan = graph.plan()
    flow.run(checked, plan)
    lock.order(kept, plan.order, completed=True)
    by_flow = (toy / "dvc.lock").read_bytes()
    (toy / "dvc.lock").unlink()
    subprocess.run([sys.executable, "-m", "dvc", "repro", "--quiet"], check=True)
    assert (toy / "dvc.lock").read_bytes() == by_flow


def test_runs_that_a_killed_flow_left_behind_are_closed_at_the_next_start_and_no_others(toy, checked):
    from prefect import flow as prefect_flow
    from prefect.states import Running

    @prefect_flow
    def killed() -> None: ...

    with get_client(sync_client=True) as client:
        left = client.create_flow_run(killed, state=Running(), tags=[store.project()])
        others = client.create_flow_run(killed, state=Running(), tags=["another project"])
        flow.close_crashed()
        assert client.read_flow_run(left.id).state.is_crashed()
        assert client.read_flow_run(others.id).state.is_running()


def test_every_run_of_a_flow_and_of_its_steps_is_known_as_this_project_s(toy, checked):
    with get_client(sync_client=True) as client:
        before = {run.id for run in client.read_flow_runs()}
        flow.run(checked, graph.plan())
        runs = [run for run in client.read_flow_runs() if run.id not in before]
    assert len(runs) == 4  # the parent, download, prepare, train
    assert {tuple(run.tags) for run in runs} == {(store.project(),)}
