"""Tables that people read: a frame as Markdown, the same in every page that a stage writes."""

import pandas as pd


def markdown(frame: pd.DataFrame) -> str:
    """`frame` without its index as a Markdown table; a | within a cell is escaped."""
    lines = [list(frame.columns), ["---"] * len(frame.columns), *frame.itertuples(index=False)]
    rows = [[str(cell).replace("|", "\\|") for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
