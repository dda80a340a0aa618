"""Objects of DVC's cache, entries of its run cache and dvc.lock itself, damaged in the tiny project; then `make repro`."""

import contextlib
import random
import shutil
from pathlib import Path

import dvc.repo
import pytest
from dvc.utils.serialize import load_yaml
from dvc_data.hashfile.tree import Tree

OBJECTS = ".dvc/cache/files/md5"
KINDS = {
    "one bit flipped": lambda content, place: content[:place] + bytes([content[place] ^ 1 << place % 8]) + content[place + 1 :],
    "cut": lambda content, place: content[:place],
}


@pytest.fixture(scope="module")
def project(reproduced, tmp_path_factory):
    root = tmp_path_factory.mktemp("campaign") / "project"
    shutil.copytree(reproduced.root, root, symlinks=True)
    return type(reproduced)(root)


def outputs(project) -> dict[str, bytes]:
    """What every output holds, and what DVC recorded of it."""
    with dvc.repo.Repo(str(project.root)) as repo:
        paths = [Path(out.fs_path) for out in repo.index.outs]
    files = [file for path in paths for file in ([path] if path.is_file() else sorted(path.rglob("*"))) if file.is_file()]
    return {str(file.relative_to(project.root)): file.read_bytes() for file in [*files, project.root / "data.dvc"]}


def used(project) -> dict[str, list[Path]]:
    """The objects by name, each with the files or folders of the work tree that it is for."""
    places: dict[str, list[Path]] = {}
    with dvc.repo.Repo(str(project.root)) as repo:
        for out in repo.index.outs:
            places.setdefault(out.hash_info.value, []).append(Path(out.fs_path))
            if out.hash_info.isdir:
                for key, _, oid in Tree.load(out.cache, out.hash_info):
                    places.setdefault(oid.value, []).append(Path(out.fs_path, *key))
    return places


def damage(file: Path, kind: str, chance: random.Random) -> None:
    content = file.read_bytes()
    mode = file.stat().st_mode
    file.chmod(0o644)
    file.write_bytes(KINDS[kind](content, chance.randrange(len(content))))
    file.chmod(mode)


def printed(project, *commands: tuple[str, ...]) -> str:
    """What the commands print; nothing where one fails."""
    said = ""
    with contextlib.suppress(AssertionError):
        said = "".join(project.run(*command) for command in commands)
    return said


FLOW = ("python", "-m", "pipeline")
MAKE_REPRO = ((*FLOW, "--plan"), ("dvc", "repro", "--quiet"))


def test_what_comes_out_of_a_damaged_cache_is_what_was_put_in(project, tried):
    before, lock = outputs(project), load_yaml(str(project.root / "dvc.lock"))
    chance = random.Random(1)
    places = used(project)
    objects = sorted(oid for oid in places if (project.root / OBJECTS / oid[:2] / oid[2:]).exists())
    for trial, oid in enumerate(chance.sample(objects, 40)):
        kind = list(KINDS)[trial % 2]
        stored = project.root / OBJECTS / oid[:2] / oid[2:]
        if not stored.stat().st_size:
            continue
        damage(stored, kind, chance)
        for place in places[oid]:
            shutil.rmtree(place) if place.is_dir() else place.unlink(missing_ok=True)
        said = printed(project, *MAKE_REPRO)
        well = outputs(project) == before and load_yaml(str(project.root / "dvc.lock")) == lock and oid in said
        tried(f"damaged object of DVC's cache: {kind}", well)
        assert well, (kind, oid, places[oid], said)
    assert "All is as DVC recorded it." in project.run("python", "-m", "pipeline", "--verify")


def test_a_damaged_entry_of_the_run_cache_gives_back_nothing_wrong(project, tried):
    before, lock = outputs(project), load_yaml(str(project.root / "dvc.lock"))
    chance = random.Random(2)
    entries = sorted((project.root / ".dvc/cache/runs").glob("*/*/*"))
    for trial, entry in enumerate(chance.sample(entries, 12)):
        kind = list(KINDS)[trial % 2]
        for place in load_yaml(str(entry))["outs"]:
            path = project.root / place["path"]
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        damage(entry, kind, chance)
        well = bool(printed(project, FLOW)) and outputs(project) == before and load_yaml(str(project.root / "dvc.lock")) == lock
        tried(f"damaged entry of DVC's run cache: {kind}", well)
        assert well, (kind, entry)


def test_wherever_dvc_lock_is_cut_off_it_ends_as_it_was(project, tried):
    before, lock = outputs(project), (project.root / "dvc.lock").read_bytes()
    chance = random.Random(3)
    lines = [place + 1 for place, letter in enumerate(lock) if letter == ord("\n")]
    for place in [*chance.sample(lines[:-1], 8), *chance.sample(range(1, len(lock)), 4)]:
        (project.root / "dvc.lock").write_bytes(lock[:place])
        well = bool(printed(project, FLOW)) and outputs(project) == before and (project.root / "dvc.lock").read_bytes() == lock
        tried("dvc.lock cut off, at a line's end or anywhere", well)
        assert well, place
