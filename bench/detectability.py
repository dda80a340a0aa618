"""Whether faint discs are found as well after denoising as in the noisy picture: python bench/detectability.py [FOLDER].

d' of the channelised Hotelling observer for the disc of profiles/sample.yaml (evaluation.detectability) in noisy pictures, and by how much
it is more or less once they are denoised, with a jackknife interval of 95 % over pictures: by `best`, also at half of its strength, by
`fast`, and by the profile's wavelet filter, tuned and calibrated on these very pictures. The pictures are the first of FOLDER
(../shared/radiographs/chest_nih) at 512 px that have a place for the disc, or those of the sample profile.
Run: OMP_NUM_THREADS=1 python bench/detectability.py ../shared/radiographs/chest_nih
"""

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from scipy.special import stdtrit

from xraydenoise import load_denoiser
from xraydenoise.data.decode import decode
from xraydenoise.data.prepare import content_id, scale
from xraydenoise.data.sources import sample
from xraydenoise.evaluation import baselines, detectability
from xraydenoise.noise import Noise, gaussian, quantum
from xraydenoise.params import Params, load
from xraydenoise.progress import progress
from xraydenoise.stages.examination import Denoise, draws, stacked

PROFILE = Path(__file__).parents[1] / "profiles/sample.yaml"
MEGAPIXELS = 64.0
PICTURES, DRAWS = 12, 16  # and noisy versions of each, with and without the disc

Outputs = tuple[np.ndarray, np.ndarray]  # with the disc and without, (N, DRAWS, channels) each


def noises() -> dict[str, Noise]:
    found: dict[str, Noise] = {
        f"Gaussian {sigma}": gaussian.Config(kind="gaussian", mean=0.0, sigma=sigma, clip=True) for sigma in (0.05, 0.1, 0.2)
    }
    return found | {f"Poisson {peak:g}": quantum.Config(kind="quantum", peak=peak, clip=True) for peak in (30.0, 100.0)}


def places(paths: list[Path], params: Params) -> Iterator[tuple[str, np.ndarray]]:
    """Image id and clean picture, float32 (H, W), of those that have a place for the disc."""
    for path in paths:
        native = decode(path, MEGAPIXELS, voi=False).pixels
        clean = scale(native, 512).astype(np.float32) / 65535
        try:
            detectability.place(clean, params.evaluate.repeats.disc, params.evaluate.repeats.side)
        except detectability.NoPlaceError:
            continue
        yield content_id(native), clean


def examined(denoise: Denoise, noise: Noise, condition: str, pictures: dict[str, np.ndarray], params: Params) -> Outputs:
    config = params.evaluate.repeats
    found = []
    for image, clean in pictures.items():
        draw = draws(noise, params.seed, image, condition)
        found.append(detectability.examine(stacked(denoise), draw, clean, DRAWS, config.disc, config.side))
    return np.stack([one.present for one in found]), np.stack([one.absent for one in found])


def difference(after: Outputs, before: Outputs) -> str:
    """d' after less d' before, with its jackknife interval over the pictures."""

    def less(kept: np.ndarray) -> float:
        return detectability.dprime(after[0][kept], after[1][kept]) - detectability.dprime(before[0][kept], before[1][kept])

    numbers = np.arange(len(after[0]))
    without = np.array([less(numbers != number) for number in numbers])
    half = stdtrit(len(numbers) - 1, 0.975) * np.sqrt((len(numbers) - 1) * np.var(without))
    found = less(numbers >= 0)
    return f"{found:+.2f} ({found - half:+.2f} to {found + half:+.2f})"


def main(paths: list[Path]) -> None:
    torch.set_num_threads(1)
    params = load(PROFILE)
    pictures = dict(islice(places(paths, params), PICTURES))
    networks: dict[str, Denoise] = {
        "`best`": load_denoiser("best", "cpu"),
        "`best` at strength .5": load_denoiser("best", "cpu", strength=0.5),
        "`fast`": load_denoiser("fast", "cpu"),
    }
    print(f"{len(pictures)} pictures, {DRAWS} draws\n\n| | noisy, d' | {' | '.join([*networks, 'wavelet'])} |")
    print("|---|---|" + "---|" * (len(networks) + 1))
    for condition, noise in progress(noises().items(), "conditions", total=5):
        pairs = [(draws(noise, params.seed, image, f"{condition} to tune on")(clean, 0), clean) for image, clean in pictures.items()]
        with ThreadPoolExecutor(1) as pool:
            wavelet = baselines.fit(params.baselines["wavelet"], pairs, pool).denoise
        before = examined(lambda seen: seen, noise, condition, pictures, params)
        told = [difference(examined(each, noise, condition, pictures, params), before) for each in (*networks.values(), wavelet)]
        print(f"| {condition} | {detectability.dprime(*before):.2f} | {' | '.join(told)} |", flush=True)


if __name__ == "__main__":
    main(sorted(Path(sys.argv[1]).glob("*.png")) if len(sys.argv) > 1 else [sample.locate(file) for file in sample.FILES])
