"""Learning curves as training writes them: whole, half-written, resumed, thrown away."""

from pathlib import Path

from xraydenoise.registry import curves


def test_empty_cells_are_left_out_and_steps_are_whole_numbers(tmp_path: Path):
    path = tmp_path / "history.csv"
    path.write_text("step,loss,learning_rate,val_target_psnr\n10,0.5,0.001,\n20,0.25,0.001,21.5\n")
    assert curves.read(path) == {
        10: {"loss": 0.5, "learning_rate": 0.001},
        20: {"loss": 0.25, "learning_rate": 0.001, "val_target_psnr": 21.5},
    }


def test_a_line_that_training_is_still_writing_waits(tmp_path: Path):
    path = tmp_path / "history.csv"
    path.write_text("step,loss,learning_rate,val_target_psnr\n10,0.5,0.001,\n20,0.2")
    assert list(curves.read(path)) == [10]


def test_a_history_of_which_only_the_head_is_begun_is_empty(tmp_path: Path):
    path = tmp_path / "history.csv"
    path.write_text("step,lo")
    assert curves.read(path) == {}


def test_a_resumed_training_may_have_lost_its_last_steps():
    assert curves.continues({10: 0.5, 20: 0.25, 30: 0.1}, {10: {"loss": 0.5}})
    assert curves.continues({10: 0.5, 20: 0.25, 30: 0.1}, {})


def test_a_training_that_begins_otherwise_is_another():
    assert not curves.continues({10: 0.5, 20: 0.25}, {10: {"loss": 0.75}, 20: {"loss": 0.25}})
    assert not curves.continues({10: 0.5}, {20: {"loss": 0.5}})


def test_a_loss_that_is_not_a_number_is_still_the_same_training():
    assert curves.continues({10: float("nan")}, {10: {"loss": float("nan")}})
