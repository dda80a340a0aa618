"""Inline SVG whose colours are the style sheet's: intervals beside a table's numbers, and quality against noise and dose."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from xraydenoise.evaluation.page.markup import MINUS, number
from xraydenoise.viewer.text import text

BAR = 144  # px, width of an interval's column
WIDTH, HEIGHT = 480, 320  # px, of a chart
LEFT, RIGHT, TOP, BOTTOM = 40, 10, 10, 44  # px, its margins
COLOURS = 8  # of the style sheet; beyond them, dashes tell the lines of one colour apart
DASHES = ("", "7 3", "2 3")
LOGARITHMIC = ("quantum",)  # families whose levels are spaced by factors


def steps(low: float, high: float, count: int) -> list[float]:
    """About `count` round numbers that reach from `low` or below to `high` or above."""
    raw = max(high - low, 1e-6) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(step * place, 9) for place in range(first, last + 1)]


def axis(low: float, high: float) -> str:
    """The head of a column of intervals: its ends and its zero, all in the column's unit."""
    ends = {low, 0.0, high}
    marks = "".join(
        f'<text x="{_across(value, low, high):.1f}" y="11" text-anchor="{_anchor(value, low, high)}">{_signed(value)}</text>'
        for value in sorted(ends)
    )
    return f'<svg class="bar" viewBox="0 0 {BAR} 14" width="{BAR}" height="14" aria-hidden="true">{marks}</svg>'


def bar(mean: float, ends: tuple[float, float], span: tuple[float, float]) -> str:
    """A gain and its interval on the scale `span`; a triangle at the edge where it lies outside. The numbers stand in the table."""
    low, high = span
    zero = _across(0, low, high)
    if not low <= mean <= high:
        side, tip = (BAR - 9, BAR - 2) if mean > high else (9, 2)
        shape = f'<path class="out" d="M{side} 4L{tip} 8L{side} 12Z"/>'
    else:
        left, right = (_across(min(max(end, low), high), low, high) for end in ends)
        shape = f'<path class="whisker" d="M{left:.1f} 8H{right:.1f}"/><circle cx="{_across(mean, low, high):.1f}" cy="8" r="3.5"/>'
    return (
        f'<svg class="bar" viewBox="0 0 {BAR} 16" width="{BAR}" height="16" aria-hidden="true">'
        f'<path class="zero" d="M{zero:.1f} 0V16"/>{shape}</svg>'
    )


def _signed(value: float) -> str:
    return f"{value:+g}".replace("-", MINUS) if value else "0"


def _across(value: float, low: float, high: float) -> float:
    return 8 + (value - low) / (high - low) * (BAR - 16)


def _anchor(value: float, low: float, high: float) -> str:
    return "start" if value == low else "end" if value == high else "middle"


def legend(methods: Sequence[str], notes: Sequence[str]) -> str:
    """A button a method, which the page's script makes show that line alone; `notes` stand behind the names."""
    items = ""
    for place, (method, note) in enumerate(zip(methods, notes, strict=True)):
        sample = f'<path class="line {_colour(place)}"{_dash(place)} d="M1 5H25"/>'
        drawn = f'<svg viewBox="0 0 26 10" width="26" height="10" aria-hidden="true">{sample}</svg>'
        named = f"{text(method)} <small>{note}</small>" if note else text(method)
        items += f'<li><button type="button" aria-pressed="false" data-series="{place}">{drawn}{named}</button></li>'
    return f'<ul class="legend">{items}</ul>'


def chart(rows: pd.DataFrame, family: str, methods: Sequence[str], unit: str) -> str:
    """PSNR with intervals against the level of `family`, a line each of `methods` (that order gives the colours)."""
    levels = [float(level) for level in np.sort(rows["level"].unique())]
    ticks = steps(float(rows["psnr_low"].min()), float(rows["psnr_high"].max()), 6)
    x = _places(levels, family in LOGARITHMIC)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (value - ticks[0]) / (ticks[-1] - ticks[0]) * (HEIGHT - TOP - BOTTOM)

    grid = ""
    for tick in ticks:
        named = f'<text x="{LEFT - 6}" y="{y(tick) + 4:.1f}" text-anchor="end">{number(tick, 0 if tick == int(tick) else 1)}</text>'
        grid += f'<path class="grid" d="M{LEFT} {y(tick):.1f}H{WIDTH - RIGHT}"/>{named}'
    marks, last = "", -math.inf
    for level in levels:
        if x(level) - last > 34:  # px, which a number needs
            last = x(level)
            marks += f'<text x="{last:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{level:.3g}</text>'
    marks += f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 6}" text-anchor="middle">{text(unit)}</text>'
    lines = "".join(_line(rows[rows["method"] == method], place, len(methods), x, y) for place, method in enumerate(methods))
    told = f"PSNR in dB against {text(unit)}; its numbers stand in the table below"
    return f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{told}">{grid}{marks}{lines}</svg>'


def _line(rows: pd.DataFrame, place: int, count: int, x: Callable[[float], float], y: Callable[[float], float]) -> str:
    shift = (place - (count - 1) / 2) * min(3.0, 14 / count)  # beside each other, so that intervals do not hide each other
    points = [
        (x(level) + shift, y(psnr), y(low), y(high))
        for level, psnr, low, high in rows[["level", "psnr", "psnr_low", "psnr_high"]].itertuples(index=False)
    ]
    if not points:
        return ""
    whiskers = "".join(f"M{across:.1f} {low:.1f}V{high:.1f}" for across, _, low, high in points)
    path = "L".join(f"{across:.1f} {middle:.1f}" for across, middle, _, _ in points)
    dots = "".join(f'<circle cx="{across:.1f}" cy="{middle:.1f}" r="2.6"/>' for across, middle, _, _ in points)
    line = f'<path class="line"{_dash(place)} d="M{path}"/>'
    return f'<g class="{_colour(place)}" data-series="{place}"><path class="whisker" d="{whiskers}"/>{line}{dots}</g>'


def _places(levels: Sequence[float], logarithmic: bool) -> Callable[[float], float]:
    def scale(level: float) -> float:
        return math.log(level) if logarithmic else level

    first, last = scale(levels[0]), scale(levels[-1])
    inner = WIDTH - LEFT - RIGHT - 36

    def place(level: float) -> float:
        return LEFT + 18 + (inner / 2 if first == last else (scale(level) - first) / (last - first) * inner)

    return place


def _colour(place: int) -> str:
    return f"series{place % COLOURS}"


def _dash(place: int) -> str:
    dash = DASHES[place // COLOURS % len(DASHES)]
    return f' stroke-dasharray="{dash}"' if dash else ""
