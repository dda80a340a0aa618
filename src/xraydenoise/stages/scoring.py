"""What evaluate and baseline share: score one method on the stored noisy pictures, and keep a few of what it made."""

import math
import shutil
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from xraydenoise import contracts, logs
from xraydenoise.data import splits, store
from xraydenoise.evaluation import metrics, spectrum
from xraydenoise.progress import progress
from xraydenoise.stages import tracks

Denoise = Callable[[str, str, np.ndarray], np.ndarray]  # track, condition, noisy float32 (H, W) -> the same shape
Row = dict[Hashable, Any]  # of `Track.rows`

CHUNK = 16  # pictures denoised one after the other, timed, before all are scored at once


class Track:
    """The noisy pictures of val and test that one track stores, and their truths."""

    def __init__(self, name: str) -> None:
        degraded = Path("artifacts/degrade", name)
        self.name, self.stored = name, tracks.Track(tracks.TRACKS / name)
        manifest = contracts.read(degraded / "manifest.parquet", contracts.Degraded)
        self.places = self.stored.rows.set_index("image", drop=False).to_dict("index")  # where truth and target of each image lie
        if unknown := sorted(set(manifest["image"]) - set(self.places)):
            raise ValueError(
                f"{degraded}/manifest.parquet: image {unknown[0]} is not in {self.stored.folder}/manifest.parquet; run `dvc repro`"
            )
        self.rows = manifest.sort_values(["condition", "split", "image"], ignore_index=True).assign(track=name)
        self.noisy = {condition: store.open_store(degraded / f"{condition}.npy") for condition in sorted(manifest["condition"].unique())}

    def pair(self, row: Row) -> tuple[np.ndarray, np.ndarray]:
        """Noisy picture and truth, each float32 (H, W)."""
        noisy = store.read(self.noisy[row["condition"]], int(row["offset"]), int(row["height"]), int(row["width"]))
        return noisy, self.stored.truth(self.places[row["image"]])

    def label(self, row: Row) -> np.ndarray | None:
        """Real-ESRGAN's label, float32 (H, W); None where it was vetoed, and on track noise, whose target is the truth."""
        place = self.places[row["image"]]
        return None if self.stored.regions is None or not place["teaches"] else self.stored.target(place)


class Scored(NamedTuple):
    row: Row
    prediction: np.ndarray  # float32 (H, W)
    truth: np.ndarray  # the same shape
    score: dict[str, float]  # the measured columns of contracts.Scores
    seconds: float  # that denoising took


def spread(rows: pd.DataFrame, count: int) -> pd.DataFrame:
    """At most `count` pictures of each condition, in an order that asks every patient once before one a second time.

    It depends on the manifest alone, so it is the same for all methods.
    """
    parts = [splits.by_turns(part, ["patient", "image"]).head(count) for _, part in rows.groupby("condition")]
    return pd.concat(parts) if parts else rows


def score(
    method: str,
    tracks: Sequence[Track],
    denoise: Denoise,
    settings: Mapping[tuple[str, str], str],
    pictures: int,
    threads: int,
    device: str,
) -> None:
    """Write scores, kept pictures and timings of `method`; `settings` tell what was tuned for a track and condition, else "".

    Raises ValueError naming the picture where a prediction is not finite or not of its shape.
    """
    out = Path("artifacts/evaluate", method)
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    wanted = {(track.name, *key) for track in tracks for key in _keys(spread(track.rows[track.rows["split"] == "test"], pictures))}
    rows, seen, sizes, seconds = [], [], [], []
    powers: dict[tuple[str, str], list[np.ndarray]] = {}
    with store.Writer(out / "pictures.npy") as writer, ThreadPoolExecutor(threads) as pool:
        total = sum(len(track.rows) for track in tracks)
        for done in progress(scored(method, tracks, denoise, pool), f"score {method}", total):
            row = done.row | {"method": method, "setting": settings.get((done.row["track"], done.row["condition"]), "")}
            rows.append(row | done.score)
            sizes.append(done.prediction.size)
            seconds.append(done.seconds)
            if row["split"] == "test" and (row["track"], row["condition"], row["image"]) in wanted:
                shown = np.clip(done.prediction, 0, 1)
                seen.append(row | {"offset": writer.append(shown)})
                powers.setdefault((row["track"], row["condition"]), []).append(spectrum.noise_power(shown - done.truth).power)
    contracts.write(_table(rows, contracts.Scores), out / "scores.parquet", contracts.Scores)
    contracts.write(_table(seen, contracts.Pictures), out / "pictures.parquet", contracts.Pictures)
    frequency = spectrum.noise_power(np.zeros((1, 1))).frequency
    curves = [
        pd.DataFrame({"method": method, "track": track, "condition": condition, "frequency": frequency, "power": np.mean(each, axis=0)})
        for (track, condition), each in powers.items()
    ]
    contracts.write(pd.concat(curves) if curves else contracts.empty(contracts.Spectra), out / "spectra.parquet", contracts.Spectra)
    _log(method, sizes, seconds, device)


