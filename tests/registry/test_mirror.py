"""The mirror: one run a recipe, found again and never logged twice, whatever happened in between."""

import hashlib
import json
from pathlib import Path

import pandas as pd
import pytest

from xraydenoise.registry import mirror, store


def shown(opened: store.Store) -> dict[str, list]:
    """Runs by name, oldest first."""
    found: dict[str, list] = {}
    for run in opened.client.search_runs([opened.experiment], order_by=["attributes.start_time ASC"]):
        found.setdefault(run.info.run_name, []).append(run)
    return found


def curve(opened: store.Store, run, key: str = "loss") -> list[tuple[int, float]]:
    return [(point.step, point.value) for point in opened.client.get_metric_history(run.info.run_id, f"curve/{key}")]


def test_a_finished_project_becomes_a_run_a_method_under_one_of_the_pipeline(project):
    Path("logs").mkdir()
    system = {"cpu_utilization_percentage": 93.5, "gpu_0_memory_usage_megabytes": 512}
    Path("logs/train-dncnn.json").write_text(json.dumps({"seconds": 12.5, "device": "cpu", "resumed": False, "system": system}))
    Path("dvc.lock").write_text("schema: '2.0'\n")
    with store.opened("x") as opened:
        project.mirror(opened)
        found = shown(opened)
        assert {name: [run.info.status for run in runs] for name, runs in found.items()} == {
            "pipeline": ["FINISHED"],
            "dncnn": ["FINISHED"],
            "median (noise)": ["FINISHED"],
        }
        (trained,) = found["dncnn"]
        assert trained.data.params["model.steps"] == "30"
        assert trained.data.params["model.network.kind"] == "dncnn"
        assert trained.data.tags["track"] == "noise"
        assert trained.data.tags["dvc.lock"] == hashlib.sha256(b"schema: '2.0'\n").hexdigest()
        assert trained.data.metrics["test/all/gain_psnr"] == 2.0
        assert trained.data.metrics["test/gaussian_10/gain_psnr_low"] == 1.5
        assert trained.data.metrics["test/gaussian_10/psnr_high"] == 31.0
        assert trained.data.metrics["val/gaussian_10/ms_ssim"] == 0.9
        assert trained.data.metrics["time/train/seconds"] == 12.5
        assert trained.data.metrics["system/cpu_utilization_percentage"] == 93.5
        assert trained.data.metrics["system/gpu_0_memory_usage_megabytes"] == 512
        assert not [key for key in trained.data.metrics if key.startswith("time/train/system") or key == "time/train/resumed"]
        assert curve(opened, trained) == [(10, 0.5), (20, 0.25), (30, 0.125)]
        assert curve(opened, trained, "val_target_psnr") == [(20, 21.5)]


def test_a_run_shows_faint_discs_cost_and_what_val_chose(project):
    with store.opened("x") as opened:
        project.mirror(opened)
        (trained,), (median,) = shown(opened)["dncnn"], shown(opened)["median (noise)"]
    discs = {key: value for key, value in trained.data.metrics.items() if key.split("/")[-1] in ("dprime", "cnr", "bias2", "variance")}
    found = {"dprime": 5.0, "cnr": 1.5, "bias2": 1e-5, "variance": 2e-4}
    assert discs == {f"test/gaussian_10/{key}": value for key, value in found.items()}
    assert not [key for key in trained.data.metrics if "dprime_" in key]  # a single picture has no interval
    assert (trained.data.metrics["cost/parameters"], trained.data.metrics["cost/mflop_per_pixel"]) == (229, 0.5)
    assert median.data.metrics["test/gaussian_10/dprime"] == 3.0
    assert not [key for key in median.data.metrics if key.startswith("cost/")]
    assert median.data.params["setting.gaussian_10"] == "size=5"
    assert not [key for key in trained.data.params if key.startswith("setting")]


def test_numbers_that_a_finished_run_lacks_are_added_to_it(project):
    discs = Path("artifacts/compare/detectability.csv")
    with store.opened("x") as opened:
        project.mirror(opened)
        (run,) = shown(opened)["dncnn"]
        opened.client.log_metric(run.info.run_id, "test/gaussian_10/dprime", 0.0)
        assert project.mirror(opened) == ["dncnn: 1 metrics"]
        assert shown(opened)["dncnn"][0].data.metrics["test/gaussian_10/dprime"] == 5.0
        table = pd.read_csv(discs).assign(dprime_low=4.0, dprime_high=6.0)
        table.to_csv(discs, index=False)
        project.mirror(opened)
        first, second = shown(opened)["dncnn"]  # another outcome has runs of its own
        assert "test/gaussian_10/dprime_low" not in first.data.metrics
        assert second.data.metrics["test/gaussian_10/dprime_low"] == 4.0


