"""The files that became no picture of the store, each with its reason; too many bad ones in a dataset stop the stage."""

from collections import Counter
from pathlib import Path

import pandas as pd

from xraydenoise.contracts import Quarantine
from xraydenoise.data.journal import PASSING, Journal
from xraydenoise.data.pairs import DUPLICATE
from xraydenoise.data.picture import MEMORY, NO_PICTURE
from xraydenoise.tables import markdown

HARMLESS = (DUPLICATE, NO_PICTURE)  # reasons of files that are not bad, and no part of the share that may be


def table(journal: Journal, contradicted: "pd.Series[str]") -> pd.DataFrame:
    """contracts.Quarantine; exact copies whose labels contradict each other (`pairs.agreed`) say so."""
    refused = journal.table([*Quarantine.to_schema().columns, "image"], having="reason")
    more = {image: f"; the copies are labelled {labels}, so the picture has no label" for image, labels in contradicted.items()}
    refused["detail"] = [detail + more.get(image, "") for image, detail in zip(refused.pop("image"), refused["detail"], strict=True)]
    return refused.astype("str")


def readable(refused: pd.DataFrame, total: int) -> str:
    """The quarantine as a Markdown page."""
    lines = ["# Quarantine", "", f"{len(refused)} of {total} files are not in the pixel store.", ""]
    if not refused.empty:
        lines.append(markdown(refused))
    return "\n".join(lines) + "\n"


def tell(refused: pd.DataFrame, total: int, page: Path) -> None:
    """Print how many of `total` files were refused and why, and the page that lists them."""
    if not refused.empty:
        reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(Counter(refused["reason"]).items()))
        print(f"ingest: {len(refused)} of {total} files are in quarantine ({reasons}); see {page}")


def check(refused: pd.DataFrame, sources: "pd.Series[str]", max_bad: float, page: Path) -> None:
    """Raise ValueError where too much of a dataset is bad, or none of it is left; `sources`: the dataset of every file.

    A single file that found no memory is too much: with more memory it may be a picture, and DVC, which keeps what a stage wrote for its
    inputs, would never ask again. By dataset, so that a large one never hides that all of a small one is gone. One whose files are copies
    of others' is not gone.
    """
    if len(starved := refused[refused["reason"] == MEMORY]):
        told = f"the first is {starved.iloc[0]['file']} ({starved.iloc[0]['detail']})"
        raise ValueError(
            f"ingest: {len(starved)} files found no memory, {told}; run again when there is more, it goes on where it was, or lower "
            f"ingest.max_megapixels; all: {page}"
        )
    for name, total in sources.value_counts().sort_index().items():
        own = refused[refused["source"] == name]
        bad = own[~own["reason"].isin(HARMLESS)]
        pictures = total - len(own)
        looked_at = pictures + len(bad)
        gone = pictures == 0 and (len(bad) > 0 or DUPLICATE not in set(own["reason"]))
        if not gone and len(bad) / max(looked_at, 1) <= max_bad:
            continue
        first = (bad if len(bad) else own).iloc[0]
        told = f"the first is {first['file']} ({first['reason']}: {first['detail']}); all: {page}"
        if gone:
            raise ValueError(
                f"ingest: none of the {looked_at or total} files of {name} is a usable picture; mend or remove them, or take {name} "
                f"out of datasets in params.yaml; {told}{_again(bad)}"
            )
        raise ValueError(
            f"ingest: {len(bad)} of {looked_at} files of {name} are unusable, ingest.max_bad allows a share of {max_bad:g}; "
            f"mend or remove them, or raise it; {told}{_again(bad)}"
        )


def _again(bad: pd.DataFrame) -> str:
    passing = bad["reason"].isin(PASSING).any()
    return "; what crashed or took too long is tried again by the next run" if passing else ""
