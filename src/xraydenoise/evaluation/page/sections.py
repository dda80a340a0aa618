"""The page's sections as HTML, each from the part of the content that it shows."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from xraydenoise.evaluation.curves import LEVELS
from xraydenoise.evaluation.page import charts, markup
from xraydenoise.evaluation.page.content import Content
from xraydenoise.evaluation.page.markup import Cell, cell, details, facts, frame_table, number, table
from xraydenoise.evaluation.ranking import ALL, CHAMPION, REFERENCE, count, none_apart
from xraydenoise.evaluation.report import MEANING
from xraydenoise.evaluation.statistics import FEW
from xraydenoise.viewer.text import text

MEAN = "mean over conditions"
Columns = Mapping[str, tuple[str, int]]  # of a ranking: head, and digits shown

METRICS = {
    "psnr": ("PSNR, dB", 2),
    "ssim": ("SSIM", 4),
    "ms_ssim": ("MS-SSIM", 4),
    "edges": ("edges", 3),
    "mse": ("MSE", 5),
}
AGREEMENT = {"label_psnr": ("label: PSNR, dB", 2), "label_ssim": ("label: SSIM", 4)}  # behind all that is of the truth


def summary(content: Content) -> str:
    """The chosen model of each track with its gain on test, what to beware of, and what would make the same numbers again."""
    parts = ['<div class="cards">']
    test = content.ranking[content.ranking["split"] == "test"]
    for track, method in content.chosen.items():
        overall = test[(test["track"] == track) & (test["condition"] == ALL)]
        row = overall[overall["method"] == method].iloc[0]
        parts.append(
            f'<article class="card"><h3>Track {text(track)}</h3><p class="chosen">{text(method)}</p>'
            f'<p class="gain"><strong>{number(row["gain_psnr"], 2, signed=True)} dB</strong> {_ends(row, "gain_psnr", 2)}</p>'
            f"<p>PSNR over the {REFERENCE} filter, {MEAN}; {_count(row)} of test. Chosen on val."
            f"{_tied(overall, method, content.confidence)} {CHAMPION[track in content.champions]}</p></article>"
        )
    parts.append("</div>")
    if content.warnings:
        items = "".join(f"<li>{text(warning)}</li>" for warning in content.warnings)
        parts.append(f'<div class="warnings" role="note"><h3>Warnings</h3><ul>{items}</ul></div>')
    known = [
        ("intervals", f"{content.confidence:.0%}, {content.resamples} bootstrap resamples of patients, of pictures under {FEW} patients"),
        ("test set", f"<code>{text(content.test_set)}</code>"),
        ("seed", f"{content.seed}"),
    ]
    return "".join([*parts, facts(known)])


def ranking(content: Content) -> str:
    """A table a track, split and condition, best first: means, gains with intervals, and the letters of who cannot be told apart."""
    parts = []
    for track, rows in content.ranking.groupby("track", sort=False):
        meaning = text(MEANING[str(track)].replace("**", "").replace("`", ""))
        parts.append(f'<section class="track"><h3>Track {text(track)}</h3><p>{meaning}</p>')
        test, val = (_tables(part, str(track), content) for part in (rows[rows["split"] == "test"], rows[rows["split"] != "test"]))
        parts += test[:1] + [details("Test, each condition alone", "".join(test[1:]))] * (len(test) > 1)
        parts += [details("Validation, which the choice was made on", "".join(val))] * bool(val) + ["</section>"]
    return "".join(parts)


def _tables(rows: pd.DataFrame, track: str, content: Content) -> list[str]:
    found = []
    shown = rows[~rows["method"].isin([REFERENCE, "noisy"])]  # the noisy picture's loss would squeeze all the rest
    ticks = charts.steps(min(0.0, shown["gain_psnr_low"].min()), max(0.0, shown["gain_psnr_high"].max()), 4) if len(shown) else [-1.0, 1.0]
    span = (ticks[0], ticks[-1])
    metrics, agreement = (
        {name: shape for name, shape in columns.items() if name in rows and rows[name].notna().any()} for columns in (METRICS, AGREEMENT)
    )
    heads = [*(head for head, _ in metrics.values()), f"gain over the {REFERENCE}, dB", charts.axis(*span), "gain in SSIM"]
    heads += [head for head, _ in agreement.values()]
    grouped = "group" in rows and bool(rows["group"].notna().any())
    for condition, block in sorted(rows.groupby("condition", sort=False), key=lambda pair: pair[0] != ALL):
        first = block.iloc[0]
        caption = f"{str(first['split']).capitalize()}, {MEAN if condition == ALL else str(condition)}"
        lines = [_line(row, metrics, agreement, span, grouped, _note(row["method"], track, content)) for row in block.to_dict("records")]
        note = f"{_count(first)}; intervals {content.confidence:.0%}"
        found.append(table(caption, ["method", *(["group"] if grouped else []), *heads], lines, note))
    return found


def _line(row: Mapping[Any, Any], metrics: Columns, agreement: Columns, span: tuple[float, float], grouped: bool, note: str) -> list[Cell]:
    tag = f' <small class="{note}">{note}</small>' if note else ""
    line = [Cell(f"{text(row['method'])}{tag}")]
    line += [cell(row["group"])] if grouped else []
    line += [Cell(number(row[name], digits), row[name]) for name, (_, digits) in metrics.items()]
    is_reference = row["method"] == REFERENCE
    for name, digits in (("gain_psnr", 2), ("gain_ssim", 4)):
        told = "reference" if is_reference else f"{number(row[name], digits, signed=True)} {_ends(row, name, digits)}"
        line.append(Cell(told, row[name]))
    drawn = Cell(charts.bar(row["gain_psnr"], (row["gain_psnr_low"], row["gain_psnr_high"]), span))
    return [*line[:-1], drawn, line[-1], *(Cell(number(row[name], digits), row[name]) for name, (_, digits) in agreement.items())]


def _ends(row: "pd.Series[Any] | Mapping[Any, Any]", name: str, digits: int) -> str:
    low, high = (number(row[f"{name}_{end}"], digits, signed=True) for end in ("low", "high"))
    return f'<span class="interval">[{low}, {high}]</span>'


def _note(method: str, track: str, content: Content) -> str:
    return "chosen" if content.chosen.get(track) == method else "baseline" if method in content.baselines else ""


def _count(row: "pd.Series[Any]") -> str:
    return count(*(int(row[column]) for column in ("images", "pictures", "patients")))


def _tied(overall: pd.DataFrame, method: str, confidence: float) -> str:
    if "group" not in overall:
        return ""
    letters = set(overall.loc[overall["method"] == method, "group"].iloc[0])
    tied = [other for other, group in zip(overall["method"], overall["group"], strict=True) if other != method and letters & set(group)]
    if tied and len(tied) == len(overall) - 1:
        why = ": there are too few patients" if none_apart(overall, confidence) else ""
        return f" Nothing on test can be told apart from it{why}."
    return f" Not told apart on test from: {', '.join(map(text, tied))}." if tied else " Told apart on test from all others."


def curves(content: Content) -> str:
    """A chart a family of noise, and the numbers behind it."""
    if content.curves.empty:
        return "<p>No sweep over levels was made.</p>"
    means = content.curves.groupby("method")["psnr"].mean()
    first = list(content.chosen.values())
    methods = sorted(means.index, key=lambda method: (method not in first, -means[method], method))
    drawn, tables = "", ""
    for family, rows in content.curves.groupby("family", sort=False):
        unit = LEVELS[str(family)]
        lines_drawn = charts.chart(rows, str(family), methods, unit)
        drawn += f"<figure><figcaption>PSNR, dB, under {text(family)} noise</figcaption>{lines_drawn}</figure>"
        lines = [
            [Cell(text(method)), cell(level), Cell(number(psnr, 2), psnr), Cell(f"[{number(low, 2)}, {number(high, 2)}]")]
            for method, level, psnr, low, high in rows[["method", "level", "psnr", "psnr_low", "psnr_high"]].itertuples(index=False)
        ]
        tables += table(f"{str(family).capitalize()} noise", ["method", text(unit), "PSNR, dB", "interval"], lines)
    notes = ["chosen" if method in first else "baseline" if method in content.baselines else "" for method in methods]
    why = "Intervals hold how much pictures differ; methods see the same pictures, so the gains above tell them apart better."
    return f'<div class="charts">{drawn}</div>{charts.legend(methods, notes)}<p class="note">{why}</p>{details("Numbers", tables)}'


def protocols(content: Content) -> str:
    """Each published comparison: what it ran on, its first metric, and behind a click what was trained and the other metrics."""
    parts = []
    for chapter in content.protocols:
        lines = "".join(f"<p>{text(line)}</p>" for line in chapter.lines)
        shown = [frame_table(one.title, one.table) + (f"<p>{text(one.text)}</p>" if one.text else "") for one in chapter.sections]
        trained, first, *others = shown
        folded = [(chapter.sections[0].title, trained), *([("Other metrics", "".join(others))] if others else [])]
        more = "".join(details(text(title), body) for title, body in folded)
        parts.append(f"<section><h3>{text(chapter.title)}</h3>{lines}{first}{more}</section>")
    return "".join(parts) or "<p>No published comparison was run.</p>"


def audit(content: Content, uris: dict[int, tuple[str, str]]) -> str:
    """How many labels were vetoed, the worst beside their inputs (`uris`: input and label by place), and all findings."""
    if content.audit.empty:
        return "<p>No label was made.</p>"
    vetoed = content.audit["vetoed"].astype(bool)
    parts = [
        f"<p><strong>{vetoed.sum()} of {len(vetoed)} labels ({vetoed.mean():.1%}) were vetoed</strong>: no model learns from them or is "
        "chosen by them; test keeps their pictures, whose truth is known.</p>"
    ]
    figures = ""
    for place, pair in uris.items():
        told = content.worst_labels[place]
        name = text(told.image)
        pictures = "".join(f'<img src="{one}" alt="{kind} of {name}">' for kind, one in zip(("input", "label"), pair, strict=True))
        figures += f"<figure><div>{pictures}</div><figcaption><code>{name}</code> {text(told.reason)}</figcaption></figure>"
    parts.append(f'<h3>Worst labels <small>input left, label right</small></h3><div class="pairs">{figures}</div>' if figures else "")
    order = vetoed.sort_values(ascending=False, kind="stable").index
    return "".join([*parts, details(f"All {len(vetoed)} findings", frame_table("Label audit, vetoed first", content.audit.loc[order]))])


def leakage(content: Content) -> str:
    """What was looked at to keep the splits apart, and what was found."""
    proof = content.leakage
    leaks = "".join(f"<li>{text(leak)}</li>" for leak in proof["leaks"][: markup.ROWS])
    found = f'<div class="warnings" role="note"><h3>{len(proof["leaks"])} leaks</h3><ul>{leaks}</ul></div>' if leaks else ""
    parts = [found or "<p><strong>No leak found:</strong> no patient and no picture stands in two splits.</p>"]
    splits = pd.DataFrame([{"split": split, **counts} for split, counts in proof["splits"].items()])
    parts.append(frame_table("Splits", splits))
    lists = (
        ("pairs", "Same picture or DICOM patient under two names", "No picture came twice, and no DICOM patient under two names."),
        ("joined", "Patients joined to one group", "No patients had to be joined."),
        (
            "nearest_across_splits",
            f"Most alike across splits; the same from {proof['threshold']:g}",
            "No pictures in two splits to compare.",
        ),
    )
    for key, caption, none in lists:
        rows = pd.DataFrame(proof[key])
        parts.append(details(f"{caption} ({len(rows)})", frame_table(caption, rows)) if len(rows) else f"<p>{none}</p>")
    return "".join(parts)


def card(content: Content) -> str:
    """The dataset card: a column a dataset."""
    datasets = content.card["datasets"]
    known = [("pictures", content.card["pictures"]), ("patients", content.card["patients"]), ("identity", content.card["identity"])]
    names = list(dict.fromkeys(name for facts in datasets.values() for name in facts))
    rows = [
        [Cell(text(name.replace("_", " "))), *(Cell(cell(facts[name]).html or "none") for facts in datasets.values())] for name in names
    ]
    return facts([(name, cell(value).html) for name, value in known]) + table("Datasets", ["fact", *map(text, datasets)], rows)


def quarantine(content: Content) -> str:
    """How many files were refused and why, and each of them."""
    if content.quarantine.empty:
        return "<p>No file was refused.</p>"
    counts = content.quarantine["reason"].value_counts().rename_axis("reason").reset_index(name="files")
    total = len(content.quarantine)
    counted = frame_table("Refused files by reason", counts.sort_values(["files", "reason"], ascending=[False, True]))
    return counted + details(f"All {total} files", frame_table("Refused files", content.quarantine))
