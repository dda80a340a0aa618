from dvc.utils.serialize import load_yaml

from pipeline import lock


def write(project, *names):
    (project / "dvc.lock").write_text("schema: '2.0'\nstages:\n" + "".join(f"  {name}:\n    cmd: make {name}\n" for name in names))


def test_new_stages_stand_in_the_order_of_the_plan_behind_those_that_stood_there_before(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "b", "z", "y", "a")
    lock.order(before=("b",), plan=("a", "b", "y", "z"))
    assert lock.stages() == ("b", "a", "y", "z")
    assert load_yaml("dvc.lock")["stages"]["z"] == {"cmd": "make z"}


def test_a_lock_in_order_keeps_its_bytes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "a", "b")
    before = (tmp_path / "dvc.lock").read_bytes()
    lock.order(before=(), plan=("a", "b"))
    assert (tmp_path / "dvc.lock").read_bytes() == before
