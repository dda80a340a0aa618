"""What evaluate and baseline look at beyond scores, on track noise: repeated draws, a faint disc, and a sweep of noise levels."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from xraydenoise import contracts, disk
from xraydenoise.data import store
from xraydenoise.evaluation import detectability, metrics, repeats
from xraydenoise.evaluation.repeats import Draw
from xraydenoise.evaluation.statistics import DECIMALS, units
from xraydenoise.noise import Noise, draw_seed, gaussian, quantum
from xraydenoise.params import Params
from xraydenoise.progress import progress
from xraydenoise.stages import scoring

Denoise = Callable[[np.ndarray], np.ndarray]  # noisy float32 (H, W) -> the same shape


class Level(NamedTuple):
    """One step of the sweep."""

    family: str  # gaussian or quantum
    value: float  # sigma, or photons at full scale
    noise: Noise


def repeated(method: str, track: scoring.Track, denoise: Callable[[str], Denoise], params: Params) -> None:
    """Write examined.parquet (contracts.Examined) and channels.npy, float64 (rows, 2, K, C): without and with the disc.

    `denoise` gives the method for a condition. Draws are seeded by picture and condition, so all methods see the same noise.
    """
    config = params.evaluate.repeats
    chosen = scoring.spread(track.rows[track.rows["split"] == "test"], config.pictures)
    rows, channels = [], []
    for row in progress(chosen.to_dict("records"), f"repeats {method}", total=len(chosen)):
        _, clean = track.pair(row)
        draw = draws(params.conditions["noise"][row["condition"]], params.seed, row["image"], row["condition"])
        each = stacked(denoise(row["condition"]))
        parted = repeats.repeat(each, draw, clean, config.draws, config.side)
        found = {"method": method, **{key: row[key] for key in ("condition", "image", "patient")}, **parted._asdict()}
        outputs = np.full((2, config.draws, detectability.CHANNELS), np.nan)
        try:
            examined = detectability.examine(each, draw, clean, config.draws, config.disc, config.side)
            outputs[:] = examined.absent, examined.present
            rows.append({**found, "cnr": examined.cnr, "reason": None})
        except detectability.NoPlaceError as error:
            rows.append({**found, "cnr": np.nan, "reason": str(error)})
        channels.append(outputs)
    out = Path("artifacts/evaluate", method)
    contracts.write(pd.DataFrame(rows).astype({"reason": "str"}), out / "examined.parquet", contracts.Examined)
    disk.write(out / "channels.npy", store.npy(np.stack(channels)))


def swept(method: str, track: scoring.Track, denoise: Callable[[Level], Denoise], params: Params) -> None:
    """Write sweep.parquet (contracts.Sweep); `denoise` gives the method for a level."""
    rows = []
    steps = levels(params)
    for level in progress(steps, f"sweep {method}", total=len(steps)):
        each = denoise(level)
        for row, noisy, clean in pictures(track, "test", level, params):
            score = metrics.clip(each(noisy), clean)
            found = {"psnr": metrics.psnr(score, clean), "ssim": metrics.ssim(score, clean)}
            rows.append({"method": method, "family": level.family, "level": level.value, **row, **found})
    contracts.write(pd.DataFrame(rows), Path("artifacts/evaluate", method, "sweep.parquet"), contracts.Sweep)


def levels(params: Params) -> list[Level]:
    """The steps of the sweep, clipped as the conditions are."""
    sweep, clip = params.evaluate.sweep, next(iter(params.conditions["noise"].values())).clip
    return [
        *(Level("gaussian", sigma, gaussian.Config(kind="gaussian", mean=0.0, sigma=sigma, clip=clip)) for sigma in sweep.gaussian),
        *(Level("quantum", peak, quantum.Config(kind="quantum", peak=peak, clip=clip)) for peak in sweep.quantum),
    ]


def pictures(track: scoring.Track, split: str, level: Level, params: Params) -> Iterator[tuple[dict[str, str], np.ndarray, np.ndarray]]:
    """Image and patient, noisy picture and truth, each float32 (H, W), of the first pictures of a split: every patient once first."""
    rows = track.rows[(track.rows["split"] == split) & (track.rows["condition"] == track.rows["condition"].iloc[0])]
    for row in scoring.spread(rows, params.evaluate.sweep.pictures).to_dict("records"):
        _, clean = track.pair(row)
        draw = draws(level.noise, params.seed, row["image"], f"sweep {level.family} {level.value}")
        yield {"image": row["image"], "patient": row["patient"]}, draw(clean, 0), clean


def draws(noise: Noise, seed: int, image: str, what: str) -> Draw:
    """The k-th noisy version of a region of `image`: the same for every method, another for each k, picture and `what`."""

    def draw(region: np.ndarray, number: int) -> np.ndarray:
        generator = torch.Generator().manual_seed(draw_seed(seed, image, f"{what} {number}"))
        return noise(torch.from_numpy(np.ascontiguousarray(region, dtype=np.float32))[None, None], generator)[0, 0].numpy()

    return draw


def stacked(denoise: Denoise) -> repeats.Denoise:
    """`denoise` for pictures (K, H, W), one after the other."""
    return lambda noisy: np.stack([denoise(picture) for picture in noisy])


def summary(methods: Iterable[str], params: Params) -> pd.DataFrame:
    """contracts.Detectability from what `repeated` wrote of each method: bias and variance are means over all of its pictures.

    Contrast-to-noise and d', with its interval by patient, are of the pictures that have a place for the disc, and null where none has.
    """
    rows = []
    for method in methods:
        folder = Path("artifacts/evaluate", method)
        examined = contracts.read(folder / "examined.parquet", contracts.Examined)
        outputs = store.open_store(folder / "channels.npy")  # (rows, 2, K, C)
        for condition, part in examined.groupby("condition"):
            placed = part[part["cnr"].notna()]
            row = {"condition": condition, "method": method, "images": len(part), "placed": len(placed)}
            row |= {name: part[name].mean() for name in ("bias2", "variance")} | {"cnr": placed["cnr"].mean()}
            rows.append(row | _observed(outputs[placed.index.to_numpy()], placed, params.compare.confidence))
    found = pd.DataFrame(rows).sort_values(["condition", "dprime", "method"], ascending=[True, False, True], ignore_index=True)
    found[["cnr", "dprime", "dprime_low", "dprime_high"]] = found[["cnr", "dprime", "dprime_low", "dprime_high"]].round(DECIMALS)
    return found


def _observed(outputs: np.ndarray, placed: pd.DataFrame, confidence: float) -> dict[str, float]:
    """d' with its interval from channel outputs (N, 2, K, C) of contracts.Examined `placed`.

    Null without a picture, and the interval from a single one or patient.
    """
    found = dict.fromkeys(("dprime", "dprime_low", "dprime_high"), np.nan)
    if len(outputs):
        absent, present = np.swapaxes(outputs, 0, 1)
        found["dprime"] = detectability.dprime(present, absent)
        if len(np.unique(labels := units(placed["patient"].to_numpy(), placed["image"].to_numpy()))) > 1:
            found["dprime_low"], found["dprime_high"] = detectability.interval(present, absent, labels, confidence)
    return found
