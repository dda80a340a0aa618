"""Stage `enhance`: apply the named presets to whole pictures and keep one region of each, the same for all presets of a picture."""

from collections.abc import Hashable
from typing import Any

import cv2
import numpy as np
import pandas as pd
import torch

from xraydenoise import contracts, enhancement
from xraydenoise.data import splits, store
from xraydenoise.noise import draw_seed
from xraydenoise.params import Params
from xraydenoise.progress import progress
from xraydenoise.stages import tracks

NOISE, ENHANCED = tracks.TRACKS / "noise", tracks.TRACKS / "enhanced"

CANDIDATES = 16  # places that are looked at in each picture
DARK = 0.05  # fraction of full scale up to which a pixel counts as background
FINE = 4.0  # px; what a blur of this sigma takes away is content


def run(params: Params) -> None:
    """Write contracts.Regions and its stores, plain.npy and linear.npy, into artifacts/tracks/enhanced, which stage label completes."""
    torch.set_num_threads(params.machine.threads)
    ENHANCED.mkdir(parents=True, exist_ok=True)
    for name in (tracks.REGIONS, "plain.npy", "linear.npy"):
        (ENHANCED / name).unlink(missing_ok=True)
    config = params.enhance
    pictures = chosen(contracts.read(NOISE / "manifest.parquet", contracts.Track), config.images.model_dump(), params.seed)
    pixels = store.open_store(NOISE / "targets.npy")
    gains = enhancement.gains(config.presets)
    rows: list[dict[Hashable, Any]] = []
    with store.Writer(ENHANCED / "plain.npy") as plain, store.Writer(ENHANCED / "linear.npy", np.float32) as linear:
        for picture in progress(pictures.to_dict("records"), "enhance", len(pictures)):
            whole = store.read(pixels, picture["offset"], picture["height"], picture["width"])
            top, left = region(whole, config.region, draw_seed(params.seed, picture["image"], "enhance"))
            place = (slice(top, top + config.region), slice(left, left + config.region))
            offset = plain.append(whole[place])
            amplified = enhancement.amplify(torch.from_numpy(whole)[None, None], gains).numpy()  # (presets, 1, H, W)
            for preset, (each,) in zip(config.presets, amplified, strict=True):
                kept = each[place]
                rows.append(
                    enhancement.fit(each, preset)._asdict()
                    | {
                        "image": f"{picture['image']}-{preset}",
                        "parent": picture["image"],
                        "preset": preset,
                        "noise": config.noise,
                        "patient": picture["patient"],
                        "split": picture["split"],
                        "label": picture["label"],
                        "top": top,
                        "left": left,
                        "offset": linear.append(kept),
                        "plain": offset,
                        "height": kept.shape[0],
                        "width": kept.shape[1],
                    }
                )
    contracts.write(pd.DataFrame(rows), ENHANCED / tracks.REGIONS, contracts.Regions)


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