def test_the_dataset_card_is_the_dataset_of_every_run(project):
    with store.opened("x") as opened:
        project.mirror(opened)
        datasets = [used.dataset for runs in shown(opened).values() for run in runs for used in run.inputs.dataset_inputs]
        assert [(used.name, used.digest) for used in datasets] == [("chests + inbox", "c0ffee")] * 3
        assert json.loads(datasets[0].profile)["pictures"] == 12


def test_mirroring_again_logs_nothing(project):
    with store.opened("x") as opened:
        assert project.mirror(opened, project.shown()) != []
        first = snapshot(opened)
        for _ in range(3):
            assert project.mirror(opened, project.shown()) == []
            assert mirror.trainings(opened, project.methods) == []
        assert snapshot(opened) == first


def snapshot(opened: store.Store) -> list:
    found = [run for runs in shown(opened).values() for run in runs]
    return [(run.info.run_id, run.info.status, run.data.to_dictionary(), curve(opened, run)) for run in found]


def test_a_training_is_live_and_the_same_run_finishes(empty):
    with store.opened("x") as opened:
        empty.live(empty.curve(1))
        mirror.trainings(opened, empty.methods)
        (run,) = shown(opened)["dncnn"]
        assert (run.info.status, curve(opened, run)) == ("RUNNING", [(10, 0.5)])
        empty.live(empty.curve(2) + "30,0.1")
        mirror.trainings(opened, empty.methods)
        assert curve(opened, run) == [(10, 0.5), (20, 0.25)]
        Path("work/train/dncnn/history.csv").unlink()
        empty.train()
        mirror.trainings(opened, empty.methods)
        (ended,) = shown(opened)["dncnn"]
        assert (ended.info.run_id, ended.info.status, len(curve(opened, ended))) == (run.info.run_id, "FINISHED", 3)


def test_what_an_older_training_left_is_not_taken_for_the_current_one(project):
    with store.opened("x") as opened:
        project.mirror(opened)
        changed = [project.method("dncnn", train={"batch": 8}), project.methods[1]]
        assert mirror.trainings(opened, changed) == []
        assert len(shown(opened)["dncnn"]) == 1


def test_runs_that_a_crash_left_are_closed_once_their_recipe_is_gone(empty):
    with store.opened("x") as opened:
        empty.live(empty.curve(2))
        mirror.trainings(opened, empty.methods)
        mirror.trainings(opened, empty.methods)
        assert [run.info.status for run in shown(opened)["dncnn"]] == ["RUNNING"]  # it may be resumed
        mirror.trainings(opened, [empty.method("dncnn", train={"batch": 8})])
        assert [run.info.status for run in shown(opened)["dncnn"]] == ["KILLED", "RUNNING"]


def test_an_attempt_that_was_thrown_away_does_not_mix_with_the_next(empty):
    with store.opened("x") as opened:
        empty.live(empty.curve(2))
        mirror.trainings(opened, empty.methods)
        empty.live(empty.curve(1).replace("0.5", "0.75"))
        mirror.trainings(opened, empty.methods)
        first, second = shown(opened)["dncnn"]
        assert (first.info.status, second.info.status) == ("KILLED", "RUNNING")
        assert curve(opened, second) == [(10, 0.75)]


def test_the_runs_of_another_clone_on_the_same_server_are_left_alone(empty):
    with store.opened("x") as opened:
        empty.live(empty.curve(1))
        mirror.trainings(opened, empty.methods)
    (store.FOLDER / "project").unlink()  # from now on this is another clone
    with store.opened("x") as other:
        mirror.trainings(other, [empty.method("dncnn", train={"batch": 8})])
        assert [run.info.status for run in shown(other)["dncnn"]] == ["RUNNING", "RUNNING"]


