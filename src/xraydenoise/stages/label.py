"""Stage `label`: Real-ESRGAN's picture of each enhanced region, at the same size, audited; a run that was killed goes on where it was."""

import json
import math
import shutil
import time
from collections.abc import Hashable
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pandas as pd
import torch

from xraydenoise import contracts
from xraydenoise.data import store
from xraydenoise.labelling import LabelConfig, Labeller, audit, lesions, measures, page, worst
from xraydenoise.params import Params
from xraydenoise.progress import progress
from xraydenoise.training import device

REGIONS = Path("artifacts/enhance")
OUT = Path("artifacts/label")
TRACK = Path("artifacts/tracks/enhanced")
WORK = Path("work/label")  # finished labels; survives a kill, removed at the end
WEIGHTS = Path("work/weights")  # downloads; kept, as the next run needs them again
LOG = Path("logs/label.json")

NAMED = 3  # labels that an error names, the worst first

Row = dict[Hashable, Any]  # of contracts.Regions


class Job(NamedTuple):
    """One picture that the network labels: a region as it is, or with a lesion inserted at `spot`."""

    row: Row
    spot: lesions.Spot | None
    path: Path  # of its label


def run(params: Params) -> None:
    """Write artifacts/tracks/enhanced (contracts.Track, without the vetoed labels) and artifacts/label (audit.Audit of all of them).

    Raises ValueError for weights that are not the pinned ones, before any work, for a label that is broken, and, with the audit written,
    for too many vetoes.
    """
    for folder in (OUT, TRACK):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    WORK.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(params.machine.threads)
    place = device.pick(params.machine.device)
    labeller = Labeller(params.label, WEIGHTS, place, torch.bfloat16 if device.bf16_supported(place) else torch.float32)
    regions = contracts.read(REGIONS / "manifest.parquet", contracts.Regions).sort_values("offset", ignore_index=True)
    pixels = store.open_store(REGIONS / "pixels.npy")
    planned = [plan(row, pixels, labeller) for row in regions.to_dict("records")]

    label_missing([job for jobs in planned for job in jobs], pixels, labeller, params.label.max_shift)

    table = audited(planned, pixels, params.label)
    contracts.write(table, OUT / "audit.csv", audit.Audit)
    pairs = [pair(planned[number][0], table.loc[number, "reason"], pixels) for number in audit.hardest(table).index[: page.WORST]]
    worst.save(OUT / "worst.npz", pairs)
    cv2.imwrite(str(OUT / "worst.png"), worst.draw(pairs))
    (OUT / "audit.md").write_text(page.readable(table, params.label.veto, "worst.png"), encoding="utf-8")
    stop(table, regions["split"], params.label.max_vetoed)

    with store.Writer(TRACK / "targets.npy") as writer:
        for plain, *_ in planned:
            if writer.append(np.clip(made(plain), 0, 1)) != plain.row["offset"]:
                raise ValueError(
                    f"{REGIONS}/manifest.parquet: image {plain.row['image']} does not follow the one before; run stage enhance again"
                )
    shutil.copyfile(REGIONS / "pixels.npy", TRACK / "inputs.npy")
    kept = regions.loc[~table["vetoed"], list(contracts.Track.to_schema().columns)]
    contracts.write(kept, TRACK / "manifest.parquet", contracts.Track)
    shutil.rmtree(WORK)
    print(f"label: {page.share(table['vetoed'])} vetoed and kept out of the track; {OUT}/audit.md tells why")


def plan(row: Row, pixels: np.ndarray, labeller: Labeller) -> list[Job]:
    """What is to be labelled of a region: itself, then, if it has a place for a lesion, itself with one."""
    enhanced = region(pixels, row)
    spots = [None] if (found := lesions.place(enhanced)) is None else [None, found]
    return [Job(row, spot, WORK / f"{labeller.key(shown(enhanced, spot))}.npy") for spot in spots]


