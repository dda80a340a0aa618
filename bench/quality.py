"""PSNR, SSIM and seconds of `best` and `fast` as packaged, and of classical methods: python bench/quality.py FOLDER [--pictures N].

FOLDER holds radiographs and their images.csv (../shared/radiographs/chest_nih), scaled by area to 512 px. Val and test patients are those
of the profiles `inbox` and `sample` (seed 3). Each classical method is tuned, and calibrated where profiles/sample.yaml says so, on val
pictures under each condition. BM3D gets the true noise level (for photons behind the generalised Anscombe transform), is calibrated, and
runs on fewer pictures, as it takes seconds per picture (package `bm3d`; without it the row is left out). `best` and `fast` know nothing of
the condition.
Seconds are of the processor, on one core, so other processes on the machine change them little.
Run: OMP_NUM_THREADS=1 python bench/quality.py ../shared/radiographs/chest_nih
"""

import argparse
import importlib.util
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from xraydenoise import load_denoiser
from xraydenoise.data import prepare, splits
from xraydenoise.data.config import DecodeConfig
from xraydenoise.data.depth import FULL_SCALE
from xraydenoise.device import bf16_supported
from xraydenoise.evaluation import baselines, metrics
from xraydenoise.evaluation.baselines import Baseline, bm3d, variance_stabilised
from xraydenoise.noise import Noise, draw_seed, gaussian, quantum
from xraydenoise.params import Params, load
from xraydenoise.progress import progress

PROFILE = Path(__file__).parents[1] / "profiles/sample.yaml"
SIZE = 512  # px
PEAK = 30.0  # photons at full scale
NAMES = ("noisy", "median", "total_variation", "non_local_means", "wavelet", "stabilised_wavelet")  # of the profile's baselines
LEARNED = ("fast", "best")
TUNED_ON = 8  # val pictures
SLOW, SLOW_TUNED_ON = 6, 2  # test and val pictures that BM3D is shown

Denoise = Callable[[np.ndarray], np.ndarray]
Method = tuple[str, Denoise, int | None]  # its name, and the most pictures that it is to be shown
Pair = tuple[np.ndarray, np.ndarray]  # noisy and clean, float32 (H, W) each


class Condition(NamedTuple):
    noise: Noise
    told: Baseline | None  # BM3D, told this noise; None where its package is not installed


class Quality(NamedTuple):
    psnr: float  # dB, mean over the pictures
    ssim: float
    seconds: float  # of the processor, median over the pictures


def conditions() -> dict[str, Condition]:
    """By the name in the table: the noises of the profile, clipped as there, and the same unclipped."""
    found = {}
    for clip in (True, False):
        for sigma in (0.1, 0.2):
            noise = gaussian.Config(kind="gaussian", mean=0.0, sigma=sigma, clip=clip)
            found[f"Gaussian {sigma}{'' if clip else ', unclipped'}"] = Condition(noise, told_gaussian(sigma))
        photons = quantum.Config(kind="quantum", peak=PEAK, clip=clip)
        found[f"Poisson {PEAK:g}{'' if clip else ', unclipped'}"] = Condition(photons, told_photons())
    return found


def told_gaussian(sigma: float) -> Baseline | None:
    return bm3d.Config(kind="bm3d", calibrate=True, sigmas=(sigma,)) if importlib.util.find_spec("bm3d") else None


def told_photons() -> Baseline | None:
    """Behind the transform the noise has a standard deviation of 1, here as a fraction of the transformed range."""
    dark, bright = variance_stabilised.forward(np.array([0.0, PEAK]), detector=0.0)
    method = told_gaussian(float(1 / (bright - dark)))
    if method is None:
        return None
    plain = method.model_copy(update={"calibrate": False})
    return variance_stabilised.Config(kind="variance_stabilised", calibrate=True, peaks=(PEAK,), detectors=(0.0,), method=plain)


