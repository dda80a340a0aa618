"""The parent run: one a distinct outcome, with what belongs to all methods, and a run of each nested under it."""

import dataclasses
import hashlib
import json
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from xraydenoise.registry import mirror, parent, store
from xraydenoise.registry.runs import DIFFERENCES, decided


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
            "cost.csv",
            "detectability.csv",
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


def test_the_parent_shows_the_pipelines_params_the_splits_and_how_the_chosen_model_does_on_test(project):
    with store.opened("x") as opened:
        assert {"pipeline: 5 params", "pipeline: 34 metrics"} <= set(project.mirror(opened))
        (over,), (chosen,) = runs(opened, "pipeline"), runs(opened, "dncnn")
    assert over.data.params == {
        "seed": "7",
        "chosen": "dncnn",
        "data.datasets": "chests + inbox",
        "data.test.identity": "0123",
        "data.test.patients": "2",
    }
    assert over.data.metrics == {key: value for key, value in chosen.data.metrics.items() if key.startswith("test/")}
    assert (over.data.metrics["test/all/gain_psnr_low"], over.data.metrics["test/gaussian_10/dprime"]) == (1.5, 5.0)


def test_a_new_outcome_is_a_new_parent_with_runs_of_its_own(project):
    with store.opened("x") as opened:
        project.mirror(opened)
        project.compare({"dncnn": 3.0, "median": 0.0})
        project.mirror(opened)
        parents = [run.info.run_id for run in runs(opened, "pipeline")]
        assert len(set(parents)) == 2
        assert nested(opened, "dncnn") == nested(opened, "median (noise)") == parents


def test_a_training_that_is_under_way_belongs_to_no_pipeline_run_before_it_has_ended(project):
    learning = project.method("dncnn", train={"batch": 8})
    with store.opened("x") as opened:
        project.live(project.curve(1))
        for made in Path("artifacts/train/dncnn").iterdir():
            made.unlink()
        mirror.trainings(opened, [learning])
        project.methods = [learning, project.methods[1]]
        project.mirror(opened)
        assert [run.info.status for run in runs(opened, "dncnn")] == ["RUNNING"]
        assert nested(opened, "dncnn") == [None]
        project.train()
        project.mirror(opened)
        assert [run.info.status for run in runs(opened, "dncnn")] == ["FINISHED"]
        assert nested(opened, "dncnn") == [run.info.run_id for run in runs(opened, "pipeline")]


def test_all_runs_of_an_outcome_tell_the_lock_that_their_parent_holds(project):
    with store.opened("x") as opened:
        with project.learning(rows=3):
            mirror.trainings(opened, project.methods)
        Path("dvc.lock").write_text("after the training")
        mirror.trainings(opened, project.methods)
        Path("dvc.lock").write_text("as register finds it")
        project.mirror(opened)
        (over,) = runs(opened, "pipeline")
        held = Path(opened.client.download_artifacts(over.info.run_id, "dvc.lock")).read_bytes()
        told = {run.data.tags["dvc.lock"] for name in ("pipeline", "dncnn", "median (noise)") for run in runs(opened, name)}
    assert (held, told) == (b"as register finds it", {hashlib.sha256(held).hexdigest()})


def test_the_differences_to_the_champion_stand_beside_the_verdict_they_belong_to(project):
    differences = decided("noise") / DIFFERENCES
    differences.parent.mkdir(parents=True)
    with store.opened("x") as opened:
        for table, kept in (("condition\na\n", True), ("condition\nb\n", True), (None, False)):
            differences.write_text(table) if table else differences.unlink()
            mirror.everything(opened, project.methods, {}, [project.verdict("challenger")], {})
            (over,) = runs(opened, "pipeline")
            assert ("champion_differences.csv" in files(opened, over.info.run_id)) is kept
            if table:
                assert Path(opened.client.download_artifacts(over.info.run_id, "champion_differences.csv")).read_text() == table


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
            mirror.everything(opened, project.methods, {}, [verdict], {})
            assert expected in shown()


def test_the_verdict_on_another_track_has_a_folder_of_its_own_and_the_description_stays_that_of_noise(project):
    other = dataclasses.replace(project.verdict("challenger"), track="enhanced")
    table = decided("enhanced") / DIFFERENCES
    table.parent.mkdir(parents=True)
    table.write_text("condition\na\n")
    with store.opened("x") as opened:
        for verdicts in ([project.verdict(), other], [project.verdict("champion", promoted=False), other]):
            said = mirror.everything(opened, project.methods, {}, verdicts, {})
        assert not [line for line in said if "verdict" in line]
        table.unlink()
        mirror.everything(opened, project.methods, {}, [project.verdict(), other], {})
        (over,) = runs(opened, "pipeline")
        assert {"verdict.json", "verdict.txt", "enhanced/verdict.json", "enhanced/verdict.txt"} <= (
            found := files(opened, over.info.run_id)
        )
        assert not [file for file in found if file.endswith(DIFFERENCES)]
        assert "dncnn is promoted to champion of track noise" in over.data.tags["mlflow.note.content"]
        told = opened.client.download_artifacts(over.info.run_id, "enhanced/verdict.json")
        assert json.loads(Path(told).read_text())["track"] == "enhanced"


@pytest.mark.parametrize(("conditions", "whole"), [(2, True), (300, False)])
def test_the_description_keeps_reasons_and_warnings_however_many_conditions_there_are(project, conditions, whole):
    short = project.verdict()
    checks = [short.checks[0]._replace(condition=f"gaussian_{number}") for number in range(conditions)]
    verdict = dataclasses.replace(short, checks=tuple(checks))
    with store.opened("x") as opened:
        mirror.everything(opened, project.methods, {}, [verdict], {})
        (over,) = runs(opened, "pipeline")
    note = over.data.tags["mlflow.note.content"]
    lines = note.splitlines()
    assert lines[:4] == ["```", "dncnn is promoted to champion of track noise", "dncnn is champion.", "Warning: Few patients."]
    assert lines[-1] == "```"
    assert len(note) <= 8000
    assert (lines[-2] != "... verdict.txt has the rest") is whole
    assert set(lines[5 : -1 if whole else -2]) <= set(verdict.table().splitlines())  # no line is cut
    assert ("gaussian_1 " in note, f"gaussian_{conditions - 1} " in note) == (True, whole)


def test_a_parent_that_a_crash_left_half_made_is_finished_by_the_next_call(project, monkeypatch):
    with store.opened("x") as opened:
        with monkeypatch.context() as patch:
            patch.setattr(parent.runs, "finish", lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                project.mirror(opened)
        project.mirror(opened)
        assert [run.info.status for run in runs(opened, "pipeline")] == ["FINISHED"]


def test_a_reason_that_has_a_fence_does_not_end_the_block_of_the_description(project):
    note = parent._note(project.verdict("champion", None, "dncnn", "````", "![p](http://x.invalid/p.png)"))
    tokens = MarkdownIt("commonmark").parse(note)
    assert [token.type for token in tokens] == ["fence"]
    assert "![p](http://x.invalid/p.png)" in tokens[0].content
