import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import dvc.repo
import pytest
from dvc_data.hashfile import build

from pipeline import stage, verify, versions

OBJECTS = Path(".dvc/cache/files/md5")
OUTPUTS = ("downloads", "data", "ingested", "trained_slow", "trained_fast")
FILES = {"a single file": "ingested", "a file of a folder": "data/second/file"}
DAMAGE = {
    "a cut end": lambda content: content[:-2],
    "nothing left": lambda _: b"",
}


def repro() -> None:
    with dvc.repo.Repo() as repo:
        repo.reproduce()


def found() -> dict[str, bytes]:
    """The content of every output, dvc.lock and data.dvc."""
    files = [path for name in OUTPUTS for path in ([Path(name)] if Path(name).is_file() else Path(name).rglob("*")) if path.is_file()]
    return {str(path): path.read_bytes() for path in [*files, Path("dvc.lock"), Path("data.dvc")]}


def stored(content: bytes, suffix: str = "") -> Path:
    oid = hashlib.md5(content).hexdigest() + suffix
    return OBJECTS / oid[:2] / oid[2:]


def overwrite(path: Path, content: bytes) -> None:
    """As a failing disk does: the file stays the same one, read-only, of the same time."""
    before = path.stat()
    path.chmod(0o644)
    path.write_bytes(content)
    path.chmod(before.st_mode)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def take_away(name: str) -> None:
    shutil.rmtree(name.split("/")[0]) if "/" in name or Path(name).is_dir() else Path(name).unlink()


def listing(folder: str) -> Path:
    with dvc.repo.Repo() as repo:
        oid = next(out.hash_info.value for out in repo.index.outs if out.def_path == folder)
    return OBJECTS / oid[:2] / oid[2:]


@pytest.fixture
def made(toy):
    """The project after `dvc repro`."""
    repro()
    return toy


@pytest.fixture(params=["copy", "hardlink", "symlink"])
def linked(toy, request):
    """The same with each kind of link between cache and outputs."""
    subprocess.run([sys.executable, "-m", "dvc", "config", "cache.type", request.param], check=True)
    repro()
    return toy


@pytest.mark.parametrize("name", FILES.values(), ids=FILES)
def test_a_damaged_object_is_put_aside_before_dvc_takes_it_and_its_stage_is_run_again(linked, name):
    before, content = found(), Path(name).read_bytes()
    damaged = bytes([content[0] ^ 4]) + content[1:]
    overwrite(stored(content), damaged)
    take_away(name)
    told = verify.project()
    assert any(line.startswith(f"{name}: damaged in DVC's cache (md5 ") for line in told)
    assert (OBJECTS / "damaged" / hashlib.md5(content).hexdigest()).read_bytes() == damaged
    repro()
    assert found() == before
    assert verify.project(whole=True) == []


@pytest.mark.parametrize("name", FILES.values(), ids=FILES)
def test_what_dvc_has_taken_out_of_a_damaged_object_is_noticed_although_dvc_finds_it_up_to_date(linked, name):
    before, content = found(), Path(name).read_bytes()
    damaged = bytes([content[0] ^ 4]) + content[1:]
    overwrite(stored(content), damaged)
    take_away(name)
    repro()
    with dvc.repo.Repo() as repo:
        assert repo.status() == {}
    assert Path(name).read_bytes() == damaged
    assert any(line.startswith(f"{name}: damaged in DVC's cache") for line in verify.project())
    assert not Path(name).exists()
    repro()
    assert found() == before


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_cut_object_or_list_of_files_is_put_aside_too(made, damage):
    before, content = found(), Path("ingested").read_bytes()
    overwrite(stored(content), damage(content))
    overwrite(listing("data"), damage(listing("data").read_bytes()))
    take_away("ingested")
    take_away("data")
    told = verify.project()
    assert any(line.startswith("ingested: damaged in DVC's cache") for line in told)
    assert any(line.startswith("data (its list of files): damaged in DVC's cache") for line in told)
    repro()
    assert found() == before


