import shutil
from pathlib import Path

import dvc.repo
import hypothesis
import pytest
from dvc.lock import LockError
from dvc.utils.serialize import load_yaml
from hypothesis import strategies as st

from pipeline import lock

POINTER = "outs:\n- md5: 0cc0ffd4d8c6df6d9c2c802dd476c619.dir\n  size: 1128\n  nfiles: 2\n  hash: md5\n  path: images\n"
RECORDED = "  md5: 5c41312cb44e2cfe95495436667c62ab.dir\n  size: 87653\n  nfiles: 10\n  hash: md5\n"
USED_DATA = (  # as DVC leaves it
    "desc: the raw data as downloaded, pinned; an import of the download stage's \n  output, so `dvc repro` renews it\n"
    f"deps:\n- path: downloads\n{RECORDED}outs:\n- path: data\n{RECORDED}md5: c3adf81e63aaae57bb084055f829f73a\n"
)


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """Where copies are kept, in a project of DVC."""
    monkeypatch.chdir(tmp_path)
    dvc.repo.Repo.init(no_scm=True).close()
    lock.DATA.write_text(lock.NEW_DATA)
    lock.POINTER.parent.mkdir()
    return tmp_path / "flow" / "before"


def write(*names):
    lock.LOCK.write_text("schema: '2.0'\nstages:\n" + "".join(f"  {name}:\n    cmd: make {name}\n" for name in names))


def stages():
    return list(load_yaml("dvc.lock").get("stages") or {}) if lock.LOCK.exists() else []


def test_new_stages_stand_in_the_order_of_the_plan_behind_those_that_stood_there_before(kept):
    write("b")
    lock.keep(kept)
    write("b", "z", "y", "a")
    lock.order(kept, plan=("a", "b", "y", "z"), completed=True)
    assert stages() == ["b", "a", "y", "z"]
    assert load_yaml("dvc.lock")["stages"]["z"] == {"cmd": "make z"}
    assert not kept.exists()


def test_the_copies_of_a_killed_flow_are_kept_for_the_next(kept):
    lock.keep(kept)
    write("z", "a")  # then the flow is killed
    lock.keep(kept)
    lock.order(kept, plan=("a", "z"), completed=True)
    assert stages() == ["a", "z"]


def test_a_lock_in_order_keeps_its_bytes(kept):
    write("a", "b")
    before = lock.LOCK.read_bytes()
    lock.keep(kept)
    lock.order(kept, plan=("a", "b"), completed=True)
    assert lock.LOCK.read_bytes() == before


def test_a_lock_that_nothing_wrote_since_it_was_copied_is_not_read_for_its_order(kept, monkeypatch):
    write("a", "b")
    lock.keep(kept)
    monkeypatch.setattr(lock, "load_yaml", None)
    monkeypatch.setattr(lock.strictyaml, "load", None)
    lock.keep(kept)
    lock.order(kept, plan=("a", "b"), completed=True)
    assert not kept.exists()


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
        if lock.mend(kept):
            assert lock.LOCK.read_bytes() == before
            assert length == 0 or (kept.parent / "dvc.lock.cut").read_bytes() == after[:length]
            put_back += 1
        else:
            assert after[:length].endswith(b"\n")  # a shorter lock, of whole lines: DVC's run cache gives back what it lacks
        assert stages()[:1] == ["a"] or not stages()
    assert put_back > len(after) * 0.9


@pytest.mark.parametrize("left", [b"", b"schema: '2.0'\nstages:\n  ingest:\n    c"])
def test_a_lock_that_is_cut_off_before_its_first_stage_ends_begins_anew(kept, left):
    lock.LOCK.write_bytes(left)
    (told,) = lock.mend(kept)
    assert told.startswith("dvc.lock was ")
    assert not lock.LOCK.exists()
    assert (kept.parent / "dvc.lock.cut").read_bytes() == left


ENTRY = "  {name}:\n    cmd: make\n    outs:\n    - path: {name}\n      hash: md5\n      md5: 5b4caa7ed5d9e2a57cf3ce0de95801a4.dir\n"
ENTRY += "      size: 12\n      nfiles: 2\n"


def test_a_lock_that_is_cut_off_without_a_copy_keeps_its_whole_stages(kept):
    first, second = (ENTRY.format(name=name) for name in "ab")
    head = f"schema: '2.0'\nstages:\n{first}"
    for length in range(len(second)):
        lock.LOCK.write_text(head + second[:length])
        told = lock.mend(kept)
        if told:
            assert told == [
                f"dvc.lock was cut off: put aside as {kept.parent / 'dvc.lock.cut'}, and ended before what is cut off; "
                "DVC's cache has what came since"
            ]
            assert (head + second[:length]).startswith(lock.LOCK.read_text())
            assert stages()[0] == "a"
        else:  # DVC sees itself that an output has no hash
            assert length == 0 or "md5: " not in second[:length]


