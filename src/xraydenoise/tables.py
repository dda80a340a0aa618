"""What people read as Markdown: tables, the same in every page that a stage writes, and text from outside, in which nothing is markup."""

import html
import re

import pandas as pd

from xraydenoise.viewer.text import visible

MARKUP = re.compile(
    r"(?<=\])[(\[]|(?<![^\W_])_|_(?![^\W_])|[\\`*~|]"
)  # links and pictures, emphasis, code, columns; not every _ and bracket


def text(value: object) -> str:
    """`value` as one line of Markdown that shows it and is no markup, of Markdown or of HTML. The address of a page stays as it is."""
    return MARKUP.sub(r"\\\g<0>", html.escape(visible(value), quote=False))


def markdown(frame: pd.DataFrame) -> str:
    """`frame` without its index as a Markdown table; nothing in its cells is markup."""
    lines = [list(frame.columns), ["---"] * len(frame.columns), *frame.itertuples(index=False)]
    return "\n".join(f"| {' | '.join(map(text, line))} |" for line in lines)
