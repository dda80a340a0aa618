"""HTML of numbers and tables, in which every string from outside is escaped and cut to a length that people read."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from xraydenoise.viewer.text import text

ROWS = 200  # of a list that may have any length; the rest is counted, and stands in the stage's own files
ITEMS = 20  # of a list within a cell
MINUS = "\N{MINUS SIGN}"


class Cell(NamedTuple):
    """A table's cell: HTML, and the number that it is sorted by, where it is one."""

    html: str
    value: float | None = None


def number(value: float, digits: int, signed: bool = False) -> str:
    """A number for people, with a true minus sign; "" where there is none."""
    return "" if math.isnan(value) else format(value, f"{'+' if signed else ''}.{digits}f").replace("-", MINUS)


def cell(value: object) -> Cell:
    """Any value of a frame or of JSON."""
    if isinstance(value, Mapping):
        return Cell("; ".join(f"{text(key)}: {cell(inner).html}" for key, inner in value.items()))
    if isinstance(value, list | tuple):
        numbers = len(value) == 2 and all(isinstance(inner, int | float) for inner in value)
        parts = [cell(inner).html for inner in (dict.fromkeys(value) if numbers else value[:ITEMS])]
        more = [] if numbers or len(value) <= ITEMS else [f"and {len(value) - ITEMS} more"]
        return Cell((" to " if numbers else "; ").join([*parts, *more]))
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return Cell("")
    if hasattr(value, "dtype") and hasattr(value, "item"):
        return cell(value.item())
    if isinstance(value, bool):
        return Cell("yes" if value else "no", int(value))
    if isinstance(value, int | float):
        return Cell(format(value, "d" if isinstance(value, int) else ".4g").replace("-", MINUS), value)
    return Cell(text(value))


def table(caption: str, heads: Sequence[str], rows: Sequence[Sequence[Cell]], note: str = "", total: int | None = None) -> str:
    """A table whose first column names its rows; `heads` are HTML, and one that is an SVG is not sorted by.

    `total` is told where there are more rows than those given. The frame around it scrolls where the page is narrow.
    """
    named = f"{text(caption)} <small>{text(note)}</small>" if note else text(caption)
    head = "".join(
        f'<th scope="col" class="axis">{name}</th>' if name.startswith("<svg") else f'<th scope="col">{name}</th>' for name in heads
    )
    body = "".join(f"<tr>{_row_name(row[0])}{''.join(map(_data, row[1:]))}</tr>\n" for row in rows)
    left = "" if total is None or total <= len(rows) else f'<p class="note">The first {len(rows)} of {total} rows.</p>'
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{text(caption)}"><table class="sortable">'
        f"<caption>{named}</caption><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>{left}"
    )


def frame_table(caption: str, frame: pd.DataFrame) -> str:
    """Any frame: its columns' names for heads, the first `ROWS` rows."""
    rows = [[cell(value) for value in row] for row in frame.head(ROWS).itertuples(index=False)]
    return table(caption, [text(str(name).replace("_", " ")) for name in frame.columns], rows, total=len(frame))


def details(summary: str, body: str) -> str:
    """What is folded away until someone asks; `summary` and `body` are HTML."""
    return f"<details><summary>{summary}</summary>{body}</details>"


def facts(pairs: Sequence[tuple[str, str]]) -> str:
    """A list of names and values, both HTML."""
    return f"<dl>{''.join(f'<div><dt>{name}</dt><dd>{value}</dd></div>' for name, value in pairs)}</dl>"


def _row_name(one: Cell) -> str:
    return f'<th scope="row"{_value(one)}>{one.html}</th>'


def _data(one: Cell) -> str:
    return f"<td{_value(one)}>{one.html}</td>"


def _value(one: Cell) -> str:
    return "" if one.value is None else f' class="number" data-value="{float(one.value)!r}"'