def test_a_flow_that_ends_on_a_cut_lock_leaves_it_and_the_copies_for_the_next(kept):
    write("b")
    lock.keep(kept)
    lock.LOCK.write_text("")
    lock.order(kept, plan=("a", "b"), completed=True)
    assert lock.mend(kept)
    assert stages() == ["b"]


@pytest.mark.parametrize(("whole", "copied"), [(lock.NEW_DATA, False), (USED_DATA, True)], ids=["before the first run", "with a copy"])
def test_wherever_data_dvc_is_cut_off_it_names_downloads_and_data_again(kept, whole, copied):
    lock.DATA.write_text(whole)
    assert lock.mend(kept) == []
    if copied:
        lock.keep(kept)
    for length in range(len(whole)):
        lock.DATA.write_text(whole[:length])
        (told,) = lock.mend(kept)
        assert told.startswith("data.dvc was ")
        assert lock.DATA.read_text() == (whole if copied else lock.NEW_DATA)
    assert (kept.parent / "data.dvc.cut").read_text() == whole[:-1]


def test_a_data_dvc_that_is_gone_is_written_anew_as_git_has_it(kept):
    lock.DATA.unlink()
    assert lock.mend(kept) == ["data.dvc was missing or empty: begun anew; DVC's cache has what came since"]
    content, fresh = load_yaml("data.dvc"), load_yaml(str(Path(__file__).parents[2] / "data.dvc"))
    assert content["desc"].split() == fresh["desc"].split()
    assert [entry["path"] for entry in content["deps"] + content["outs"]] == [entry["path"] for entry in fresh["deps"] + fresh["outs"]]
    assert content["frozen"] is False


def test_wherever_the_record_of_peoples_images_is_cut_off_its_copy_comes_back(kept):
    lock.POINTER.write_text(POINTER)
    assert lock.mend(kept) == []
    lock.keep(kept)
    for length in range(len(POINTER)):
        lock.POINTER.write_text(POINTER[:length])
        assert len(lock.mend(kept)) == 1
        assert lock.POINTER.read_text() == POINTER


def test_wherever_the_record_of_peoples_images_is_cut_off_without_a_copy_the_ways_out_are_named(kept):
    for length in range(len(POINTER)):
        lock.POINTER.write_text(POINTER[:length])
        with pytest.raises(ValueError, match=r"^inbox/images.dvc: is cut off; `git checkout inbox/images.dvc` brings it back, or `rm "):
            lock.mend(kept)
        assert lock.POINTER.read_text() == POINTER[:length]


def test_a_first_record_of_peoples_images_that_a_kill_cut_off_is_put_aside_to_be_written_again(kept):
    lock.keep(kept)  # of before there were any
    lock.POINTER.write_text(POINTER[:20])
    assert lock.mend(kept) == [
        f"inbox/images.dvc was cut off: put aside as {kept.parent / 'images.dvc.cut'}, and begun anew; DVC's cache has what came since"
    ]
    assert not lock.POINTER.exists()


SETTINGS = hypothesis.settings(suppress_health_check=list(hypothesis.HealthCheck), deadline=None, max_examples=60, derandomize=True)
STAGES = tuple("abcdefg")  # as `dvc repro` walks them


def written_by_dvc(before: list[str], ran: list[str]) -> list[str]:
    return [*before, *(name for name in ran if name not in before)]


@hypothesis.settings(
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture], deadline=None, max_examples=60, derandomize=True
)
@hypothesis.given(
    start=st.lists(st.sampled_from(STAGES), unique=True),
    history=st.lists(st.tuples(st.sampled_from(["failed", "killed", "dvc repro"]), st.permutations(STAGES), st.integers(0, 7)), max_size=4),
    last=st.permutations(STAGES),
)
def test_whatever_failed_or_was_killed_before_a_completed_flow_leaves_the_order_of_dvc_repro(kept, start, history, last):
    shutil.rmtree(kept, ignore_errors=True)
    write(*start)
    lock.mend(kept)  # a lock without stages is none
    for how, ran, count in history:
        if how == "dvc repro":
            write(*written_by_dvc(stages(), [name for name in STAGES if name in ran[:count]]))
            lock.mend(kept)
            continue
        lock.keep(kept)
        write(*written_by_dvc(stages(), ran[:count]))
        lock.mend(kept)
        if how == "failed":
            lock.order(kept, STAGES, completed=False)
    lock.keep(kept)
    write(*written_by_dvc(stages(), list(last)))
    lock.order(kept, STAGES, completed=True)
    first = next((index for index, (how, _, _) in enumerate(history) if how != "dvc repro"), len(history))
    plain = start
    for _, ran, count in history[:first]:
        plain = written_by_dvc(plain, [name for name in STAGES if name in ran[:count]])
    assert stages() == written_by_dvc(plain, list(STAGES))
    assert not kept.exists()


def test_copies_of_another_branch_are_not_used(kept):
    write("b")
    lock.keep(kept)
    write("a", "b", "c")  # git checkout
    lock.keep(kept)
    lock.order(kept, STAGES, completed=True)
    assert stages() == ["a", "b", "c"]


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
