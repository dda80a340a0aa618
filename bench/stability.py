"""What `best` and `fast` do to pictures unlike those that they learnt from: python bench/stability.py [FOLDER...] [--sheet FILE.png].

Cases: the chest CR, lower leg and mammograms of the sample profile at several sizes, the same with a collimated border, with a drawn
metal implant, in a narrow range and as 8 bit, and the first two pictures of each FOLDER (../shared/radiographs/chest_nih). Each is
denoised as it is: root mean square and largest change in percent of full scale; and under clipped Gaussian noise: PSNR before and after.
Where a result is not of the type and shape of its picture, not finite, or changes a drawn flat area, the run fails and says so.
--sheet draws a square of each case at its own resolution, where the picture without added noise is changed most: before, noisy, after, and
that change 20 times enlarged.
Run: OMP_NUM_THREADS=1 python bench/stability.py ../shared/radiographs/chest_nih
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch

from xraydenoise import load_denoiser
from xraydenoise.data.decode import decode
from xraydenoise.data.prepare import scale
from xraydenoise.data.sources import sample
from xraydenoise.inference import Denoiser

MEGAPIXELS = 64.0
NAMES = ("best", "fast")
SIGMAS = (0.05, 0.1)  # of full scale
LIMIT = 0.3  # % of full scale, rms, that a clean picture may change
SIDE = 224  # px of a square of the sheet
ENLARGED = 20  # times, change on the sheet


class Case(NamedTuple):
    name: str
    pixels: np.ndarray  # uint8 or uint16 (H, W)
    full: float  # its full scale, in its own unit
    flat: np.ndarray  # bool (H, W): where a detector saw nothing; no noise there, and no change is right
    clean: bool  # whether it is free of noise, so that the limit of change counts


def case(name: str, pixels: np.ndarray, full: float = 65535.0, flat: np.ndarray | None = None, clean: bool = True) -> Case:
    return Case(name, pixels, full, np.zeros(pixels.shape, bool) if flat is None else flat, clean)


def cases(folders: list[Path]) -> Iterator[Case]:
    """One by one, as some are large."""
    chest, leg, breast = (decode(sample.locate(sample.FILES[place]), MEGAPIXELS, voi=False).pixels for place in (0, 1, 3))
    for name, pixels in (("chest CR, 15 bit", chest), ("lower leg, 10 bit", leg), ("mammogram, 16 bit", breast)):
        yield case(f"{name}, as it is", pixels, clean=False)
        for size in (1024, 512, 256, 100):
            yield case(name, scale(pixels, size))
    chest, leg = scale(chest, 1024), scale(leg, 1024)
    yield case("chest CR as 8 bit", np.rint(chest / 257).astype(np.uint8), 255.0)
    yield case("chest CR in an eighth of the range", chest // 8, 65535 / 8)
    yield case("chest CR, 12 bits in 16", chest // 16, 4095.0)
    yield case("chest CR in 256 of 65536 values, on an offset", 30000 + chest // 256, 256.0)
    border = np.ones(chest.shape, bool)
    border[150:-120, 180:-200] = False
    yield case("chest CR, black border", np.where(border, 0, chest).astype(np.uint16), flat=border)
    yield case("chest CR, white border", np.where(border, 65535, chest).astype(np.uint16), flat=border)
    yield case("lower leg, metal implant", *implanted(leg))
    for folder in folders:
        for path in sorted(each for each in folder.iterdir() if each.suffix == ".png")[:2]:
            yield case(f"{folder.name} {path.stem}", decode(path, MEGAPIXELS, voi=False).pixels, clean="hannover" not in folder.name)


def implanted(bone: np.ndarray) -> tuple[np.ndarray, float, np.ndarray]:
    """A plate with five screws, at full scale with edges of a pixel, in the middle; its inside is flat."""
    metal = np.zeros(bone.shape, np.uint8)
    height, width = bone.shape
    cv2.rectangle(metal, (width // 2 - 20, height // 4), (width // 2 + 20, 3 * height // 4), 255, -1)
    for row in np.linspace(0.29, 0.71, 5) * height:
        cv2.line(metal, (width // 2 - 110, int(row) + 8), (width // 2 + 20, int(row)), 255, 9, cv2.LINE_AA)
    share = cv2.GaussianBlur(metal.astype(np.float64) / 255, (0, 0), 0.6)
    inside = cv2.morphologyEx(cv2.erode(metal, np.ones((5, 5))), cv2.MORPH_OPEN, np.ones((7, 7))) == 255
    return np.rint(np.where(inside, 65535, bone + share * (65535 - bone.astype(np.float64)))).astype(np.uint16), 65535.0, inside


def noisy(one: Case, sigma: float) -> np.ndarray:
    """Gaussian noise of `sigma` of its full scale, cut to it, and rounded to the picture's type."""
    low = max(float(one.pixels.max()) - one.full, 0) if one.pixels.min() > one.full else 0.0  # of a range on an offset
    drawn = one.pixels + np.random.default_rng(3).normal(0, sigma * one.full, one.pixels.shape)
    seen: np.ndarray = np.where(one.flat, one.pixels, np.rint(drawn.clip(low, low + one.full)))
    return seen.astype(one.pixels.dtype)


