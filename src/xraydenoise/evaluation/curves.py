"""How quality falls with the noise and with the dose: means and intervals by patient at each level of a sweep."""

from typing import cast

import numpy as np
import pandas as pd

from xraydenoise.evaluation.ranking import REFERENCE, CompareConfig
from xraydenoise.evaluation.statistics import DECIMALS, bootstrap, units

METRICS = ("psnr", "ssim")
LEVELS = {"gaussian": "sigma, fraction of full scale", "quantum": "dose, % of full photons"}  # what the level of a family is


def curves(scores: pd.DataFrame, full: float, config: CompareConfig, seed: int) -> pd.DataFrame:
    """One row a family of noise, method and level, by rising level: ready to plot as (level, psnr) with psnr_low to psnr_high.

    `scores` has the columns method, family ("gaussian" or "quantum"), level (sigma as a fraction of full scale; photons at full scale),
    image, patient, psnr and ssim. Photons come back as a dose in % of `full` photons at full scale. Besides psnr and ssim, whose
    intervals hold how much pictures differ, there are gain_psnr and gain_ssim over the median filter, which are paired. Raises ValueError
    for an unknown family, for a score that stands there twice, and where methods were not scored on the same pictures at every level.
    """
    if unknown := set(scores["family"]) - set(LEVELS):
        raise ValueError(f"unknown families {sorted(unknown)}; expected {' and '.join(LEVELS)}")
    if scores.duplicated(["method", "family", "level", "image"]).any():
        raise ValueError("an image was scored twice by one method at one level")
    frames = []
    for family, block in scores.groupby("family"):
        wide = {metric: block.pivot(index=["patient", "image"], columns=["level", "method"], values=metric) for metric in METRICS}
        methods = sorted(block["method"].unique())
        cells = pd.MultiIndex.from_product([sorted(block["level"].unique()), methods], names=["level", "method"])
        wide = {metric: table.reindex(columns=cells) for metric, table in wide.items()}
        _check(str(family), wide["psnr"])
        reference = cells.get_indexer(pd.MultiIndex.from_arrays([cells.get_level_values("level"), [REFERENCE] * len(cells)]))
        columns = {metric: table.to_numpy() for metric, table in wide.items()}
        columns |= {f"gain_{metric}": values - values[:, reference] for metric, values in columns.items()}
        patients, images = (wide["psnr"].index.get_level_values(level).to_numpy() for level in ("patient", "image"))
        rng = np.random.default_rng(seed)
        found = bootstrap(np.hstack(list(columns.values())), units(patients, images), config.resamples, config.confidence, rng)
        frame = cells.to_frame(index=False).assign(family=family, images=len(patients), patients=len(np.unique(patients)))
        for number, name in enumerate(columns):
            own = slice(number * len(cells), (number + 1) * len(cells))
            frame = frame.assign(**{name: found.mean[own], f"{name}_low": found.low[own], f"{name}_high": found.high[own]})
        if family == "quantum":
            frame["level"] *= 100 / full
        frames.append(frame)
    result = pd.concat(frames, ignore_index=True).sort_values(["family", "method", "level"], ignore_index=True)
    return result[["family", "method", "level", *(column for column in result if column not in ("family", "method", "level"))]].round(
        DECIMALS
    )


def _check(family: str, table: pd.DataFrame) -> None:
    methods = table.columns.get_level_values("method")
    if REFERENCE not in methods:
        raise ValueError(f"{family}: {REFERENCE} was not scored, and every gain is measured against it; found {sorted(set(methods))}")
    if (missing := int(table.isna().to_numpy().sum())) > 0:
        level, method = cast(tuple[float, str], table.columns[int(table.isna().to_numpy().any(axis=0).argmax())])
        raise ValueError(
            f"{family}: {missing} scores are missing, the first at level {level:g} of {method}; each method needs the same {len(table)} "
            "pictures at every level"
        )
