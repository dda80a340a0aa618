"""The parent run: one a distinct outcome, with what belongs to all methods, and the newest one has them nested under it."""

import json
from pathlib import Path

import pytest

from xraydenoise.registry import mirror, parent, store


def runs(opened: store.Store, name: str) -> list:
    """Those of this name, oldest first."""
    return opened.client.search_runs([opened.experiment], f"run_name = '{name}'", order_by=["attributes.start_time ASC"])


def nested(opened: store.Store, name: str) -> list[str | None]:
    return [run.data.tags.get(parent.NESTED) for run in runs(opened, name)]


def files(opened: store.Store, run: str, folder: str = "") -> set[str]:
    found = opened.client.list_artifacts(run, folder)
    return {file.path for file in found if not file.is_dir}.union(*(files(opened, run, file.path) for file in found if file.is_dir))


def test_the_parent_holds_report_ranking_data_labels_protocols_lock_and_verdict(project):
    Path("dvc.lock").write_text("schema: '2.0'\n")
    with store.opened("x") as opened:
        project.mirror(opened)
        (over,) = runs(opened, "pipeline")
        assert over.data.tags["test_set"] == "0123"
        assert over.data.tags["dvc.lock"]
        assert "dncnn is promoted to champion" in over.data.tags["mlflow.note.content"]
        assert files(opened, over.info.run_id) == {
            "dvc.lock",
            "ranking.csv",
            "report.md",
            "protocols/c.md",
            "data/card.json",
            "data/card.md",
            "data/leakage.json",
            "label/audit.md",
            "verdict.json",
            "verdict.txt",
        }  # and no manifest: the files of a hospital have names
        told = opened.client.download_artifacts(over.info.run_id, "verdict.json")
        assert json.loads(Path(told).read_text())["alias"] == "champion"
        assert nested(opened, "dncnn") == nested(opened, "median (noise)") == [over.info.run_id]
        assert parent.NESTED not in over.data.tags


def test_a_new_outcome_is_a_new_parent_to_which_unchanged_methods_move(project):
    with store.opened("x") as opened:
        project.mirror(opened)
        project.compare({"dncnn": 3.0, "median": 0.0})
        project.mirror(opened)
        first, second = runs(opened, "pipeline")
        assert nested(opened, "dncnn") == nested(opened, "median (noise)") == [second.info.run_id]
        project.compare({"dncnn": 2.0, "median": 0.0})  # as at first
        project.mirror(opened)
        assert nested(opened, "dncnn") == [first.info.run_id]
        assert len(runs(opened, "pipeline")) == 2


def test_a_training_that_is_under_way_is_nested_too(project):
    learning = project.method("dncnn", train={"batch": 8})
    with store.opened("x") as opened:
        project.live(project.curve(1))
        mirror.trainings(opened, [learning])
        project.methods = [learning, project.methods[1]]
        for made in Path("artifacts/train/dncnn").iterdir():
            made.unlink()
        project.mirror(opened)
        (over,) = runs(opened, "pipeline")
        assert [run.info.status for run in runs(opened, "dncnn")] == ["RUNNING"]
        assert nested(opened, "dncnn") == [over.info.run_id]


def test_a_later_verdict_replaces_the_first_but_staying_champion_does_not_hide_why(project):
    def shown() -> str:
        (over,) = runs(opened, "pipeline")
        return Path(opened.client.download_artifacts(over.info.run_id, "verdict.txt")).read_text()

    with store.opened("x") as opened:
        for verdict, expected in (
            (project.verdict("challenger"), "dncnn is challenger"),
            (project.verdict("champion"), "is promoted to champion"),
            (project.verdict("champion", False, "dncnn", "It is the champion already."), "is promoted to champion"),
        ):
            mirror.everything(opened, project.methods, {}, verdict)
            assert expected in shown()


def test_a_parent_that_a_crash_left_half_made_is_finished_by_the_next_call(project, monkeypatch):
    with store.opened("x") as opened:
        with monkeypatch.context() as patch:
            patch.setattr(parent.runs, "finish", lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                project.mirror(opened)
        project.mirror(opened)
        assert [run.info.status for run in runs(opened, "pipeline")] == ["FINISHED"]
