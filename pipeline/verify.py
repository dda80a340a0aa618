"""What DVC's cache holds and gave back, hashed against what dvc.lock and the .dvc files record; what is damaged is put aside.

DVC itself trusts an object that is read-only, and a file whose time and size are as they were (dvc_data's LocalHashFileDB.check and
State.get). An object that is put aside is missing for DVC, which then makes it again.
"""

import contextlib
import copy
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import dvc.repo
from dvc.exceptions import DvcException
from dvc.output import Output
from dvc.utils import dict_sha256
from dvc.utils.serialize import load_yaml
from dvc_data.hashfile.build import build
from dvc_data.hashfile.db import HashFileDB
from dvc_data.hashfile.hash import hash_file
from dvc_data.hashfile.state import State, StateBase, StateNoop
from dvc_data.hashfile.tree import Tree
from dvc_objects.errors import ObjectFormatError
from dvc_objects.fs.local import LocalFileSystem

TABLE = Path(".prefect/known")  # hashes of files that were read whole once
ASIDE = "damaged"  # beside the objects, so that putting aside is a rename; no name of an object
OBJECT = re.compile(r"[0-9a-f]{32}(\.dir)?")  # else it is what a killed DVC left half copied


class Known(State):
    """DVC's table of hashes in a folder of its own, which also compares the time of change (ctime): no program can set that back."""

    def get_many(self, items: Iterable[str], fs: Any, infos: dict[str, dict[str, Any]]) -> Iterator[Any]:
        return super().get_many(items, fs, {path: _by_change(path, info) for path, info in infos.items()})

    def save_many(self, items: Iterable[tuple[str, Any, Any]], fs: Any) -> None:
        if isinstance(fs, LocalFileSystem):
            super().save_many([(path, hashed, _by_change(path, info)) for path, hashed, info in items], fs)


def known(repo: dvc.repo.Repo) -> contextlib.closing[Known]:
    return contextlib.closing(Known(repo.root_dir, str(TABLE)))


def _by_change(path: str, info: dict[str, Any]) -> dict[str, Any]:
    return info | {"ino": f"{info['ino']} {info['created']} {os.lstat(path).st_ctime_ns}"}  # of a link's target, and of the link


def project(whole: bool = False) -> list[str]:
    """A line for each damage of the project's outputs, or of the `whole` cache too. Raises dvc.lock.LockError while DVC is at work."""
    with dvc.repo.Repo() as repo, dvc.repo.lock_repo(repo):
        if whole:
            return everything(repo)
        with known(repo) as table:
            return outputs(repo, repo.index.outs, table)


def outputs(repo: dvc.repo.Repo, outs: Iterable[Output], known: StateBase) -> list[str]:
    """Hash these outputs in the work tree, except files that are in the table `known`; a line for each damage.

    Where a file is not the recorded one, its object is hashed too, since DVC would take it out of the cache next: a damaged object is
    put aside together with the file that came of it, and a file that DVC falsely takes for the recorded one is marked as changed.
    What was put aside is fetched from the remote, where the project has one.
    """
    found: list[str] = []
    damaged: list[str] = []
    for out in _recorded(outs):
        if lines := list(_damage(repo, out, _there(repo, out, known))):
            found += lines
            damaged.append(out.fs_path)
    return found + _fetched(repo, damaged) if found else found


def everything(repo: dvc.repo.Repo) -> list[str]:
    """Hash all objects and all entries of the run cache, old ones too, and all outputs; a line for each damage.

    An object that is missing, or was put aside, comes back from the work tree where that is what was recorded, or from the remote.
    """
    found = runs(repo)
    for cache in (repo.cache.local, repo.cache.legacy):
        for oid in filter(OBJECT.fullmatch, cache.all()):
            if damaged := _aside(cache, oid, f"object {oid}"):
                found.append(damaged[1])
    for out in _recorded(repo.index.outs):
        there = _there(repo, out, StateNoop())
        found += _damage(repo, out, there)
        if there is not None and there.hash_info == out.hash_info:
            _give_back(_cache(repo, out), out, there)
    return found + _fetched(repo) if found else found


def runs(repo: dvc.repo.Repo) -> list[str]:
    """Hash the entries of DVC's run cache, which name the outputs of past runs; a line for each damaged one, put aside."""
    root = Path(repo.stage_cache.cache_dir)
    found = []
    for entry in sorted(root.glob("??/*/*")):
        try:
            whole = dict_sha256(load_yaml(str(entry)), exclude=["size", "nfiles"]) == entry.name
        except (DvcException, UnicodeDecodeError, TypeError, AttributeError):
            whole = False
        if not whole:
            found.append(f"{_near(entry)}: damaged entry of DVC's run cache, put aside as {_near(_moved(entry, root, entry.name))}")
    for folder in [folder for folder in root.glob("??/*") if not any(folder.iterdir())]:  # at which DVC stops
        folder.rmdir()
        found.append(f"{_near(folder)}: empty folder of DVC's run cache, removed")
    return found


