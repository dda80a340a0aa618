"""The audit as people read it."""

import pandas as pd

from xraydenoise.labelling.audit import Limits, hardest
from xraydenoise.labelling.lesions import CONTRAST, RADIUS
from xraydenoise.tables import markdown

WORST = 5  # labels that are listed under each heading
HEADINGS = {"shift": "Brightness moved most", "detail": "Most fine detail", "survival": "Lesion changed most"}
MEASURES = list(HEADINGS)


def readable(table: pd.DataFrame, limits: Limits, picture: str) -> str:
    """An `audit.Audit` as a Markdown page; `picture` is the file beside it that shows the worst labels, in the order of their severity."""
    least, most = limits.survival
    lines = [
        "# Audit of the labels",
        "",
        f"{share(table['vetoed'])} were vetoed: no model learns from them or is chosen by them. Test keeps their pictures, whose truth is "
        "known.",
        "",
        "A label is made as system A's authors made theirs, unless `label.order` says otherwise: Real-ESRGAN denoises the plain picture, "
        "and the result is enhanced exactly as the input was, `enhance_i(Real-ESRGAN(plain))`. The input is what a model sees: the "
        "enhanced picture with noise, here that of `label.noise`.",
        "Real-ESRGAN shifts brightness, invents texture and may wipe out what is small, and the enhancement amplifies that too. So "
        "agreement with its labels is not quality. The track has a truth beside the label, the enhanced plain picture, which judges it.",
        "",
        f"- `shift`: mean of the label less mean of the input, fraction of full scale; vetoed beyond {limits.shift:g} either way.",
        f"- `detail`: mean magnitude of detail finer than 1.5 px, label over input; vetoed above {limits.detail:g}. Below 1 the network "
        "took noise or detail away, above 1 it sharpened or invented. The authors' labels have .47 to .88, but as standard "
        "deviations, which strong edges raise.",
        f"- `survival`: share of its contrast that a disc of radius {RADIUS} px and contrast {CONTRAST:g} keeps, put into the smoothest "
        f"place of what the network sees, so one number per plain picture; 1 is kept, 0 wiped out; vetoed outside {least:g} to {most:g}. "
        f"Empty where there is no such place: {int(table['survival'].isna().sum())} of {len(table)}.",
        "",
        "## Vetoes and means by preset",
        "",
    ]
    groups = table.groupby("preset")
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
    far = table[MEASURES].assign(survival=table["survival"] - 1).abs()
    cells = table[["image", "vetoed"]].join(table[MEASURES].map(number))
    for measure, heading in HEADINGS.items():
        order = far[measure].dropna().sort_values(ascending=False, kind="stable").index[:WORST]
        lines += ["", f"## {heading}", "", markdown(cells.loc[order])]
    return "\n".join(lines) + "\n"


def share(vetoed: pd.Series) -> str:
    return f"{vetoed.sum()} of {len(vetoed)} labels ({vetoed.mean():.1%})"


def number(value: float) -> str:
    return "" if pd.isna(value) else f"{value:.3f}"
