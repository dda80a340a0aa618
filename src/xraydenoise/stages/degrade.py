"""degrade: draw the noise of val and test once for each condition of one track, and store it."""

import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from xraydenoise import contracts
from xraydenoise.data import store
from xraydenoise.noise import draw_seed
from xraydenoise.params import Params
from xraydenoise.progress import progress
from xraydenoise.stages import tracks
from xraydenoise.training import Track


def run(params: Params, name: Track) -> None:
    """Write artifacts/degrade/<name> from artifacts/tracks/<name>; each draw has a seed of its own and is made on the CPU."""
    torch.set_num_threads(params.machine.threads)
    out = Path("artifacts/degrade", name)
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    track = tracks.Track(tracks.TRACKS / name)
    images = track.rows[track.rows["split"] != "train"].sort_values("image").to_dict("records")
    rows = []
    for condition, noise in params.conditions[name].items():
        dtype = np.uint16 if noise.clip else np.float32  # uint16 holds [0, 1] only
        with store.Writer(out / f"{condition}.npy", dtype) as writer:
            for image in progress(images, f"degrade {name}, {condition}", total=len(images)):
                seed = draw_seed(params.seed, image["image"], condition)
                noisy = track.noisy(image, partial(noise, generator=torch.Generator().manual_seed(seed)))
                rows.append(image | {"condition": condition, "seed": seed, "offset": writer.append(noisy)})
    columns = list(contracts.Degraded.to_schema().columns)
    drawn = pd.DataFrame(rows)[columns] if rows else contracts.empty(contracts.Degraded)
    contracts.write(drawn, out / "manifest.parquet", contracts.Degraded)
