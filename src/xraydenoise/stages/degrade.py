"""degrade: draw the noise of val and test once for each condition of one track, and store it."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from xraydenoise import contracts
from xraydenoise.data import store
from xraydenoise.noise import draw_seed
from xraydenoise.params import Params
from xraydenoise.progress import progress
from xraydenoise.training import Track


def run(params: Params, track: Track) -> None:
    """Write artifacts/degrade/<track> from artifacts/tracks/<track>; each draw has a seed of its own and is made on the CPU."""
    torch.set_num_threads(params.machine.threads)
    learnt, out = Path("artifacts/tracks", track), Path("artifacts/degrade", track)
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    manifest = contracts.read(learnt / "manifest.parquet", contracts.Track)
    images = manifest[manifest["split"] != "train"].sort_values("image").to_dict("records")
    pixels = store.open_store(store.inputs(learnt))
    rows = []
    for condition, noise in params.conditions[track].items():
        dtype = np.uint16 if noise.clip else np.float32  # uint16 holds [0, 1] only
        with store.Writer(out / f"{condition}.npy", dtype) as writer:
            for image in progress(images, f"degrade {track}, {condition}", total=len(images)):
                seed = draw_seed(params.seed, image["image"], condition)
                clean = torch.from_numpy(store.read(pixels, image["offset"], image["height"], image["width"]))
                noisy = noise(clean[None, None], torch.Generator().manual_seed(seed))  # (1, 1, H, W)
                rows.append(image | {"condition": condition, "seed": seed, "offset": writer.append(noisy[0, 0].numpy())})
    columns = list(contracts.Degraded.to_schema().columns)
    drawn = pd.DataFrame(rows)[columns] if rows else contracts.empty(contracts.Degraded)
    contracts.write(drawn, out / "manifest.parquet", contracts.Degraded)
