import dvc.repo
import pytest
from dvc.lock import LockError
from dvc.utils.serialize import load_yaml

from pipeline import lock


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """Where copies are kept, in a project of DVC."""
    monkeypatch.chdir(tmp_path)
    dvc.repo.Repo.init(no_scm=True).close()
    return tmp_path / "flow" / "before"


def write(*names):
    lock.LOCK.write_text("schema: '2.0'\nstages:\n" + "".join(f"  {name}:\n    cmd: make {name}\n" for name in names))


def stages():
    return list(load_yaml("dvc.lock").get("stages", {}))


def test_new_stages_stand_in_the_order_of_the_plan_behind_those_that_stood_there_before(kept):
    write("b")
    lock.keep(kept)
    write("b", "z", "y", "a")
    lock.order(kept, plan=("a", "b", "y", "z"))
    assert stages() == ["b", "a", "y", "z"]
    assert load_yaml("dvc.lock")["stages"]["z"] == {"cmd": "make z"}
    assert not kept.exists()


def test_the_copies_of_a_killed_flow_are_kept_for_the_next(kept):
    lock.keep(kept)
    write("z", "a")  # then the flow is killed
    lock.keep(kept)
    lock.order(kept, plan=("a", "z"))
    assert stages() == ["a", "z"]


def test_a_lock_in_order_keeps_its_bytes(kept):
    write("a", "b")
    before = lock.LOCK.read_bytes()
    lock.keep(kept)
    lock.order(kept, plan=("a", "b"))
    assert lock.LOCK.read_bytes() == before


def test_what_is_whole_is_left_alone(kept):
    assert lock.mend(kept) == []
    write("a")
    before = lock.LOCK.read_bytes()
    assert lock.mend(kept) == []
    assert lock.LOCK.read_bytes() == before


def test_wherever_a_kill_cuts_the_lock_off_dvc_can_read_it_again(kept):
    write("a")
    lock.keep(kept)
    before = lock.LOCK.read_bytes()
    write("a", "b", "c")
    after = lock.LOCK.read_bytes()
    put_back = 0
    for length in range(len(after)):
        lock.LOCK.write_bytes(after[:length])
        told = lock.mend(kept)
        if told:
            assert lock.LOCK.read_bytes() == before
            assert (kept.parent / "dvc.lock.cut").read_bytes() == after[:length]
            put_back += 1
        assert stages()[:1] == ["a"] or not stages()
    assert put_back > len(after) / 2


@pytest.mark.parametrize("left", [b"", b"schema: '2.0'\nstages:\n  ingest:\n    c"])
def test_a_lock_that_is_cut_off_without_a_copy_begins_anew(kept, left):
    lock.LOCK.write_bytes(left)
    (told,) = lock.mend(kept)
    assert told.startswith("dvc.lock was cut off by a kill: put aside as ")
    assert not lock.LOCK.exists()
    assert (kept.parent / "dvc.lock.cut").read_bytes() == left


def test_a_flow_that_ends_on_a_cut_lock_leaves_it_and_the_copies_for_the_next(kept):
    write("b")
    lock.keep(kept)
    lock.LOCK.write_text("")
    lock.order(kept, plan=("a", "b"))
    assert lock.mend(kept)
    assert stages() == ["b"]


def test_an_empty_data_file_is_put_back_from_its_copy_and_refused_without_one(kept):
    lock.DATA.write_text("outs:\n- path: data\n")
    lock.keep(kept)
    lock.DATA.write_text("")
    assert "data.dvc was cut off" in lock.mend(kept)[0]
    assert lock.DATA.read_text() == "outs:\n- path: data\n"
    lock.DATA.write_text("")
    with pytest.raises(ValueError, match=r"^data.dvc: was cut off while DVC wrote it; `git checkout data.dvc` brings it back$"):
        lock.mend(kept.with_name("other"))


def test_a_lock_in_the_middle_of_a_merge_is_left_to_its_owner(kept):
    write("a")
    lock.keep(kept)
    lock.LOCK.write_text("schema: '2.0'\n<<<<<<< HEAD\nstages:\n=======\n>>>>>>> other\n")
    with pytest.raises(ValueError, match=r"^dvc.lock: holds the marks of an unfinished merge; "):
        lock.mend(kept)
    assert "<<<<<<<" in lock.LOCK.read_text()


def test_a_lock_that_another_dvc_may_be_writing_is_not_touched(kept):
    lock.LOCK.write_text("")
    with dvc.repo.Repo() as repo, repo.lock, pytest.raises(LockError):
        lock.mend(kept)
    assert lock.LOCK.exists()