def psnr(shown: np.ndarray, one: Case) -> float:
    return float(-10 * np.log10(np.square((shown.astype(np.float64) - one.pixels) / one.full)[~one.flat].mean()))


def change(one: Case, after: np.ndarray) -> np.ndarray:
    """In fractions of full scale, float64 (H, W). Raises SystemExit where the result is not as it must be."""
    found: np.ndarray = (after.astype(np.float64) - one.pixels) / one.full
    if after.dtype != one.pixels.dtype or after.shape != one.pixels.shape or not np.isfinite(found).all():
        sys.exit(f"{one.name}: {one.pixels.dtype} {one.pixels.shape} became {after.dtype} {after.shape}, or is not finite")
    if found[one.flat].any():
        sys.exit(f"{one.name}: its flat area changed by up to {np.abs(found[one.flat]).max():.2%} of full scale")
    return found


def row_of_sheet(one: Case, seen: np.ndarray, after: np.ndarray, changed: np.ndarray) -> np.ndarray:
    """Squares of SIDE px around the place where `changed` is largest: before, noisy, after, and `changed`."""
    middle = np.unravel_index(cv2.blur(np.abs(changed), (9, 9)).argmax(), changed.shape)
    top, left = (int(min(max(place - SIDE // 2, 0), max(side - SIDE, 0))) for place, side in zip(middle, changed.shape, strict=True))
    low, high = (float(value) for value in np.percentile(one.pixels[top : top + SIDE, left : left + SIDE], (0.1, 99.9)))
    squares = [(each - low) / max(high - low, 1) for each in (one.pixels.astype(np.float64), seen, after)] + [0.5 + ENLARGED * changed]
    sheet = np.zeros((SIDE + 14, 4 * (SIDE + 2)), np.uint8)
    for place, square in enumerate(squares):
        cut = np.rint(255 * square[top : top + SIDE, left : left + SIDE].clip(0, 1)).astype(np.uint8)
        sheet[14 : 14 + cut.shape[0], place * (SIDE + 2) :][:, : cut.shape[1]] = cut
    return cv2.putText(sheet, f"{one.name}", (2, 11), cv2.FONT_HERSHEY_SIMPLEX, 0.4, 255, 1, cv2.LINE_AA)


def stable(denoise: Denoiser, folders: list[Path], sheet: Path | None) -> None:
    print(f"\n| `{denoise.name}` | px | change, rms % | largest % | " + " | ".join(f"sigma {sigma}, dB" for sigma in SIGMAS) + " |")
    print("|---|---|---|---|" + "---|" * len(SIGMAS))
    rows = []
    for one in cases(folders):
        changed = change(one, denoise(one.pixels))
        found = []
        for sigma in SIGMAS:
            seen = noisy(one, sigma)
            after = denoise(seen)
            change(one._replace(pixels=seen), after)
            found.append(f"{psnr(seen, one):.2f} to {psnr(after, one):.2f}")
        rms = 100 * np.sqrt(np.square(changed).mean())
        told = " (not clean)" if not one.clean else f" (more than {LIMIT})" if rms > LIMIT else ""
        size = f"{one.pixels.shape[1]} x {one.pixels.shape[0]}"
        print(f"| {one.name} | {size} | {rms:.3f}{told} | {100 * np.abs(changed).max():.1f} | {' | '.join(found)} |", flush=True)
        rows.append(row_of_sheet(one, seen, after, changed))
    if sheet is not None and not cv2.imwrite(str(sheet), np.concatenate(rows)):
        raise OSError(f"{sheet}: could not be written; does the folder exist, and is the disk not full?")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folders", type=Path, nargs="*")
    parser.add_argument("--sheet", type=Path, help="the cases under the stronger noise, by `best`")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    for name in NAMES:
        stable(load_denoiser(name, "cpu"), asked.folders, asked.sheet if name == NAMES[0] else None)


if __name__ == "__main__":
    main()