def _keys(rows: pd.DataFrame) -> Iterable[tuple[str, str]]:
    return zip(rows["condition"], rows["image"], strict=True)


def scored(method: str, tracks: Sequence[Track], denoise: Denoise, pool: Executor) -> Iterator[Scored]:
    """Denoise one picture at a time, so that the clock sees nothing else; score on all threads, in order."""
    for track in tracks:
        jobs = track.rows.to_dict("records")
        for start in range(0, len(jobs), CHUNK):
            chunk = [_timed(track, row, denoise) for row in jobs[start : start + CHUNK]]
            yield from pool.map(partial(_score_one, method), *zip(*chunk, strict=True))


def _timed(track: Track, row: Row, denoise: Denoise) -> tuple[Row, np.ndarray, np.ndarray, np.ndarray | None, float]:
    noisy, truth = track.pair(row)
    start = time.perf_counter()
    prediction = denoise(track.name, row["condition"], noisy)
    return row, prediction, truth, track.label(row), time.perf_counter() - start


def _score_one(method: str, row: Row, prediction: np.ndarray, truth: np.ndarray, label: np.ndarray | None, seconds: float) -> Scored:
    try:
        found = metrics.score(prediction, truth)._asdict() | {"label_psnr": math.nan, "label_ssim": math.nan}
        if label is not None:
            shown = metrics.clip(prediction, label)
            found |= {"label_psnr": metrics.psnr(shown, label), "label_ssim": metrics.ssim(shown, label)}
        return Scored(row, prediction, truth, found, seconds)
    except ValueError as error:
        raise ValueError(f"{method}, track {row['track']}, condition {row['condition']}, image {row['image']}: {error}") from error


def kept(method: str, track: str) -> dict[tuple[str, str], np.ndarray]:
    """The pictures of one track that `method` kept, float32 (H, W), by condition and image."""
    folder = Path("artifacts/evaluate", method)
    rows = contracts.read(folder / "pictures.parquet", contracts.Pictures)
    rows = rows[rows["track"] == track]
    if rows.empty:
        return {}
    pixels = store.open_store(folder / "pictures.npy")
    places = rows[["condition", "image", "offset", "height", "width"]].itertuples(index=False)
    return {(condition, image): store.read(pixels, offset, height, width) for condition, image, offset, height, width in places}


def _table(rows: list[Row], schema: type[contracts.Table]) -> pd.DataFrame:
    columns = list(schema.to_schema().columns)
    return pd.DataFrame(rows)[columns] if rows else contracts.empty(schema)


def _log(method: str, sizes: list[int], seconds: list[float], device: str) -> None:
    """Timings are no stage output: they would change its hash from run to run."""
    times = {"device": device, "pictures": len(seconds)}
    if seconds:
        times |= {"seconds_per_image": float(np.median(seconds)), "megapixels_per_second": sum(sizes) / 1e6 / sum(seconds)}
    logs.write(f"evaluate-{method}", times)


def seconds_an_image(methods: Iterable[str]) -> dict[str, float]:
    """The median seconds an image of those `methods` that were timed on this machine."""
    found = {method: logs.read(f"evaluate-{method}") for method in methods}
    return {method: log["seconds_per_image"] for method, log in found.items() if "seconds_per_image" in log}
