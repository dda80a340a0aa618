from pathlib import Path

import numpy as np
import pytest

from xraydenoise.data import store
from xraydenoise.data.duplicates import LENGTH
from xraydenoise.data.journal import Journal


def picture(number: int) -> np.ndarray:
    return np.full((3, 4 + number), number, np.uint16)


def fill(journal: Journal, numbers: range) -> None:
    """Rows of the even numbers own a picture, the others are refused."""
    for number in numbers:
        if number % 2:
            journal.append({"file": str(number), "reason": "constant"})
        else:
            journal.append({"file": str(number)}, picture(number), np.full(LENGTH, number, np.float32))


def interrupted(folder: Path, done: int) -> None:
    """A run that ends after so many rows."""

    def run() -> None:
        with Journal(folder, "a") as journal:
            fill(journal, range(done))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run()


def files(folder: Path) -> list[bytes]:
    return [(folder / name).read_bytes() for name in ("rows.jsonl", "pixels.npy", "signatures.npy")]


@pytest.fixture
def whole(tmp_path: Path) -> list[bytes]:
    """The files of a journal that was written without a break."""
    with Journal(tmp_path / "whole", "a") as journal:
        fill(journal, range(6))
    return files(tmp_path / "whole")


def test_rows_tell_where_their_pixels_lie(whole: list[bytes], tmp_path: Path) -> None:
    journal = Journal(tmp_path / "whole", "a")
    assert journal.done == 6
    with journal:
        pass
    assert [row["file"] for row in journal.read()] == list("012345")
    table = journal.table(["file", "offset", "height", "width"], having="offset")
    assert table.to_dict("list") == {"file": ["0", "2", "4"], "offset": [0, 12, 30], "height": [3, 3, 3], "width": [4, 6, 8]}
    pixels = store.open_store(journal.pixels)
    np.testing.assert_array_equal(pixels[30:54], np.full(24, 4))
    np.testing.assert_array_equal(store.open_store(journal.signatures).reshape(-1, LENGTH)[:, 0], [0, 2, 4])
    assert journal.table(["file", "reason"], having="reason")["file"].to_list() == ["1", "3", "5"]
    assert journal.table(["file"], having="no such column").empty


@pytest.mark.parametrize("done", range(6))
def test_after_a_failure_it_goes_on_to_the_same_bytes(done: int, whole: list[bytes], tmp_path: Path) -> None:
    interrupted(tmp_path / "b", done)
    again = Journal(tmp_path / "b", "a")
    assert again.done == done
    with again:
        fill(again, range(done, 6))
    assert files(tmp_path / "b") == whole


@pytest.mark.parametrize(
    ("name", "left"), [("rows.jsonl", 150), ("pixels.npy.partial", 128 + 40), ("signatures.npy.partial", 128 + 4 * LENGTH + 3)]
)
def test_whatever_a_kill_left_of_the_files_only_whole_rows_count(name: str, left: int, whole: list[bytes], tmp_path: Path) -> None:
    interrupted(tmp_path / "b", 5)
    with (tmp_path / "b" / name).open("r+b") as file:
        file.truncate(left)
    again = Journal(tmp_path / "b", "a")
    assert 0 < again.done < 5
    with again:
        fill(again, range(again.done, 6))
    assert files(tmp_path / "b") == whole


def test_a_kill_between_the_two_stores_loses_no_row(whole: list[bytes], tmp_path: Path) -> None:
    folder = tmp_path / "whole"
    (folder / "signatures.npy").rename(folder / "signatures.npy.partial")
    again = Journal(folder, "a")
    assert again.done == 6
    with again:
        fill(again, range(6, 6))
    assert files(folder) == whole


def test_under_another_key_it_starts_anew(whole: list[bytes], tmp_path: Path) -> None:
    journal = Journal(tmp_path / "whole", "b")
    assert (journal.done, list(journal.read())) == (0, [])


@pytest.mark.parametrize("reason", ["crash", "memory", "timeout"])
def test_a_row_refused_for_a_passing_reason_is_written_again_with_all_behind_it(reason: str, whole: list[bytes], tmp_path: Path) -> None:
    for ended in (True, False):
        with Journal(tmp_path / "b", "a") as journal:
            fill(journal, range(journal.done, 3))
            journal.append({"file": "3", "reason": reason})
            fill(journal, range(4, 6))
        for name in () if ended else ("pixels.npy", "signatures.npy"):  # as a kill would leave them
            (tmp_path / "b" / name).rename(tmp_path / "b" / f"{name}.partial")
        again = Journal(tmp_path / "b", "a")
        assert (again.done, len(list(again.read()))) == (3, 3)
    with again:
        fill(again, range(3, 6))
    assert files(tmp_path / "b") == whole


@pytest.mark.parametrize("ended", [True, False])
@pytest.mark.parametrize("name", ["rows.jsonl", "pixels.npy", "signatures.npy", "key"])
def test_what_is_damaged_is_told_in_a_line_and_done_again_to_the_same_bytes(
    name: str, ended: bool, damage, whole: list[bytes], tmp_path: Path, capsys
) -> None:
    folder = tmp_path / "whole"
    if not ended and (folder / name).suffix == ".npy":
        (folder / name).rename(folder / f"{name}.partial")
    damage(next(folder.glob(f"{name}*")))
    again = Journal(folder, "a")
    assert again.done < 6
    assert len(list(again.read())) == again.done
    said = capsys.readouterr().out
    if name != "key" and (folder / "rows.jsonl").stat().st_size:
        assert said == "" or said.startswith(f"{folder / 'rows.jsonl'}: from row {again.done + 1} on ")
    with again:
        fill(again, range(again.done, 6))
    assert files(folder) == whole


def test_a_damaged_header_of_a_store_is_written_again(whole: list[bytes], tmp_path: Path) -> None:
    for name in ("pixels.npy", "signatures.npy"):
        with (tmp_path / "whole" / name).open("r+b") as file:
            file.write(bytes(100))
    with Journal(tmp_path / "whole", "a") as again:
        assert again.done == 6
    assert files(tmp_path / "whole") == whole
