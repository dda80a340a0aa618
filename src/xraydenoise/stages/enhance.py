"""Stage `enhance`: apply the named presets to whole pictures and keep one region of each, the same for all presets of a picture."""

import shutil
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from xraydenoise import contracts
from xraydenoise.data import splits, store
from xraydenoise.enhancement import enhance
from xraydenoise.noise import draw_seed
from xraydenoise.params import Params
from xraydenoise.progress import progress

TRACK = Path("artifacts/tracks/noise")
OUT = Path("artifacts/enhance")

CANDIDATES = 16  # places that are looked at in each picture
DARK = 0.05  # fraction of full scale up to which a pixel counts as background
FINE = 4.0  # px; what a blur of this sigma takes away is content


def run(params: Params) -> None:
    """Write artifacts/enhance: the regions (contracts.Regions) and their pixels."""
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    pictures = chosen(contracts.read(TRACK / "manifest.parquet", contracts.Track), params.enhance.images.model_dump(), params.seed)
    pixels = store.open_store(TRACK / "targets.npy")
    rows: list[dict[Hashable, Any]] = []
    with store.Writer(OUT / "pixels.npy") as writer:
        for picture in progress(pictures.to_dict("records"), "enhance", len(pictures)):
            whole = store.read(pixels, picture["offset"], picture["height"], picture["width"])
            top, left = region(whole, params.enhance.region, draw_seed(params.seed, picture["image"], "enhance"))
            for preset in params.enhance.presets:
                kept = enhance(whole, preset)[top : top + params.enhance.region, left : left + params.enhance.region]
                rows.append(
                    {
                        "image": f"{picture['image']}-{preset}",
                        "parent": picture["image"],
                        "preset": preset,
                        "patient": picture["patient"],
                        "split": picture["split"],
                        "label": picture["label"],
                        "top": top,
                        "left": left,
                        "offset": writer.append(kept),
                        "height": kept.shape[0],
                        "width": kept.shape[1],
                    }
                )
    contracts.write(pd.DataFrame(rows), OUT / "manifest.parquet", contracts.Regions)


def chosen(pictures: pd.DataFrame, counts: dict[str, int], seed: int) -> pd.DataFrame:
    """At most `counts[split]` pictures of each split: one of every patient before a second of any, both in an order drawn from `seed`."""
    draws = {f"{column}_draw": [draw_seed(seed, name, "enhance") for name in pictures[column]] for column in ("patient", "image")}
    drawn = splits.by_turns(pictures.assign(**draws), list(draws))
    parts = [drawn[drawn["split"] == split].head(counts[split]) for split in contracts.SPLITS]
    return pd.concat(parts)[list(pictures.columns)]


def region(pixels: np.ndarray, side: int, seed: int) -> tuple[int, int]:
    """Top and left of the square of `side` px that shows most, of several seeded places; float32 (H, W).

    It shows much where the median of fine structure is large: background counts as none, and a few strong edges or markers weigh nothing.
    A picture smaller than the square starts at 0.
    """
    height, width = pixels.shape
    generator = np.random.default_rng(seed)
    tops = generator.integers(0, max(height - side, 0), CANDIDATES, endpoint=True)
    lefts = generator.integers(0, max(width - side, 0), CANDIDATES, endpoint=True)
    fine = np.abs(pixels - cv2.GaussianBlur(pixels, (0, 0), FINE, borderType=cv2.BORDER_REFLECT_101))
    fine[pixels <= DARK] = 0

    def content(place: tuple[int, int]) -> float:
        top, left = place
        return float(np.median(fine[top : top + side, left : left + side]))

    return max(((int(top), int(left)) for top, left in zip(tops, lefts, strict=True)), key=content)
