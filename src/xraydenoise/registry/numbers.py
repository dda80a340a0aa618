"""The numbers of a method that MLflow shows beside its curves: scores, faint discs, cost, timings, and what val chose for a baseline."""

from pathlib import Path
from typing import NamedTuple

import pandas as pd

from xraydenoise import contracts, logs
from xraydenoise.evaluation.ranking import AGREEMENT, ALL
from xraydenoise.registry import runs
from xraydenoise.registry.runs import Method

SHOWN = (
    "psnr",
    "psnr_low",
    "psnr_high",
    "ssim",
    "ssim_low",
    "ssim_high",
    "mse",
    "ms_ssim",
    "edges",
    "gain_psnr",
    "gain_psnr_low",
    "gain_psnr_high",
    "gain_ssim",
    "gain_ssim_low",
    "gain_ssim_high",
)
TABLE = {  # what the table of models shows, under names that fit its columns: the metric on test over all conditions, and its digits
    "gain": ("gain_psnr", 2),  # dB over the median filter
    "gain_low": ("gain_psnr_low", 2),
    "gain_high": ("gain_psnr_high", 2),
    "psnr": ("psnr", 2),
    "ssim": ("ssim", 4),
}
EXAMINED = ("dprime", "dprime_low", "dprime_high", "cnr", "bias2", "variance")


class Found(NamedTuple):
    """What compare found of all methods."""

    ranking: pd.DataFrame  # contracts.Ranking
    discs: pd.DataFrame  # contracts.Detectability
    cost: pd.DataFrame  # contracts.Cost


def read(folder: Path) -> Found:
    """The tables in the `folder` that compare wrote."""
    return Found(
        contracts.read(folder / "ranking.parquet", contracts.Ranking),
        contracts.read(folder / "detectability.csv", contracts.Detectability),
        contracts.read(folder / "cost.csv", contracts.Cost),
    )


def scores(method: Method, found: Found) -> dict[str, float]:
    """Scores and gains as `<split>/<condition>/<metric>`, on track noise what repeated draws tell, `cost/<what>` of a network; TABLE.

    On track enhanced also the agreement with labels, under names of its own.
    """
    ranked = found.ranking[(found.ranking["method"] == method.name) & (found.ranking["track"] == method.track)]
    keys = (*SHOWN, *AGREEMENT)  # the latter null on track noise
    shown = {
        f"{row['split']}/{row['condition']}/{key}": float(row[key])
        for row in ranked.to_dict("records")
        for key in keys
        if pd.notna(row[key])
    }
    for row in ranked[(ranked["split"] == "test") & (ranked["condition"] == ALL)].to_dict("records"):
        shown |= {name: round(float(row[key]), digits) for name, (key, digits) in TABLE.items()}
    if method.track == "noise":
        discs = found.discs[found.discs["method"] == method.name].to_dict("records")  # null where no picture has a place for a disc
        shown |= {f"test/{row['condition']}/{key}": float(row[key]) for row in discs for key in EXAMINED if pd.notna(row[key])}
    for row in found.cost[found.cost["method"] == method.name].to_dict("records"):
        shown |= {"cost/parameters": float(row["parameters"]), "cost/mflop_per_pixel": float(row["mflop"])}
    return shown


def times(method: Method) -> dict[str, float]:
    """Timings as `time/<stage>/<what>`, and `system/<what>` while it was trained; for the table of models, `seconds` an image."""
    found: dict[str, float] = {}
    for stage in ("train", "evaluate"):
        told = {key: value for key, value in runs.flatten(logs.read(f"{stage}-{method.name}")) if type(value) in (int, float)}
        # MLflow's pages show metrics of this prefix apart, as those of the machine
        found |= {key.replace(".", "/") if key.startswith("system.") else f"time/{stage}/{key}": float(told[key]) for key in told}
    if (key := "time/evaluate/seconds_per_image") in found:
        found["seconds"] = round(found[key], 4)
    return found


def settings(method: Method) -> dict[str, str]:
    """What val chose for a baseline, by condition."""
    if method.learns:
        return {}
    rows = contracts.read(runs.scores(method.name), contracts.Scores)
    chosen = rows[(rows["track"] == method.track) & (rows["setting"] != "")].drop_duplicates("condition")
    return dict(zip(chosen["condition"], chosen["setting"], strict=True))
