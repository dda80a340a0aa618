"""The presets' gains and slopes, found again, or their effect on a folder of pictures: python bench/presets.py [FOLDER].

Without a folder it prints what makes a synthetic radiograph show the published numbers: the lines of `enhancement/presets.py`.
With one it measures every preset on the pictures there: gain of each band, mean, share of white and black, medians over the pictures.
"""

import sys
from pathlib import Path

import cv2
import numpy as np
import torch

from xraydenoise import enhancement
from xraydenoise.enhancement import bands, curve, presets

SEEDS = range(6)
ROUNDS = 8  # of the fixed point
NEAR = 1.04  # a gain this near the published one is left alone: bands overlap, and an exact answer would swing from band to band
FREE, HELD = (0.01, 100.0), (1.0, 1.0)  # slack that holds nothing back, and none


def radiograph(seed: int, side: int = 512) -> np.ndarray:
    """Float32 (side, side), mean .55, no black, no white: amplitude f^-1.6, random phases, and faint white noise.

    Its bands have about the standard deviations of the middle of NIH's chest X-rays: .006 .005 .008 .012 .018 .026 .038 .09.
    """
    generator = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side))
    frequency[0, 0] = np.inf
    phases = np.fft.rfft2(generator.standard_normal((side, side)))
    field = np.fft.irfft2(phases / np.abs(phases) * frequency**-1.6, s=(side, side))
    varying = 0.42 * np.tanh(0.165 / 0.42 * field / field.std()) + 0.004 * generator.standard_normal((side, side))
    return np.clip(0.55 + varying - varying.mean(), 0.03, 0.97).astype(np.float32)


def shown(finished: np.ndarray, plain: np.ndarray) -> np.ndarray:
    """Gain of each band, mean, share of white, share of black; (11,)."""
    spread = [bands.split(torch.from_numpy(pixels)[None, None]).std(dim=(2, 3))[0].numpy() for pixels in (finished, plain)]
    return np.array([*spread[0] / spread[1], finished.mean(), (finished > curve.WHITE).mean(), (finished < curve.BLACK).mean()])


def finish(linear: np.ndarray, preset: presets.Preset, slack: tuple[float, float]) -> tuple[np.ndarray, curve.Curve]:
    found = curve.solve(linear.astype(np.float64).ravel(), preset, slack)
    return curve.apply(torch.from_numpy(linear)[None, None], torch.tensor([found]))[0, 0].numpy(), found


def calibrated(preset: presets.Preset, pictures: list[np.ndarray]) -> presets.Preset:
    """The preset with gains and slopes such that `pictures` show the published gains, and shares as near as these allow."""
    preset = preset._replace(gains=preset.shown, slopes=(1.0, 1.0))
    for _ in range(ROUNDS):
        linear = [presets.amplify(torch.from_numpy(plain)[None, None], torch.tensor([preset.gains]))[0, 0].numpy() for plain in pictures]
        asked = [finish(picture, preset._replace(slopes=(1.0, 1.0)), FREE)[1] for picture in linear]  # as shares alone have it
        slopes = np.mean([[each.level / (each.middle - each.low), (1 - each.level) / (each.high - each.middle)] for each in asked], 0)
        slopes /= np.sqrt(np.mean(slopes**2))
        preset = preset._replace(slopes=(float(slopes[0]), float(slopes[1])))
        found = np.mean([shown(finish(each, preset, HELD)[0], plain)[:8] for each, plain in zip(linear, pictures, strict=True)], 0)
        missing = np.array(preset.shown) / found
        gains = preset.gains * missing / np.clip(missing, 1 / NEAR, NEAR)
        preset = preset._replace(gains=tuple(gains.tolist()))
    return preset


def main() -> None:
    torch.set_num_threads(1)
    if len(sys.argv) > 1:
        paths = sorted(path for path in Path(sys.argv[1]).glob("*.png"))
        pictures = [
            cv2.imread(str(path), cv2.IMREAD_GRAYSCALE).astype(np.float32) / 255 for path in paths[:: max(1, len(paths) // 20)][:20]
        ]
    else:
        pictures = [radiograph(seed) for seed in SEEDS]
        for number, preset in enumerate(presets.PRESETS):
            found = preset if number == presets.PLAIN else calibrated(preset, pictures)
            told = [", ".join(f"{value:.2f}" for value in values) for values in (found.gains, found.slopes)]
            print(f"{number}: ({told[0]}), ({told[1]})")
    for number in range(len(presets.PRESETS)):
        measured = np.median([shown(enhancement.enhance(plain, number), plain) for plain in pictures], axis=0)
        print(f"{number:2d} | " + " | ".join(f"{value:.3f}" if place > 8 else f"{value:.2f}" for place, value in enumerate(measured)))


if __name__ == "__main__":
    main()