def test_a_run_of_another_clone_is_not_taken_for_the_own_outcome(project):
    with store.opened("x") as opened:
        with project.learning(rows=3):
            mirror.trainings(opened, project.methods)
        mirror.trainings(opened, project.methods)
        (theirs,) = shown(opened)["dncnn"]
    (store.FOLDER / "project").unlink()  # from now on this is another clone, which found the same
    with store.opened("x") as other:
        project.mirror(other)
        first, second = shown(other)["dncnn"]
        assert first.data.to_dictionary() == theirs.data.to_dictionary()
        assert (first.info.run_id, second.info.status) == (theirs.info.run_id, "FINISHED")


def test_other_weights_under_the_same_recipe_are_another_run(project):
    with store.opened("x") as opened:
        project.mirror(opened)
        project.train(seed=1)
        project.mirror(opened)
        assert [run.info.status for run in shown(opened)["dncnn"]] == ["FINISHED", "FINISHED"]


def test_a_new_evaluation_of_the_same_weights_is_a_run_with_the_same_curve_and_leaves_the_first_one(project):
    with store.opened("x") as opened:
        project.mirror(opened)
        (first,) = shown(opened)["dncnn"]
        project.compare({"dncnn": 3.0, "median": 0.0})
        project.mirror(opened)
        found = shown(opened)
        assert [run.data.metrics["test/all/gain_psnr"] for run in found["dncnn"]] == [2.0, 3.0]
        assert found["dncnn"][0].data.to_dictionary() == first.data.to_dictionary()
        old, new = found["dncnn"]
        assert (curve(opened, new), new.data.params) == (curve(opened, old), old.data.params)
        assert mirror.of(opened, project.methods[0]).info.run_id == new.info.run_id
        assert {name: len(runs) for name, runs in found.items()} == {"pipeline": 2, "dncnn": 2, "median (noise)": 2}
        before = snapshot(opened)
        project.compare({"dncnn": 2.0, "median": 0.0})  # as at first
        assert project.mirror(opened) == []
        assert snapshot(opened) == before
        assert mirror.of(opened, project.methods[0]).info.run_id == old.info.run_id


def test_a_run_that_was_live_is_the_one_that_gets_the_scores(project):
    with store.opened("x") as opened:
        with project.learning(rows=2):
            mirror.trainings(opened, project.methods)
        mirror.trainings(opened, project.methods)
        assert "dncnn: 71 metrics" in project.mirror(opened)
        assert [run.info.status for run in shown(opened)["dncnn"]] == ["FINISHED"]


def test_what_a_killed_training_left_beside_outputs_of_the_cache_is_no_training(project):
    with store.opened("x") as opened:
        project.live(project.curve(1))  # of other params, which were taken back
        for _ in range(3):
            assert mirror.trainings(opened, project.methods) == []
            project.mirror(opened)
        assert [run.info.status for run in shown(opened)["dncnn"]] == ["FINISHED"]


def test_the_run_of_a_killed_training_whose_params_were_taken_back_is_closed(project):
    with store.opened("x") as opened:
        with project.learning(rows=1):
            mirror.trainings(opened, [project.method("dncnn", train={"batch": 8}), project.methods[1]])
        project.live(project.curve(1))
        assert mirror.trainings(opened, project.methods) == ["dncnn: closed a run that never ended"]
        project.mirror(opened)
        assert [run.info.status for run in shown(opened)["dncnn"]] == ["KILLED", "FINISHED"]


def test_a_long_curve_is_logged_in_whole_rows(empty):
    rows = [f"{step},{1 / step},0.001,{step / 10}" for step in range(1, 1501)]
    empty.live("\n".join(["step,loss,learning_rate,val_target_psnr", *rows]) + "\n")
    with store.opened("x") as opened:
        mirror.trainings(opened, empty.methods)
        (run,) = shown(opened)["dncnn"]
        assert [len(curve(opened, run, key)) for key in ("loss", "learning_rate", "val_target_psnr")] == [1500] * 3


def test_a_method_that_was_not_mirrored_has_no_run(project):
    with store.opened("x") as opened, pytest.raises(ValueError, match="dncnn: has no run in MLflow yet"):
        mirror.of(opened, project.methods[0])


def test_a_comparison_that_is_missing_says_what_to_run(empty):
    with store.opened("x") as opened, pytest.raises(FileNotFoundError, match="run the stage that writes it"):
        empty.mirror(opened)


def test_an_infinite_psnr_is_logged_once(project):
    path = Path("artifacts/compare/ranking.parquet")
    pd.read_parquet(path).assign(psnr=float("inf")).to_parquet(path)
    with store.opened("x") as opened:
        project.mirror(opened)
        assert project.mirror(opened) == []
