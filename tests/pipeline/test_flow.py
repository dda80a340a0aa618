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
    lock.order(toy / ".prefect" / "before", plan.order)
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


def test_a_stage_that_fails_stops_the_flow_with_its_name_and_last_words(toy, checked):
    (toy / "dvc.yaml").write_text((toy / "dvc.yaml").read_text().replace("cat data/*/file > ingested", "echo no such thing >&2; exit 1"))
    with pytest.raises(command.StageError, match=r"(?s)single-item ingest.*no such thing"):
        flow.run(checked, graph.plan())
    assert not (toy / "trained_fast").exists()


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
