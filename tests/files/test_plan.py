import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from xraydenoise.files.plan import Job, plan

JPEG = b"\xff\xd8\xff\xe0"


@contextmanager
def refused(kind: type[Exception], said: str) -> Iterator[None]:
    """As pytest.raises, with / between folders on every system."""
    with pytest.raises(kind) as caught:
        yield
    assert re.search(said, str(caught.value).replace("\\", "/"))


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """scans/ with pictures by name and by content, in two folders, and other files."""
    monkeypatch.chdir(tmp_path)
    for name, content in {
        "scans/a.png": b"",
        "scans/b/c.TIF": b"",
        "scans/b/d.jpg": JPEG,
        "scans/b/IM0001": b"\0" * 128 + b"DICM",
        "scans/notes.txt": b"",
        "scans/.hidden.png": b"",
        "scans/.git/e.png": b"",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path


def test_the_tree_of_a_folder_is_kept_and_its_other_files_are_counted(files: Path) -> None:
    found = plan([Path("scans")], Path("out"), overwrite=False)
    assert {(job.source.as_posix(), job.target.as_posix()) for job in found.jobs} == {
        ("scans/a.png", "out/a.png"),
        ("scans/b/c.TIF", "out/b/c.TIF"),
        ("scans/b/d.jpg", "out/b/d.png"),
        ("scans/b/IM0001", "out/b/IM0001"),
    }
    assert found.others == 1


def test_a_file_goes_straight_into_the_output_and_twice_is_once(files: Path) -> None:
    found = plan([Path("scans/b/c.TIF"), Path("scans/b/c.TIF")], Path("out"), overwrite=False)
    assert found.jobs == [Job(Path("scans/b/c.TIF"), Path("out/c.TIF"))]


def test_a_file_that_is_named_is_tried_whatever_it_is(files: Path) -> None:
    assert plan([Path("scans/notes.txt")], Path("out"), overwrite=False).jobs == [Job(Path("scans/notes.txt"), Path("out/notes.txt"))]


def test_an_output_within_the_input_is_no_input(files: Path) -> None:
    (files / "scans/out").mkdir()
    (files / "scans/out/a.png").touch()
    found = plan([Path("scans")], Path("scans/out"), overwrite=True)
    assert len(found.jobs) == 4
    assert all(job.target.is_relative_to("scans/out") for job in found.jobs)


@pytest.mark.parametrize(("given", "output"), [("scans", "scans"), ("scans/a.png", "scans"), ("scans/a.png", "link")])
def test_nothing_is_written_onto_an_input_even_by_another_name(given: str, output: str, files: Path) -> None:
    (files / "link").symlink_to("scans")
    with refused(ValueError, r"a\.png: is an input itself"):
        plan([Path(given)], Path(output), overwrite=True)


def test_two_sources_of_one_target_are_refused_with_both_names(files: Path) -> None:
    (files / "scans/b/d.png").touch()
    with refused(ValueError, r"scans/b/d\.jpg and scans/b/d\.png would both become out/b/d\.png"):
        plan([Path("scans")], Path("out"), overwrite=True)


def test_what_is_there_already_is_refused_unless_it_may_be_replaced(files: Path) -> None:
    (files / "out/b").mkdir(parents=True)
    (files / "out/a.png").touch()
    (files / "out/b/d.png").touch()
    with refused(FileExistsError, r"out/a\.png \(and 1 more\): there already; --overwrite"):
        plan([Path("scans")], Path("out"), overwrite=False)
    assert len(plan([Path("scans")], Path("out"), overwrite=True).jobs) == 4


def test_an_input_that_is_not_there_an_output_that_is_a_file_and_nothing_to_do_are_refused(files: Path) -> None:
    with refused(FileNotFoundError, "scan: not there"):
        plan([Path("scan")], Path("out"), overwrite=False)
    with refused(NotADirectoryError, r"--output: scans/a\.png is no folder"):
        plan([Path("scans")], Path("scans/a.png"), overwrite=False)
    (files / "empty").mkdir()
    (files / "empty/notes.txt").touch()
    with refused(ValueError, "empty: no pictures among 1 files; expected DICOM, "):
        plan([Path("empty")], Path("out"), overwrite=False)


def test_comparisons_and_the_page_are_planned_and_refused_as_results_are(files: Path) -> None:
    found = plan([Path("scans/b")], Path("out"), overwrite=False, compare=True, page=Path("out/page.html"))
    assert [job.comparison and job.comparison.as_posix() for job in found.jobs] == [
        f"out/{name}.compare.png" for name in ("IM0001", "c.TIF", "d.png")
    ]
    (files / "out").mkdir()
    for name in ("page.html", "c.TIF.compare.png"):
        (files / "out" / name).touch()
    with refused(FileExistsError, r"out/c\.TIF\.compare\.png \(and 1 more\): there already; --overwrite"):
        plan([Path("scans/b")], Path("out"), overwrite=False, compare=True, page=Path("out/page.html"))
    assert plan([Path("scans/b")], Path("out"), overwrite=True, compare=True, page=Path("out/page.html")).jobs == found.jobs
    assert {job.comparison for job in plan([Path("scans/b")], Path("out"), overwrite=False).jobs} == {None}


def test_a_page_is_neither_an_input_nor_a_result_nor_a_folder(files: Path) -> None:
    with refused(ValueError, r"scans/a\.png: is an input itself, onto which nothing is written; choose another --page"):
        plan([Path("scans")], Path("out"), overwrite=True, page=Path("scans/a.png"))
    with refused(ValueError, r"scans/a\.png and the page would both become out/\.\./out/a\.png"):
        plan([Path("scans")], Path("out"), overwrite=True, page=Path("out/../out/a.png"))
    with refused(IsADirectoryError, r"--page: scans is a folder; name a file, such as scans/page\.html"):
        plan([Path("scans")], Path("out"), overwrite=True, page=Path("scans"))
    with refused(NotADirectoryError, r"--page: .*a\.png is no folder, and scans/a\.png/page\.html would lie in it"):
        plan([Path("scans")], Path("out"), overwrite=True, page=Path("scans/a.png/page.html"))


def test_a_result_that_would_be_the_comparison_of_another_is_refused(files: Path) -> None:
    (files / "scans/a.png.compare.png").touch()
    with refused(ValueError, r"scans/a\.png\.compare\.png and the comparison of scans/a\.png would both become out/a\.png\.c"):
        plan([Path("scans")], Path("out"), overwrite=True, compare=True)