def radiographs(folder: Path, params: Params) -> Iterator[tuple[str, str, np.ndarray]]:
    """Split, image id and clean picture, float32 (H, W), of all pictures that do not train, in order of their ids."""
    table = pd.read_csv(folder / "images.csv", dtype=str)
    split = splits.assign({patient: patient for patient in table["patient_id"]}, params.seed, params.ingest.split.model_dump())
    chosen = table.assign(split=table["patient_id"].map(split)).query("split != 'train'")
    config = DecodeConfig(size=SIZE, max_megapixels=params.ingest.max_megapixels, voi=params.ingest.voi)
    found = []
    for row in progress(chosen.to_dict("records"), f"reading {folder.name}", total=len(chosen)):
        picture = prepare.prepare(folder / row["file"], config)
        found.append((row["split"], picture.image, picture.pixels.astype(np.float32) / FULL_SCALE))
    yield from sorted(found, key=lambda one: one[:2])


def noisy(clean: Iterable[tuple[str, np.ndarray]], noise: Noise, name: str, seed: int) -> list[Pair]:
    """Each picture under one draw of `noise`, the same for every method."""
    pairs = []
    for image, pixels in clean:
        generator = torch.Generator().manual_seed(draw_seed(seed, image, name))
        pairs.append((noise(torch.from_numpy(pixels)[None, None], generator)[0, 0].numpy(), pixels))
    return pairs


def measure(denoise: Denoise, pairs: list[Pair]) -> Quality:
    rows = []
    for seen, clean in pairs:
        start = time.process_time()
        prediction = denoise(seen)
        spent = time.process_time() - start
        shown = metrics.clip(prediction, clean)
        rows.append((metrics.psnr(shown, clean), metrics.ssim(shown, clean), spent))
    psnr, ssim, times = np.array(rows).T
    return Quality(float(psnr.mean()), float(ssim.mean()), float(np.median(times)))


def fitted(params: Params, condition: Condition, val: list[Pair]) -> Iterator[Method]:
    """The classical methods as `val` wants them, one by one."""
    with ThreadPoolExecutor(1) as pool:
        for name in NAMES:
            yield name, baselines.fit(params.baselines[name], val, pool).denoise, None
        if condition.told is not None:
            yield f"BM3D ({SLOW} of them)", baselines.fit(condition.told, val[:SLOW_TUNED_ON], pool).denoise, SLOW


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pictures", type=int, default=24, help="test pictures, all of them if there are fewer")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    params = load(PROFILE)
    if importlib.util.find_spec("bm3d") is None:
        print("BM3D is left out: its package is not installed (pip install 'xraydenoise[bm3d]', non-commercial)", file=sys.stderr)
    pictures: dict[str, list[tuple[str, np.ndarray]]] = {"val": [], "test": []}
    for split, image, clean in radiographs(asked.folder, params):
        pictures[split].append((image, clean))
    learned: list[Method] = [(name, load_denoiser(name, "cpu"), None) for name in LEARNED]

    found: dict[str, dict[str, Quality]] = {}
    for name, condition in progress(conditions().items(), "conditions", total=6):
        val = noisy(pictures["val"][:TUNED_ON], condition.noise, name, params.seed)
        test = noisy(pictures["test"][: asked.pictures], condition.noise, name, params.seed)
        for method, denoise, most in chain(fitted(params, condition, val), learned):
            found.setdefault(method, {})[name] = measure(denoise, test[:most])

    shown = min(asked.pictures, len(pictures["test"]))
    precision = "bf16" if bf16_supported(torch.device("cpu")) else "fp32"
    print(f"{shown} test pictures of {asked.folder.name} at {SIZE} px, PSNR in dB / SSIM; the networks in {precision}\n")
    names = list(conditions())
    print(f"| | {' | '.join(names)} | seconds |\n|---|{'---|' * (len(names) + 1)}")
    for method, row in found.items():
        cells = [f"{row[name].psnr:.2f} / {row[name].ssim:.3f}" for name in names]
        print(f"| {method} | {' | '.join(cells)} | {np.median([each.seconds for each in row.values()]):.2g} |")


if __name__ == "__main__":
    main()
