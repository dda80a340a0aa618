from dvc.utils.serialize import load_yaml

from pipeline import lock


def write(project, *names):
    (project / "dvc.lock").write_text("schema: '2.0'\nstages:\n" + "".join(f"  {name}:\n    cmd: make {name}\n" for name in names))


def stages():
    return list(load_yaml("dvc.lock")["stages"])


def test_new_stages_stand_in_the_order_of_the_plan_behind_those_that_stood_there_before(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "b")
    lock.remember(tmp_path / "note")
    write(tmp_path, "b", "z", "y", "a")
    lock.order(tmp_path / "note", plan=("a", "b", "y", "z"))
    assert stages() == ["b", "a", "y", "z"]
    assert load_yaml("dvc.lock")["stages"]["z"] == {"cmd": "make z"}
    assert not (tmp_path / "note").exists()


def test_the_note_of_a_killed_flow_is_kept_for_the_next(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lock.remember(tmp_path / "note")
    write(tmp_path, "z", "a")  # then the flow is killed
    lock.remember(tmp_path / "note")
    lock.order(tmp_path / "note", plan=("a", "z"))
    assert stages() == ["a", "z"]


def test_a_lock_in_order_keeps_its_bytes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "a", "b")
    before = (tmp_path / "dvc.lock").read_bytes()
    lock.remember(tmp_path / "note")
    lock.order(tmp_path / "note", plan=("a", "b"))
    assert (tmp_path / "dvc.lock").read_bytes() == before
