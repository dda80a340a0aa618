"""The pictures of the comparison: gains with their intervals, and denoised radiographs side by side. The only user of matplotlib."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from xraydenoise import disk
from xraydenoise.evaluation import metrics
from xraydenoise.evaluation.ranking import ALL, REFERENCE

DPI = 110
SIDE = 256  # px; a larger picture is shown by its centre, since shrinking it would average the noise away
COLOURS = 10  # of matplotlib's cycle; from the eleventh method on, markers and hatches tell those of one colour apart
MARKERS = ("o", "s", "^")
HATCHES = ("", "//", "xx")
GAP = 1.2  # bars' widths between two conditions of a protocol
RESIDUAL = 0.1  # fraction of full scale at the ends of the residual's colours


class Example(NamedTuple):
    """One test picture and what methods made of it, all (H, W); the last of `denoised` is the best, whose residual is drawn."""

    denoised: Mapping[str, np.ndarray]
    truth: np.ndarray


def gains(ranking: pd.DataFrame, title: str, path: Path) -> None:
    """Gain over the median filter of each method, a group a condition, with its interval; `ranking` is of one track and split.

    The noisy picture is left to the tables: its loss would squeeze all the rest.
    """
    rows = ranking[~ranking["method"].isin([REFERENCE, "noisy"])]
    overall = rows[rows["condition"] == ALL].sort_values("psnr", ascending=False)
    methods = list(overall["method"])
    conditions = list(ranking["condition"].unique())
    step = 0.8 / max(len(methods), 1)
    figure, axes = _one(7.5, 1.3 + len(conditions) * (0.3 + 0.2 * len(methods)))
    for place, method in enumerate(methods):
        own = rows[rows["method"] == method].set_index("condition").reindex(conditions)
        heights = np.arange(len(conditions)) - 0.4 + step * (place + 0.5)
        ends = np.abs(own[["gain_psnr_low", "gain_psnr_high"]].to_numpy().T - own["gain_psnr"].to_numpy())  # (2, conditions)
        shape = MARKERS[place // COLOURS % len(MARKERS)]
        axes.errorbar(own["gain_psnr"], heights, xerr=ends, fmt=shape, markersize=4, capsize=2, linewidth=1.2, label=method)
    axes.axvline(0, color="0.4", linewidth=1)
    for edge in np.arange(len(conditions) - 1) + 0.5:
        axes.axhline(edge, color="0.9", linewidth=1)
    axes.set_yticks(range(len(conditions)), conditions)
    axes.set_ylim(len(conditions) - 0.5, -0.5)
    axes.set_xlabel(f"PSNR gain over the {REFERENCE} filter, dB")
    axes.set_title(title)
    axes.grid(axis="x", color="0.92")
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    if methods:
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    _save(figure, path)


def curves(table: pd.DataFrame, label: str, title: str, path: Path) -> None:
    """PSNR of each method against the level, with intervals; `table` is contracts.Curves of one family, `label` what its level is."""
    figure, axes = _one(7.5, 4.6)
    methods = list(table.groupby("method")["psnr"].mean().sort_values(ascending=False).index)
    for place, method in enumerate(methods):
        own = table[table["method"] == method]
        axes.plot(own["level"], own["psnr"], marker=MARKERS[place // COLOURS % len(MARKERS)], markersize=4, linewidth=1.2, label=method)
        axes.fill_between(own["level"], own["psnr_low"], own["psnr_high"], alpha=0.12, linewidth=0)
    axes.set_xscale("log")
    levels = sorted(table["level"].unique())
    axes.set_xticks(levels, [f"{level:g}" for level in levels])
    axes.minorticks_off()
    axes.set_xlabel(label)
    axes.set_ylabel("PSNR, dB")
    axes.set_title(title)
    axes.grid(color="0.92")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    _save(figure, path)


def protocol(means: pd.DataFrame, title: str, path: Path) -> None:
    """A panel a metric: each method's number as a bar in groups of conditions, a diamond where a figure was published.

    A condition has room for the methods that have a number in it.
    """
    metrics_shown, methods = (list(dict.fromkeys(means[column])) for column in ("metric", "method"))
    place: dict[tuple[object, str], float] = {}
    ticks: dict[str, float] = {}
    edges, top = [], 0.0
    for condition, rows in means.groupby("condition", sort=False):
        scored = [method for method in methods if method in set(rows["method"])]
        place |= {(condition, method): top + number for number, method in enumerate(scored)}
        ticks[str(condition)] = top + (len(scored) - 1) / 2
        top += len(scored) + GAP
        edges.append(top - (1 + GAP) / 2)
    figure = Figure(figsize=(3.6 * len(metrics_shown) + 2.6, 1.2 + max(1.6, 0.13 * top)), dpi=DPI, layout="constrained")
    figure.suptitle(title, fontsize=11)
    panels = figure.subplots(1, len(metrics_shown), squeeze=False, sharey=True)[0]
    for axes, metric in zip(panels, metrics_shown, strict=True):
        rows = means[means["metric"] == metric]
        for number, method in enumerate(methods):
            own = rows[rows["method"] == method]
            heights = [place[condition, method] for condition in own["condition"]]
            hatch = HATCHES[number // COLOURS % len(HATCHES)]
            axes.barh(heights, own["mean"], height=0.9, color=f"C{number % COLOURS}", hatch=hatch, label=method)
            axes.plot(own["published"], heights, "D", color="black", markeredgecolor="white", markersize=5)
        axes.set_title(metric, fontsize=10)
        axes.set_yticks(list(ticks.values()), list(ticks))
        axes.set_ylim(top - GAP, -1)
        for edge in edges[:-1]:
            axes.axhline(edge, color="0.9", linewidth=1)
        axes.grid(axis="x", color="0.92")
        axes.set_axisbelow(True)
        axes.tick_params(axis="y", length=0)
        axes.spines[["top", "right", "left"]].set_visible(False)
    if means["published"].notna().any():
        panels[-1].plot([], [], "D", color="black", markeredgecolor="white", markersize=5, label="published")
    panels[-1].legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, fontsize=8)
    _save(figure, path)


def _one(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    return figure, figure.add_subplot()


def pictures(examples: Sequence[Example], title: str, path: Path) -> None:
    """A row per example: what each method made of it, the truth, and the residual of the best method.

    All grays share the window [0, 1], all residuals one scale, whatever the picture.

    PSNR and SSIM below each are those of the whole picture, also where only its centre is shown.
    """
    names = list(examples[0].denoised)
    best = names[-1]
    cell = SIDE / DPI
    figure = Figure(figsize=((len(names) + 2) * (cell + 0.15) + 0.9, len(examples) * (cell + 0.4) + 0.5), dpi=DPI, layout="constrained")
    cut = max(max(example.truth.shape) for example in examples) > SIDE
    figure.suptitle(f"{title} (centre, {SIDE} px)" if cut else title, fontsize=11)
    grid = figure.subplots(len(examples), len(names) + 2, squeeze=False)
    for axes, name in zip(grid[0], [*names, "truth", f"{best} - truth"], strict=True):
        axes.set_title(name, fontsize=10)
    for row, example in zip(grid, examples, strict=True):
        for axes, pixels in zip(row, example.denoised.values(), strict=False):
            score = metrics.score(pixels, example.truth)
            _gray(axes, pixels, f"{score.psnr:.2f} dB, SSIM {score.ssim:.3f}")
        _gray(row[-2], example.truth, "")
        residual = _centre(example.denoised[best] - example.truth)
        shown = row[-1].imshow(residual, cmap="RdBu_r", vmin=-RESIDUAL, vmax=RESIDUAL, interpolation="nearest")
        _bare(row[-1], f"±{RESIDUAL:g} of full scale")
    figure.colorbar(shown, ax=list(grid[:, -1]), fraction=0.05, ticks=[-RESIDUAL, 0, RESIDUAL])
    _save(figure, path)


def _gray(axes: Axes, pixels: np.ndarray, caption: str) -> None:
    axes.imshow(_centre(pixels), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    _bare(axes, caption)


def _bare(axes: Axes, caption: str) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_xlabel(caption, fontsize=9)


def _centre(pixels: np.ndarray) -> np.ndarray:
    """The middle of (H, W), at most SIDE px in each direction."""
    top, left = (max(0, (length - SIDE) // 2) for length in pixels.shape)
    return pixels[top : top + SIDE, left : left + SIDE]


def _save(figure: Figure, path: Path) -> None:
    """As PNG whose bytes depend on the data alone: no date and no name of the program."""
    FigureCanvasAgg(figure)
    with disk.whole(path) as partial:
        figure.savefig(partial, format="png", metadata={"Software": None})