def region(pixels: np.ndarray, row: Row) -> np.ndarray:
    """One enhanced region, float32 (H, W)."""
    return store.read(pixels, row["offset"], row["height"], row["width"])


def shown(enhanced: np.ndarray, spot: lesions.Spot | None) -> np.ndarray:
    """What the network sees."""
    return enhanced if spot is None else lesions.insert(enhanced, spot)


def label_missing(jobs: list[Job], pixels: np.ndarray, labeller: Labeller, max_shift: float) -> None:
    """Make the labels that no earlier run left at their paths; a broken one is not kept."""
    missing = [job for job in jobs if not job.path.exists()]
    start, size = time.monotonic(), 0
    for job in progress(missing, "label", total=len(jobs), done=len(jobs) - len(missing)):
        picture = shown(region(pixels, job.row), job.spot)
        label = labeller(picture)
        audit.refuse(job.row["image"], picture, label, max_shift)
        partial = job.path.with_suffix(".partial")
        with partial.open("wb") as file:
            np.save(file, label)
        partial.replace(job.path)
        size += label.size
    LOG.parent.mkdir(exist_ok=True)
    told = {"labels": len(missing), "megapixels": size / 1e6, "seconds": time.monotonic() - start}
    made_on = {"device": labeller.device.type, "precision": str(labeller.precision).removeprefix("torch.")}
    LOG.write_text(json.dumps(told | made_on, indent=2) + "\n", encoding="utf-8")


def made(job: Job) -> np.ndarray:
    """A finished label, float32 (H, W)."""
    label: np.ndarray = np.load(job.path, allow_pickle=False)
    return label


def audited(planned: list[list[Job]], pixels: np.ndarray, config: LabelConfig) -> pd.DataFrame:
    """The audit.Audit of all labels; one left by an earlier run may be broken by today's max_shift, which raises ValueError."""
    rows = []
    for plain, *inserted in planned:
        enhanced, label, image = region(pixels, plain.row), made(plain), plain.row["image"]
        audit.refuse(image, enhanced, label, config.max_shift)
        kept = (lesions.survival(label, made(job), job.spot) for job in inserted if job.spot)
        found = measures.measure(enhanced, label, next(kept, math.nan))
        judged = audit.judge(found, config.veto)
        facts = {"image": image, "preset": plain.row["preset"], "vetoed": judged[0].severity > 1, "reason": audit.reason(judged)}
        rows.append(facts | {"severity": judged[0].severity} | found._asdict())
    return pd.DataFrame(rows).round(6)


def pair(plain: Job, reason: str, pixels: np.ndarray) -> worst.Pair:
    """A label and its input, as the stores hold them."""
    label, enhanced = np.clip(made(plain), 0, 1), region(pixels, plain.row)
    return worst.Pair(str(plain.row["image"]), reason, store.quantize(enhanced), store.quantize(label))


def stop(table: pd.DataFrame, splits: pd.Series, max_vetoed: float) -> None:
    """Raises ValueError, naming the worst labels and the way out, for more vetoes than allowed and for a split that is left without any."""
    named = [f"{image} ({reason})" for image, reason in audit.hardest(table)[["image", "reason"]].head(NAMED).itertuples(index=False)]
    worst_ones = f"the worst: {', '.join(named)}; look at {OUT}/audit.md, then"
    ways = "widen label.veto, or leave the preset at fault out of enhance.presets"
    if table["vetoed"].mean() > max_vetoed:
        raise ValueError(
            f"label: {page.share(table['vetoed'])} are vetoed, label.max_vetoed allows a share of {max_vetoed:g}; {worst_ones} {ways}"
        )
    for split, vetoed in table["vetoed"].groupby(splits, sort=False):
        if vetoed.all():
            raise ValueError(
                f"label: split {split} would keep none of its {len(vetoed)} labels; {worst_ones} raise enhance.images.{split}, {ways}"
            )