def test_outputs_that_are_as_recorded_are_left_alone_and_read_once(made, monkeypatch):
    assert verify.project() == []
    hashed = []
    monkeypatch.setattr(build, "hash_file", lambda path, *_, **__: hashed.append(path))
    assert verify.project() == []
    assert hashed == []


def test_a_list_that_names_other_files_is_put_aside_though_dvc_can_read_it(made):
    before, damaged = found(), listing("data")
    overwrite(damaged, damaged.read_bytes().replace(b"second/file", b"second/fine"))
    shutil.rmtree("data")
    assert any(line.startswith("data (its list of files): damaged in DVC's cache") for line in verify.project())
    repro()
    assert found() == before


def test_a_missing_object_is_made_again(linked):
    before = found()
    stored(Path("ingested").read_bytes()).unlink()
    Path("ingested").unlink()
    assert verify.project() == []
    repro()
    assert found() == before


@pytest.mark.parametrize("name", FILES.values(), ids=FILES)
def test_an_output_whose_object_is_gone_is_as_it_was_or_made_again(linked, name):
    before = found()
    stored(Path(name).read_bytes()).unlink()  # of which symbolic links lead nowhere, and DVC stops at them
    assert verify.project() == []
    repro()
    assert found() == before


def test_an_output_that_is_damaged_behind_an_unchanged_time_and_size_is_marked_as_changed(made):
    before = found()
    overwrite(Path("trained_fast"), b"F" + Path("trained_fast").read_bytes()[1:])
    with dvc.repo.Repo() as repo:
        assert repo.status() == {}
    (told,) = verify.project()
    assert told.startswith("trained_fast: damaged, though of the same time and size (md5 ")
    repro()
    assert found() == before


def test_an_output_that_a_person_edited_is_left_to_dvc(made):
    Path("trained_fast").write_text("edited")
    assert verify.project() == []
    assert Path("trained_fast").read_text() == "edited"


def test_a_damaged_output_of_an_earlier_run_is_not_taken_out_of_the_cache_again(made):
    before, first = found(), Path("ingested").read_bytes()
    text = Path("dvc.yaml").read_text()
    Path("dvc.yaml").write_text(text.replace("cat data/*/file >", "sort -r data/*/file >"))
    assert stage.main("ingest", force=False) == 0
    assert Path("ingested").read_bytes() != first
    overwrite(stored(first), b"F" + first[1:])
    Path("dvc.yaml").write_text(text)  # DVC's run cache now gives back the first output, of which dvc.lock says nothing
    assert stage.main("ingest", force=False) == 0
    assert found() == before


@pytest.mark.parametrize(
    "damage", [lambda text: text[:-40], lambda text: text.replace(b"path: ingested", b"path: ingestee"), lambda _: b"\xff"]
)
def test_a_damaged_entry_of_the_run_cache_does_not_stop_its_stage(made, damage):
    before = found()
    for entry in Path(".dvc/cache/runs").glob("*/*/*"):
        overwrite(entry, damage(entry.read_bytes()))
    Path("ingested").unlink()
    assert stage.main("ingest", force=False) == 0
    assert found() == before
    verify.project(whole=True)  # the entries that no stage asked for
    assert verify.project(whole=True) == []


def test_a_folder_of_the_run_cache_that_lost_its_entry_does_not_stop_its_stage(made):
    before = found()
    for entry in Path(".dvc/cache/runs").glob("*/*/*"):
        entry.unlink()  # as DVC does with an entry that it cannot read; it stops at the empty folder the next time
    Path("dvc.lock").write_text("schema: '2.0'\n")
    assert stage.main("ingest", force=False) == 0
    assert found().keys() == before.keys()
    assert verify.project(whole=True) == []


