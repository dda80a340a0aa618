"""People's own images, versioned by DVC, so that a clone elsewhere and CI get them."""

from pathlib import Path

import dvc.repo

from xraydenoise.data import text

IMAGES = Path("inbox/images")
POINTER = IMAGES.with_suffix(".dvc")


def keep_inbox() -> None:
    """Add inbox/images to DVC once there are any, or again when more came (`dvc add inbox/images`).

    Raises FileNotFoundError when images that DVC has recorded are not there: nobody's data is dropped in silence.
    """
    there = {path.relative_to(IMAGES).as_posix() for path in IMAGES.rglob("*") if path.is_file()}
    if not POINTER.exists() and not there:
        return
    with dvc.repo.Repo() as repo:
        if POINTER.exists():
            if not repo.status(targets=[str(POINTER)]):
                return
            _refuse_missing(repo, there)
        repo.add(str(IMAGES))
    print(f"{IMAGES}: {len(there)} files versioned by DVC; commit {POINTER}, and `dvc push` where a remote is set", flush=True)


def _refuse_missing(repo: dvc.repo.Repo, there: set[str]) -> None:
    out = repo.stage.collect(str(POINTER))[0].outs[0]
    recorded = out.get_obj()  # None where the cache does not hold the list either: a clone that has pulled nothing
    objects = {text.composed("/".join(key)): found.value for key, _, found in recorded or ()}
    lost = sorted(objects.keys() - {text.composed(name) for name in there})  # some disks keep names in another form of Unicode
    if recorded is not None and not lost:
        return
    missing = f"{len(lost)} recorded images, first {lost[0]!r}," if lost else f"the {out.meta.nfiles} recorded images"
    if lost and all(out.cache.exists(objects[name]) for name in lost):
        way = f"`dvc checkout {POINTER}` brings them back"
    elif repo.config["core"].get("remote"):
        way = f"`dvc pull {POINTER}` fetches them from the remote"
    else:
        way = "DVC's cache does not hold them and no remote is set (`dvc remote add`); put them back, or set the remote and `dvc pull`"
    raise FileNotFoundError(f"{IMAGES}: {missing} are not there; {way}; `dvc add {IMAGES}` accepts that they are gone")
