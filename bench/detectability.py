"""Whether faint discs are found as well after `best` and `fast` as in the noisy picture: python bench/detectability.py [FOLDER].

d' of the channelised Hotelling observer for the disc of profiles/sample.yaml (evaluation.detectability) in noisy pictures, and by how much
the denoised ones have more or less, with a jackknife interval of 95 % over pictures: those of FOLDER (../shared/radiographs/chest_nih)
at 512 px, without it those of the sample profile. Disc and noise are the same for every method.
Run: OMP_NUM_THREADS=1 python bench/detectability.py ../shared/radiographs/chest_nih
"""

import sys
from pathlib import Path

import numpy as np
import torch
from scipy.special import stdtrit

from xraydenoise import load_denoiser
from xraydenoise.data.decode import decode
from xraydenoise.data.prepare import content_id, scale
from xraydenoise.data.sources import sample
from xraydenoise.evaluation import detectability
from xraydenoise.inference import Denoiser
from xraydenoise.noise import Noise, gaussian, quantum
from xraydenoise.params import Params, load
from xraydenoise.progress import progress
from xraydenoise.stages.examination import draws, stacked

PROFILE = Path(__file__).parents[1] / "profiles/sample.yaml"
MEGAPIXELS = 64.0
NAMES = ("best", "fast")
PICTURES, DRAWS = 12, 16  # and noisy versions of each, with and without the disc


def noises() -> dict[str, Noise]:
    found: dict[str, Noise] = {
        f"Gaussian {sigma}": gaussian.Config(kind="gaussian", mean=0.0, sigma=sigma, clip=True) for sigma in (0.05, 0.1, 0.2)
    }
    return found | {f"Poisson {peak:g}": quantum.Config(kind="quantum", peak=peak, clip=True) for peak in (30.0, 100.0)}


def detectable(denoisers: dict[str, Denoiser], paths: list[Path], params: Params) -> None:
    """Print d' of the noisy pictures, and the difference that each denoiser makes, with its interval."""
    config = params.evaluate.repeats
    natives = [decode(path, MEGAPIXELS, voi=False).pixels for path in paths[: 2 * PICTURES]]
    pictures = {content_id(native): scale(native, 512).astype(np.float32) / 65535 for native in natives}
    print("\n| d' | pictures | noisy | " + " | ".join(f"`{name}`, difference (95 %)" for name in denoisers) + " |")
    print("|---|---|---|" + "---|" * len(denoisers))
    for condition, noise in noises().items():
        outputs: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {name: [] for name in ("noisy", *denoisers)}
        for image, clean in progress(pictures.items(), condition, total=len(pictures)):
            if len(outputs["noisy"]) == PICTURES:
                continue
            draw = draws(noise, params.seed, image, condition)
            try:
                for name, found in outputs.items():
                    each = stacked(denoisers[name]) if name in denoisers else lambda seen: seen
                    examined = detectability.examine(each, draw, clean, DRAWS, config.disc, config.side)
                    found.append((examined.present, examined.absent))
            except detectability.NoPlaceError:
                continue  # the same for every method, as the clean picture decides
        stacks = {name: tuple(np.stack(part) for part in zip(*found, strict=True)) for name, found in outputs.items()}
        before = detectability.dprime(*stacks["noisy"])
        told = (difference(stacks[name], stacks["noisy"]) for name in denoisers)
        print(f"| {condition} | {len(outputs['noisy'])} | {before:.2f} | {' | '.join(told)} |", flush=True)


def difference(after: tuple[np.ndarray, ...], before: tuple[np.ndarray, ...]) -> str:
    """d' after less d' before, with its jackknife interval over the pictures."""

    def less(kept: np.ndarray) -> float:
        return detectability.dprime(*(part[kept] for part in after)) - detectability.dprime(*(part[kept] for part in before))

    numbers = np.arange(len(after[0]))
    without = np.array([less(numbers != number) for number in numbers])
    half = stdtrit(len(numbers) - 1, 0.975) * np.sqrt((len(numbers) - 1) * np.var(without))
    found = less(numbers >= 0)
    return f"{found:+.2f} ({found - half:+.2f} to {found + half:+.2f})"


def main(paths: list[Path]) -> None:
    torch.set_num_threads(1)
    detectable({name: load_denoiser(name, "cpu") for name in NAMES}, paths, load(PROFILE))


if __name__ == "__main__":
    main(sorted(Path(sys.argv[1]).glob("*.png")) if len(sys.argv) > 1 else [sample.locate(file) for file in sample.FILES])