def _recorded(outs: Iterable[Output]) -> Iterator[Output]:
    return (out for out in outs if out.hash_info and out.protocol == "local")


def _damage(repo: dvc.repo.Repo, out: Output, obj: Any) -> Iterator[str]:
    """What is wrong with the output `obj` that is in the work tree, and with the objects that DVC would put in its place."""
    if obj is not None and obj.hash_info == out.hash_info:
        return
    cache, there = _cache(repo, out), _files(obj) if obj is not None else {}
    recorded: dict[tuple[str, ...], str] = {(): out.hash_info.value}
    if out.hash_info.isdir:
        if damaged := _aside(cache, out.hash_info.value, f"{_near(Path(out.fs_path))} (its list of files)"):
            yield damaged[1]
        try:
            recorded = _files(Tree.load(cache, out.hash_info))
        except (FileNotFoundError, ObjectFormatError):
            return  # DVC makes the whole output again
    for key, oid in recorded.items():
        if there.get(key) == oid:
            continue
        path = Path(out.fs_path, *key)
        name = _near(path).as_posix()
        if damaged := _aside(cache, oid, name):
            actual, line = damaged
            if there.get(key) == actual:
                path.unlink()
            yield line
        elif path.exists() and (trusted := repo.state.get(str(path), out.fs)[1]) and trusted.value == oid:
            os.utime(path)
            yield f"{name}: damaged, though of the same time and size (md5 {there.get(key)}, recorded {oid}); marked as changed"


def _there(repo: dvc.repo.Repo, out: Output, known: StateBase) -> Any:
    """The output in the work tree, hashed; None where nothing is, or a link of a person's own that leads nowhere.

    Links to objects of the cache that are gone are removed: DVC stops at them.
    """
    cache, root = copy.copy(_cache(repo, out)), Path(out.fs_path)
    cache.state = known
    try:
        return build(cache, out.fs_path, out.fs, out.hash_name, dry_run=True, ignore=out.dvcignore)[2]
    except FileNotFoundError:
        broken = [path for path in (root, *root.rglob("*")) if path.is_symlink() and not path.exists()]
        links = [path for path in broken if path.resolve().is_relative_to(Path(cache.path).resolve())]
    for link in links:
        link.unlink()
    return _there(repo, out, known) if links else None


def _files(obj: Any) -> dict[tuple[str, ...], str]:
    return {key: oid.value for key, _, oid in obj} if isinstance(obj, Tree) else {(): obj.hash_info.value}


def _cache(repo: dvc.repo.Repo, out: Output) -> HashFileDB:
    cache: HashFileDB = out.cache if out.use_cache else repo.cache.local  # the run cache keeps what is not cached otherwise
    return cache


def _aside(cache: HashFileDB, oid: str, name: str) -> tuple[str, str] | None:
    """Put the object aside where its content is not what its name says; the md5 found and a line."""
    path = cache.oid_to_path(oid)
    try:
        found = str(hash_file(path, cache.fs, cache.hash_name)[1].value)
    except FileNotFoundError:
        return None
    if found == oid.removesuffix(".dir"):
        return None
    aside = _near(_moved(Path(path), Path(cache.path), oid))
    return found, f"{name}: damaged in DVC's cache (md5 {found}, recorded {oid}), put aside as {aside}"


def _moved(path: Path, root: Path, name: str) -> Path:
    aside = root / ASIDE / name
    aside.parent.mkdir(exist_ok=True)
    return path.replace(aside)


def _near(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _give_back(cache: HashFileDB, out: Output, obj: Any) -> None:
    """Copy into the cache what it lacks of an output that is as recorded."""
    files = _files(obj)
    cache.add([str(Path(out.fs_path, *key)) for key in files], out.fs, list(files.values()))
    if isinstance(obj, Tree):
        cache.add(str(obj.path), obj.fs, str(obj.oid))


def _fetched(repo: dvc.repo.Repo, outputs: list[str] | None = None) -> list[str]:
    """Fetch what the cache lacks of these `outputs`, or of all, from the project's remote, if it has one; a line for what came."""
    remote = repo.config["core"].get("remote")
    if not remote:
        return []
    try:
        return [f"DVC's remote {remote}: {repo.fetch(targets=outputs)} of the missing objects fetched"]
    except DvcException as error:
        return [f"DVC's remote {remote}: {error}"]
