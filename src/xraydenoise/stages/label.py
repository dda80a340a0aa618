"""Stage `label`: Real-ESRGAN's picture of each enhanced region, at the same size, audited; a run that was killed goes on where it was."""

import json
import shutil
import time
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from xraydenoise import contracts
from xraydenoise.data import store
from xraydenoise.labelling import Labeller, audit
from xraydenoise.params import Params
from xraydenoise.progress import progress
from xraydenoise.tables import markdown
from xraydenoise.training import device

REGIONS = Path("artifacts/enhance")
OUT = Path("artifacts/label")
TRACK = Path("artifacts/tracks/enhanced")
WORK = Path("work/label")  # finished labels; survives a kill, removed at the end
WEIGHTS = Path("work/weights")  # downloads; kept, as the next run needs them again
LOG = Path("logs/label.json")

WORST = 5  # labels that the readable audit lists under each heading
HEADINGS = {"shift": "Brightness moved most", "detail": "Fine detail changed most", "correlation": "Least like its input"}

Row = dict[Hashable, Any]  # of contracts.Regions


def run(params: Params) -> None:
    """Write artifacts/tracks/enhanced (contracts.Track) and artifacts/label (audit.Audit).

    Raises ValueError for weights that are not the pinned ones, before any work, and for a label that the audit refuses.
    """
    for folder in (OUT, TRACK):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    WORK.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(params.machine.threads)
    place = device.pick(params.machine.device)
    labeller = Labeller(params.label, WEIGHTS, place, torch.bfloat16 if device.bf16_supported(place) else torch.float32)
    regions = contracts.read(REGIONS / "manifest.parquet", contracts.Regions).sort_values("offset", ignore_index=True)
    rows, pixels = regions.to_dict("records"), store.open_store(REGIONS / "pixels.npy")
    paths = [WORK / f"{labeller.key(region(pixels, row))}.npy" for row in rows]

    label_missing(rows, paths, pixels, labeller, params.label.max_shift)

    findings = []
    with store.Writer(TRACK / "targets.npy") as writer:
        for row, path in zip(rows, paths, strict=True):
            label = np.load(path, allow_pickle=False)
            found = audit.examine(row["image"], region(pixels, row), label, params.label.max_shift)
            findings.append({"image": row["image"], "preset": row["preset"], **found._asdict()})
            if writer.append(np.clip(label, 0, 1)) != row["offset"]:
                raise ValueError(
                    f"{REGIONS}/manifest.parquet: image {row['image']} does not follow the one before; run stage enhance again"
                )
    shutil.copyfile(REGIONS / "pixels.npy", TRACK / "inputs.npy")
    contracts.write(regions[list(contracts.Track.to_schema().columns)], TRACK / "manifest.parquet", contracts.Track)
    table = pd.DataFrame(findings).round(6)
    contracts.write(table, OUT / "audit.csv", audit.Audit)
    (OUT / "audit.md").write_text(readable(table), encoding="utf-8")
    shutil.rmtree(WORK)


def region(pixels: np.ndarray, row: Row) -> np.ndarray:
    """One enhanced region, float32 (H, W)."""
    return store.read(pixels, row["offset"], row["height"], row["width"])


def label_missing(rows: list[Row], paths: list[Path], pixels: np.ndarray, labeller: Labeller, max_shift: float) -> None:
    """Make the labels that no earlier run left at their paths; what the audit refuses is not kept."""
    missing = [(row, path) for row, path in zip(rows, paths, strict=True) if not path.exists()]
    start, size = time.monotonic(), 0
    for row, path in progress(missing, "label", total=len(rows), done=len(rows) - len(missing)):
        enhanced = region(pixels, row)
        label = labeller(enhanced)
        audit.examine(row["image"], enhanced, label, max_shift)
        partial = path.with_suffix(".partial")
        with partial.open("wb") as file:
            np.save(file, label)
        partial.replace(path)
        size += label.size
    LOG.parent.mkdir(exist_ok=True)
    told = {"labels": len(missing), "megapixels": size / 1e6, "seconds": time.monotonic() - start}
    made_on = {"device": labeller.device.type, "precision": str(labeller.precision).removeprefix("torch.")}
    LOG.write_text(json.dumps(told | made_on, indent=2) + "\n", encoding="utf-8")


def readable(table: pd.DataFrame) -> str:
    """The audit as a Markdown page: means by preset, then the labels that changed their input most."""
    columns = ["mean_input", "mean_label", "shift", "block_shift", "overshoot", "detail", "correlation"]
    lines = [
        "# Audit of the labels",
        "",
        f"{len(table)} labels. Real-ESRGAN shifts brightness and invents texture, so agreement with it is not truth.",
    ]
    lines += ["`detail` is the energy finer than 1.5 px, label over input: below 1 smooths, above 1 invents.", "", "## Mean of each preset"]
    lines += ["", markdown(table.groupby("preset", sort=False)[columns].mean().map("{:.3f}".format).reset_index())]
    rounded = table[["image"]].join(table[columns].map("{:.3f}".format))
    distance = {"shift": table["shift"].abs(), "detail": np.log(table["detail"]).abs(), "correlation": 1 - table["correlation"]}
    for column, heading in HEADINGS.items():
        worst = rounded.loc[distance[column].sort_values(ascending=False, kind="stable").index[:WORST]]
        lines += ["", f"## {heading}", "", markdown(worst)]
    return "\n".join(lines) + "\n"