@pytest.mark.parametrize("name", FILES.values(), ids=FILES)
def test_verify_hashes_the_whole_cache_and_gives_back_what_the_work_tree_has(made, name):
    before, content = found(), Path(name).read_bytes()
    overwrite(stored(content), content[:-1])
    overwrite(listing("data"), b"[]")
    assert verify.project() == []  # nothing came out of the cache yet
    told = verify.project(whole=True)
    assert len(told) == 2
    assert all("damaged in DVC's cache" in line for line in told)
    assert stored(content).read_bytes() == content
    with dvc.repo.Repo() as repo:
        assert repo.status() == {}
    assert verify.project(whole=True) == []
    assert found() == before


def test_what_was_put_aside_is_fetched_from_the_remote(made):
    remote = made.parent / "remote"
    for command in (["remote", "add", "--default", "store", str(remote)], ["push", "--quiet"]):
        subprocess.run([sys.executable, "-m", "dvc", *command], check=True)
    content = Path("ingested").read_bytes()
    overwrite(stored(content), content[:-1])
    Path("ingested").unlink()
    damaged, fetched = verify.project()
    assert damaged.startswith("ingested: damaged in DVC's cache")
    assert fetched == "DVC's remote store: 1 of the missing objects fetched"
    assert stored(content).read_bytes() == content


def test_no_more_is_fetched_than_was_damaged(made):
    remote = made.parent / "remote"
    for command in (["remote", "add", "--default", "store", str(remote)], ["push", "--quiet"]):
        subprocess.run([sys.executable, "-m", "dvc", *command], check=True)
    other = Path("data/first/file").read_bytes()
    stored(other).unlink()  # as where a person pulled but a part
    overwrite(stored(Path("ingested").read_bytes()), b"")
    Path("ingested").unlink()
    _, fetched = verify.project()
    assert fetched == "DVC's remote store: 1 of the missing objects fetched"
    assert not stored(other).exists()


def test_a_link_of_a_person_s_own_that_leads_nowhere_today_stays(made):
    image = Path("inbox/images/hand.png")
    image.parent.mkdir(parents=True)
    image.write_bytes(b"pixels")
    versions.keep_inbox()
    image.unlink()
    image.symlink_to(made.parent / "a disk that is not mounted" / "hand.png")
    verify.project(whole=True)
    assert image.is_symlink()


@pytest.mark.parametrize("place", ["nowhere", "http://127.0.0.1:1/store"])
def test_a_remote_that_has_nothing_or_does_not_answer_stops_nothing(made, place):
    remote = place if "://" in place else str(made.parent / place)
    subprocess.run([sys.executable, "-m", "dvc", "remote", "add", "--default", "store", remote], check=True)
    content = Path("ingested").read_bytes()
    overwrite(stored(content), content[:-1])
    Path("ingested").unlink()
    _, told = verify.project()
    assert told.startswith("DVC's remote store: ")
    assert "\n" not in told


def test_a_persons_image_of_which_the_cache_lost_a_bit_comes_back_from_the_inbox(made):
    image = Path("inbox/images/hand.png")
    image.parent.mkdir(parents=True)
    image.write_bytes(b"pixels")
    versions.keep_inbox()
    overwrite(stored(b"pixels"), b"pixelt")
    assert len(verify.project(whole=True)) == 1
    assert stored(b"pixels").read_bytes() == b"pixels"
    assert image.read_bytes() == b"pixels"


def test_a_damaged_image_out_of_the_cache_is_never_taken_for_the_persons_own(made):
    image = Path("inbox/images/hand.png")
    image.parent.mkdir(parents=True)
    image.write_bytes(b"pixels")
    versions.keep_inbox()
    overwrite(stored(b"pixels"), b"pixelt")
    image.unlink()
    with dvc.repo.Repo() as repo:
        repo.checkout(targets=["inbox/images.dvc"])
    assert image.read_bytes() == b"pixelt"
    (told,) = verify.project()
    assert told.startswith("inbox/images/hand.png: damaged in DVC's cache")
    with pytest.raises(FileNotFoundError, match=r"first .hand.png., are not there; DVC.s cache does not hold them"):
        versions.keep_inbox()
