import subprocess
import sys

import pytest

from pipeline import graph


def repro():
    subprocess.run([sys.executable, "-m", "dvc", "repro", "--quiet"], check=True)


def test_a_fresh_project_plans_every_stage_and_each_after_what_it_needs(toy):
    plan = graph.plan()
    assert set(plan.stages) == {"download@first", "download@second", "data.dvc", "ingest", "train@slow", "train@fast"}
    for stage in plan.stages:
        assert all(plan.stages.index(other) < plan.stages.index(stage) for other in plan.upstream[stage])
    assert plan.of_step("prepare") == ["data.dvc", "ingest"]
    assert plan.upstream["train@slow"] == ("ingest",)


def test_a_project_that_is_up_to_date_plans_nothing(toy):
    repro()
    assert graph.plan().stages == ()


def test_a_changed_stage_and_what_follows_it_are_planned_and_nothing_else(toy):
    repro()
    text = (toy / "dvc.yaml").read_text()
    (toy / "dvc.yaml").write_text(text.replace("cat data/*/file > ingested", "cat data/*/file > ingested; echo more >> ingested"))
    assert graph.plan().stages == ("ingest", "train@slow", "train@fast")


def test_a_forced_stage_and_what_follows_it_are_planned_though_nothing_changed(toy):
    repro()
    assert graph.plan(forced=("ingest",)).stages == ("ingest", "train@slow", "train@fast")


def test_no_stage_runs_in_a_step_before_the_one_it_needs(toy):
    text = (toy / "dvc.yaml").read_text()
    (toy / "dvc.yaml").write_text(text + "  degrade:\n    cmd: cp trained_fast noisy\n    deps:\n      - trained_fast\n")
    plan = graph.plan()
    assert plan.step["ingest"] == "prepare"
    assert plan.step["degrade"] == "train"  # by its own name it would be prepared, but it reads what was trained


def test_a_gitignore_that_was_cut_off_is_named_before_dvc_writes_others_into_the_outputs(toy):
    whole = (toy / ".gitignore").read_text()
    (toy / ".gitignore").write_text(whole.removeprefix("/downloads\n"))
    with pytest.raises(ValueError, match=r"^.gitignore: does not name downloads/first or its folder, which DVC"):
        graph.plan()
    (toy / ".gitignore").write_text(whole)
    assert graph.plan().stages
