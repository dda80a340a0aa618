"""Which files are denoised into which: everything that can be refused before the first is computed is refused here."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from xraydenoise.data import jpeg, magic
from xraydenoise.files.formats import SUFFIXES


class Job(NamedTuple):
    """A file, and the one that it becomes."""

    source: Path
    target: Path
    comparison: Path | None = None  # the PNG beside the target


class Plan(NamedTuple):
    jobs: list[Job]
    others: int  # files in the folders given that are no pictures, by name and by content


def plan(inputs: Sequence[Path], output: Path, overwrite: bool, compare: bool = False, page: Path | None = None) -> Plan:
    """A job for each file of `inputs` and each picture in its folders, whose tree is kept in `output`; JPEG files become PNG files.

    With `compare` each has a comparison beside its target; `page` is a file that will be written too. Hidden files, and what lies in
    `output`, are passed over in folders.
    Raises OSError for an input that is not there, an output that is no folder, a page that is one, or a file to be written that is there
    already (unless `overwrite`), and ValueError where one is an input, two are the same, or there is nothing to do.
    """
    if page is not None and page.is_dir():
        raise IsADirectoryError(f"--page: {page} is a folder; name a file, such as {page / 'page.html'}")
    if page is not None and (above := next(parent for parent in page.absolute().parents if parent.exists())).is_file():
        raise NotADirectoryError(f"--page: {above} is no folder, and {page} would lie in it; name another file")
    if output.exists() and not output.is_dir():
        raise NotADirectoryError(f"--output: {output} is no folder; name one, or one that is not there yet")
    jobs: list[Job] = []
    others = 0
    for given in inputs:
        if given.is_dir():
            found = list(_walk(given, output.resolve()))
            pictures = [path for path in found if path.suffix.lower() in SUFFIXES or magic.is_dicom(path)]
            others += len(found) - len(pictures)
            jobs += [Job(path, output / _renamed(path).relative_to(given)) for path in pictures]
        elif given.exists():
            jobs.append(Job(given, output / _renamed(given).name))
        else:
            raise FileNotFoundError(f"{given}: not there; name files or folders")
    jobs = list(dict.fromkeys(jobs))
    if not jobs:
        raise ValueError(f"{', '.join(map(str, inputs))}: no pictures among {others} files; expected DICOM, {', '.join(SUFFIXES)}")
    if compare:
        jobs = [job._replace(comparison=job.target.with_name(f"{job.target.name}.compare.png")) for job in jobs]
    _check(jobs, page, overwrite)
    return Plan(jobs, others)


def _walk(folder: Path, output: Path) -> Iterator[Path]:
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and Path(root, name).resolve() != output)
        yield from (Path(root, name) for name in sorted(names) if not name.startswith("."))


def _renamed(path: Path) -> Path:
    try:
        if path.is_file():  # a pipe would wait for its writer
            with path.open("rb") as file:
                return path.with_suffix(".png") if file.read(len(jpeg.MAGIC)) == jpeg.MAGIC else path
    except OSError:  # said when the file's turn comes
        pass
    return path


def _check(jobs: Sequence[Job], page: Path | None, overwrite: bool) -> None:
    sources = {job.source.resolve() for job in jobs}
    written = [(job.target, str(job.source)) for job in jobs]
    written += [(job.comparison, f"the comparison of {job.source}") for job in jobs if job.comparison]
    written += [(page, "the page")] if page else []
    makers: dict[str, str] = {}
    for path, maker in written:
        if path.resolve() in sources:
            raise ValueError(f"{path}: is an input itself, onto which nothing is written; choose another {_option(path, page)}")
        other = makers.setdefault(os.path.normcase(path.resolve()), maker)
        if other != maker:
            raise ValueError(f"{other} and {maker} would both become {path}; write them into two folders")
    there = [path for path, _ in written if path.exists()]
    if there and not overwrite:
        more = f" (and {len(there) - 1} more)" if len(there) > 1 else ""
        raise FileExistsError(f"{there[0]}{more}: there already; --overwrite replaces what is there")


def _option(path: Path, page: Path | None) -> str:
    return "--page" if path == page else "--output"
