"""An `images.csv`: whose the images are that lie beside it or below. What is misspelt there is refused, as it would be lost in silence.

Columns that are nothing like a known name are another matter: hospitals' exports have dozens. They are named and not read.
"""

import csv
import io
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

from xraydenoise.data import text
from xraydenoise.data.sources import NAMED, ascii_name

NAME = "images.csv"  # in any case
REQUIRED = ("file", "patient_id")
OPTIONAL = ("view", "label", "licence", "origin")
KNOWN = (*REQUIRED, *OPTIONAL)
ALIKE = 0.8  # of difflib's ratio: `license`, `labels` and `lable` are misspelt, `lab` and `label_date` are columns of their own
SEPARATORS = {";": "semicolons", "\t": "tabs"}

Row = dict[str, str | None]  # a cell, or None where it is empty or a missing value, for each of KNOWN
EMPTY: Row = dict.fromkeys(KNOWN)


class Table(NamedTuple):
    """What one table tells."""

    path: Path
    rows: dict[Path, Row]  # by the file that each is of
    ignored: list[str]  # columns that are not read
    missing: Counter[tuple[str, str]]  # column and what stands in its cells for a missing value -> how many of them

    def tell(self) -> None:
        """Print which columns are not read, and which cells are taken for missing values; nothing where there are none."""
        if self.ignored:
            names = ", ".join(self.ignored[:NAMED]) + (", ..." if len(self.ignored) > NAMED else "")
            print(f"{self.path}: {len(self.ignored)} columns are not read: {names}; known are {', '.join(KNOWN)}")
        if self.missing:
            cells = ", ".join(f"{count} {written} of {column}" for (column, written), count in self.missing.items())
            print(f"{self.path}: {self.missing.total()} cells count as empty: {cells}; write another word where one is meant")


def is_table(path: Path) -> bool:
    return path.name.casefold() == NAME


def by_name(files: Iterable[Path]) -> dict[Path, Path]:
    """Each of `files` under its name in composed Unicode. Raises ValueError where two have one name."""
    found: dict[Path, Path] = {}
    for file in files:
        if (other := found.setdefault(Path(text.composed(str(file))), file)) != file:
            raise ValueError(f"{file.parent}: {other.name!a} and {file.name!a} are one name in two forms of Unicode; rename one")
    return found


def read_all(paths: Iterable[Path], files: Mapping[Path, Path]) -> list[Table]:
    """The tables in `paths`; each listed file must be one of `by_name`. Raises as `read`, and ValueError where two tables contend."""
    tables: list[Table] = []
    beside: dict[Path, Path] = {}  # folder -> its table
    listed: dict[Path, Path] = {}  # file -> its table
    for path in paths:
        if path.parent in beside:
            raise ValueError(f"{path}: {beside[path.parent].name} lies beside it; make one table of the two")
        table = read(path, files)
        for file in table.rows:
            if file in listed:
                raise ValueError(f"{path}: {ascii_name(file)} is listed in {listed[file]} too; remove one of the rows")
            listed[file] = path
        beside[path.parent] = path
        tables.append(table)
    return tables


