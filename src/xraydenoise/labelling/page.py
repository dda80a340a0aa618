"""The audit as people read it."""

import pandas as pd

from xraydenoise.labelling.audit import Limits, hardest
from xraydenoise.labelling.lesions import CONTRAST, RADIUS
from xraydenoise.tables import markdown

WORST = 5  # labels that are listed under each heading
HEADINGS = {
    "shift": "Brightness moved most",
    "added": "Most fine detail added",
    "structured": "Residual most structured",
    "survival": "Lesion changed most",
}
MEASURES = ["shift", "block_shift", "overshoot", "detail", "added", "residual", "structure", "structured", "survival", "correlation"]


def readable(table: pd.DataFrame, limits: Limits, picture: str) -> str:
    """An `audit.Audit` as a Markdown page; `picture` is the file beside it that shows the worst labels, in the order of their severity."""
    least, most = limits.survival
    lines = [
        "# Audit of the labels",
        "",
        f"{share(table['vetoed'])} were vetoed: neither training, val nor test see them.",
        "Real-ESRGAN shifts brightness, invents texture and may wipe out what is small. So agreement with its labels is not quality: one "
        "that passes is no truth either.",
        "",
        f"- `shift`: mean of the label less mean of the input; vetoed beyond {limits.shift:g} either way.",
        f"- `added`: rms of detail finer than 1.5 px that the label has beyond its input; vetoed above {limits.added:g}.",
        f"- `structured`: standard deviation of the part of the residual, label - input, that neighbouring pixels share; vetoed above "
        f"{limits.structured:g}. `structure` is the share of its variance: 0 is white noise removed, 1 anatomy lost or invented.",
        f"- `survival`: share of its contrast that a disc of radius {RADIUS} px and contrast {CONTRAST:g} keeps, put into the smoothest "
        f"place before labelling; vetoed outside {least:g} to {most:g}. Empty: {int(table['survival'].isna().sum())} inputs have no place.",
        "- `detail`: energy finer than 1.5 px, label over input: below 1 smooths, above 1 sharpens or invents.",
        "",
        "All but ratios and correlations are fractions of full scale.",
        "",
        "## Vetoes and means by preset",
        "",
    ]
    groups = table.groupby("preset", sort=False)
    told = pd.DataFrame({"vetoed": {preset: share(rows["vetoed"]) for preset, rows in groups}}).rename_axis("preset")
    lines += [markdown(told.join(groups[MEASURES].mean().map(number)).reset_index()), "", "## The worst", ""]
    lines += [
        f"![input, label, residual]({picture})",
        "",
        "From top to bottom; input, label and residual (gray = 0) from left to right:",
        "",
    ]
    worst = hardest(table).head(WORST)
    lines += [markdown(worst[["image", "vetoed", "reason", "severity"]].assign(severity=worst["severity"].map(number)))]
    far = table[list(HEADINGS)].assign(survival=table["survival"] - 1).abs()
    cells = table[["image", "vetoed"]].join(table[MEASURES].map(number))
    for measure, heading in HEADINGS.items():
        order = far[measure].dropna().sort_values(ascending=False, kind="stable").index[:WORST]
        lines += ["", f"## {heading}", "", markdown(cells.loc[order])]
    return "\n".join(lines) + "\n"


def share(vetoed: pd.Series) -> str:
    return f"{vetoed.sum()} of {len(vetoed)} labels ({vetoed.mean():.1%})"


def number(value: float) -> str:
    return "" if pd.isna(value) else f"{value:.3f}"
