"""Kills, damage and failures in the whole project: each ends with the bytes and the lock of an undisturbed `dvc repro`."""

import hashlib

import pytest

pytestmark = pytest.mark.e2e


def test_a_flow_killed_in_label_in_train_and_in_a_protocol_goes_on_and_ends_with_the_lock_of_dvc_repro(reproduced, fresh):
    for half_done in ("work/label/*.npy", "work/train/dncnn/checkpoint.safetensors", "work/reproduce/c_dncnn/all/checkpoint.safetensors"):
        fresh.kill_when("python", "-m", "pipeline", appears=half_done)
    said = fresh.run("python", "-m", "pipeline")
    assert "total_variation" in said
    assert fresh.read("dvc.lock", "data.dvc") == reproduced.read("dvc.lock", "data.dvc")
    assert "Nothing has changed" in fresh.run("python", "-m", "pipeline")


def test_a_lock_that_a_kill_cut_off_is_mended_and_nothing_is_made_again(project):
    before = project.read("dvc.lock")[0]
    cut = before.index(b"  md5:", len(before) // 2) + len(b"  md")  # within a key, as a cut between two stages leaves a shorter lock
    (project.root / "dvc.lock").write_bytes(before[:cut])
    said = project.run("python", "-m", "pipeline")
    assert "dvc.lock was cut off: put aside as .prefect/dvc.lock.cut" in said
    assert "PSNR to the target" not in said  # what train prints
    assert project.read("dvc.lock") == [before]
    assert "Nothing has changed" in project.run("python", "-m", "pipeline")


def test_a_damaged_record_and_damaged_times_are_told_and_cost_no_more_than_registering_again(project):
    before = project.read("mlruns/registered.json", "dvc.lock")
    (project.root / "mlruns/registered.json").write_bytes(b"")
    (project.root / "logs/evaluate-fast.json").write_bytes(b"")
    assert "`dvc repro register` writes it again" in project.run("python", "-m", "xraydenoise", "verdict", fails=True)
    said = project.run("python", "-m", "pipeline")
    assert "1 of 23 stages to run: register\n" in said
    assert "logs/evaluate-fast.json: is damaged" in said
    assert project.read("mlruns/registered.json", "dvc.lock") == before


def damage(project, name: str) -> str:
    """Flip a bit in the object of DVC's cache that holds this output, and take the output away; the object's name."""
    oid = hashlib.md5((project.root / name).read_bytes()).hexdigest()
    stored = project.root / ".dvc/cache/files/md5" / oid[:2] / oid[2:]
    content = bytearray(stored.read_bytes())
    content[-100] ^= 4
    stored.chmod(0o644)
    stored.write_bytes(content)
    stored.chmod(0o444)
    (project.root / name).unlink()
    return oid


def test_weights_that_are_damaged_in_dvcs_cache_are_put_aside_and_learnt_again(project):
    name, evaluated = "artifacts/train/dncnn/weights.safetensors", "artifacts/evaluate/dncnn/scores.parquet"
    before = project.read(name, "dvc.lock", evaluated)
    oid = damage(project, name)
    said = project.run("python", "-m", "pipeline")
    (line,) = [line for line in said.splitlines() if line.startswith(name)]
    assert line.endswith(f"recorded {oid}), put aside as .dvc/cache/files/md5/damaged/{oid}")
    assert project.read(name, "dvc.lock", evaluated) == before
    assert "All is as DVC recorded it." in project.run("python", "-m", "pipeline", "--verify")
    assert "Nothing has changed" in project.run("python", "-m", "pipeline")


def test_weights_that_plain_dvc_took_out_of_a_damaged_cache_are_noticed_by_verify(project):
    name = "artifacts/train/dncnn/weights.safetensors"
    before = project.read(name, "dvc.lock")
    damage(project, name)
    project.repro()
    assert project.repro() == set()
    assert project.read(name) != before[:1]
    said = project.run("python", "-m", "pipeline", "--verify", fails=True)
    assert "damaged in DVC's cache" in said
    project.repro()
    assert project.read(name, "dvc.lock") == before


def test_stages_that_fail_say_so_in_a_line_each_and_the_lock_ends_as_that_of_dvc_repro(project):
    before = project.read("dvc.lock")
    (project.root / "dvc.lock").unlink()
    code = project.root / "src/xraydenoise/stages/reproduce.py"
    text = code.read_text()
    code.write_text('raise SystemExit("error: no such luck")\n' + text)
    said = project.run("python", "-m", "pipeline", fails=True)
    assert "Traceback" not in said
    assert "\nerror: stage reproduce@c_dncnn: ended with exit code 1: no such luck\n" in said
    assert len(said.splitlines()) < 90  # of which Prefect's own about 60: begun, finished
    code.write_text(text)
    project.run("python", "-m", "pipeline")
    assert project.read("dvc.lock") == before
    assert "Nothing has changed" in project.run("python", "-m", "pipeline")


def test_a_cut_data_dvc_is_mended_and_new_images_arrive(project):
    whole = project.read("data.dvc")[0]
    (project.root / "data.dvc").write_bytes(whole[: whole.index(b"outs:") - 20])
    image = project.root / "inbox/images/hand.png"
    image.parent.mkdir()
    image.write_bytes(b"pixels")
    said = project.run("python", "-m", "pipeline", "--plan")
    assert "data.dvc was cut off: put aside as .prefect/data.dvc.cut" in said
    assert "stages to run: download@inbox, data.dvc, ingest, " in said
    project.repro("data.dvc")  # and the download, which it depends on
    assert image.name in {file.name for file in (project.root / "data/inbox").rglob("*")}
    assert project.read("data.dvc")[0].splitlines()[:2] == whole.splitlines()[:2]