def read(path: Path, files: Mapping[Path, Path]) -> Table:
    """`files` as `by_name` gives them. Raises ValueError or FileNotFoundError naming the table, the line, the value and the way out."""
    try:
        content = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: byte {error.start} is not UTF-8; save the table as CSV in UTF-8") from error
    _check_separator(path, content.partition("\n")[0])
    lines = _lines(path, content)
    header = next(lines, (1, []))[1]
    columns, ignored = _columns(path, header)
    must = 1 + max(columns.index(column) for column in REQUIRED)  # cells
    rows: dict[Path, Row] = {}
    missing: Counter[tuple[str, str]] = Counter()
    for number, cells in lines:
        where = f"{path}: line {number}"
        if len(cells) > len(header) or any(cells[len(columns) :]):  # spreadsheets write the empty cells of a column that was cleared
            raise ValueError(
                f'{where}: {len(cells)} cells for {len(columns)} columns; put a cell that holds a comma in quotes, "chest, AP"'
            )
        if len(cells) < must:
            raise ValueError(f"{where}: {len(cells)} cells; {' and '.join(REQUIRED)} need {must}, empty where a patient is not known")
        cell = dict(zip(columns, cells, strict=False))
        file = _file_of(path, where, cell["file"], files)
        if file in rows:
            raise ValueError(f"{where}: {cell['file']!r} is listed twice; remove one row")
        rows[file] = {column: text.known(cell.get(column, "")) for column in KNOWN}
        missing.update((column, cell[column]) for column in KNOWN if cell.get(column) and rows[file][column] is None)
    return Table(path, rows, ignored, missing)


def _file_of(table: Path, where: str, name: str, files: Mapping[Path, Path]) -> Path:
    def path(name: str) -> Path:
        return Path(text.composed(os.path.normpath(table.parent / name)))

    if (file := files.get(path(name))) is not None:
        return file
    if text.known(name) is None:
        raise FileNotFoundError(f"{where}: {name!r} names no file; write the file's name, or remove the row")
    if (divided := name.replace("\\", "/")) != name and path(divided) in files:
        raise FileNotFoundError(f"{where}: {name!r} is not there; folders are divided by /, not by a backslash: write {divided!r}")
    folded = str(path(name)).casefold()
    if (other := next((one for one in files if str(one).casefold() == folded), None)) is not None:
        raise FileNotFoundError(f"{where}: {name!r} is not there, {ascii_name(other)} is; write the name as the file has it")
    if path(name).exists():
        raise FileNotFoundError(
            f"{where}: {name!r} is a folder, hidden, or outside of the dataset; name a file that is read, or remove the row"
        )
    raise FileNotFoundError(f"{where}: {name!r} is not there; put it back, or remove the row")


def _check_separator(path: Path, first: str) -> None:
    """Before the table is parsed, as quoted cells with another mark between them look like a quote out of place."""
    for mark, name in SEPARATORS.items():
        if mark in first and "," not in first:
            raise ValueError(f"{path}: line 1: its cells are separated by {name}, found {first!r}; save the table with commas")


def _columns(path: Path, header: list[str]) -> tuple[list[str], list[str]]:
    """The columns' names in lower case, up to the last that has one, and those that are not read, as they are written."""
    names = [name.casefold() for name in header]
    while names and not names[-1]:
        names.pop()
    found = ", ".join(filter(None, header)) or "nothing"
    if missing := set(REQUIRED) - set(names):
        raise ValueError(f"{path}: has no column {', '.join(sorted(missing))}; found {found}")
    if twice := [column for column in KNOWN if names.count(column) > 1]:
        raise ValueError(f"{path}: line 1: column {twice[0]} stands there twice, found {found}; remove or rename one")
    ignored = [written for written, name in zip(header, names, strict=False) if name not in KNOWN]
    absent = [column for column in OPTIONAL if column not in names]
    for column in ignored:
        if meant := get_close_matches(column.casefold(), absent, n=1, cutoff=ALIKE):
            raise ValueError(f"{path}: line 1: column {column!r} is not known; rename it to {meant[0]}, or to a name less like that")
    return names, [column or "one without a name" for column in ignored]


def _lines(path: Path, content: str) -> Iterator[tuple[int, list[str]]]:
    """The rows that hold anything, and the line where each begins; cells without the blanks around them."""
    reader = csv.reader(io.StringIO(content, newline=""), strict=True, skipinitialspace=True)
    begin = 1
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if any(cells):
                yield begin, cells
            begin = reader.line_num + 1
    except csv.Error as error:
        way = "close the quote that opens there, or double a quote that is part of a cell"
        raise ValueError(f"{path}: line {begin}: {error}; {way}") from error
