"""Planted leaks: which copies of radiographs are found again, and which strangers joined: python bench/leaks.py [FOLDER].

Two hundred copies are put beside the pictures of FOLDER (../shared/radiographs; without it, drawn phantoms), and all of them go the
way of stage ingest: content id, then signatures at the working size. Prints a JSON line a working size: found of planted by the kind of
alteration, the least alike copy, how many pairs of different pictures were joined (pictures of one patient count as strangers, too) and
the most alike of them. Before these, one with the seconds that 20,000 signatures take, and the memory beside the mapped file.
"""

import json
import shutil
import sys
import tempfile
import time
import tracemalloc
from collections import Counter
from pathlib import Path

import cv2
import numpy as np

from xraydenoise.data import duplicates, prepare
from xraydenoise.data.config import DecodeConfig
from xraydenoise.data.decode import decode
from xraydenoise.data.depth import FULL_SCALE
from xraydenoise.data.sources import phantom
from xraydenoise.progress import progress

FOLDER = Path(__file__).parents[2] / "shared/radiographs"
PHANTOMS, PHANTOM_SIZE = 100, 512  # px
SIZES = (256, 512, 1024)  # px, working sizes
MEGAPIXELS = 64.0
KINDS = {"renamed": 10, "lossless": 10, "negative": 20, "jpeg": 40, "resized": 40, "turned": 40, "combined": 40}  # copies planted
SMALLEST, LARGEST = 0.5, 2.0  # times the width and height
WORST, BEST = 50, 95  # JPEG quality
MANY = 20_000


def turned(pixels: np.ndarray, turn: int) -> np.ndarray:
    """One of the eight turns of a square: 0 leaves it as it is."""
    rotated = np.rot90(pixels, turn % 4)
    return np.ascontiguousarray(rotated[:, ::-1] if turn >= 4 else rotated)


def resized(pixels: np.ndarray, factor: float, rng: np.random.Generator) -> np.ndarray:
    method = int(rng.choice([cv2.INTER_AREA, cv2.INTER_CUBIC, cv2.INTER_LINEAR]))
    return cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=method)


def plant(path: Path, kind: str, number: int, folder: Path) -> Path:
    """Write a copy of `path` into `folder` under another name; every second combined one is a negative, every fourth at the worst of
    all ends at once."""
    rng = np.random.default_rng([0, number])
    if kind == "renamed":
        return Path(shutil.copyfile(path, folder / f"{number:03d}{path.suffix}"))
    pixels = decode(path, MEGAPIXELS, voi=False).pixels
    worst = kind == "combined" and number % 4 == 0
    if kind in ("resized", "combined"):
        pixels = resized(pixels, SMALLEST if worst else SMALLEST * (LARGEST / SMALLEST) ** rng.uniform(), rng)
    if kind in ("turned", "combined"):
        pixels = turned(pixels, int(rng.integers(1, 8)))
    if kind == "negative" or (kind == "combined" and number % 2):
        pixels = FULL_SCALE - pixels
    target = folder / f"{number:03d}{'.jpg' if kind in ('jpeg', 'combined') else '.png' if kind == 'resized' else '.tif'}"
    quality = WORST if worst else int(rng.integers(WORST, BEST + 1))
    stored = np.rint(pixels / 257).astype(np.uint8) if target.suffix == ".jpg" else pixels
    if not cv2.imwrite(str(target), stored, [cv2.IMWRITE_JPEG_QUALITY, quality] if target.suffix == ".jpg" else []):
        raise OSError(f"{target}: could not be written; is the disk full?")
    return target


def measure(originals: list[Path], copies: list[tuple[Path, int, str]], size: int) -> dict[str, object]:
    """What is found at one working size; `copies` are (path, place of its original, kind)."""
    config = DecodeConfig(size=size, max_megapixels=MEGAPIXELS, voi=False)
    paths = originals + [path for path, _, _ in copies]
    pictures = [prepare.prepare(path, config) for path in progress(paths, f"{size} px", total=len(paths))]
    names, signatures = [picture.image for picture in pictures], np.stack([picture.signature for picture in pictures])
    origin = np.array([*range(len(originals)), *(place for _, place, _ in copies)])
    joined = {(pair.first, pair.second): pair for pair in duplicates.pairs(signatures)}

    found, least = Counter[str](), 1.0
    for number, (_, place, kind) in enumerate(copies, start=len(originals)):
        same, pair = names[place] == names[number], joined.get((place, number))
        found[kind] += same or pair is not None
        if not same:
            least = min(least, duplicates.pairs(signatures[[place, number]], -1)[0].similarity)
    strangers = sum(origin[first] != origin[second] for first, second in joined)
    nearest = duplicates.nearest(signatures, [f"{place}" for place in origin], 1)[0]
    total = (len(origin) * (len(origin) - 1) - sum(count * (count - 1) for count in Counter(origin.tolist()).values())) // 2
    return {
        "size": size,
        "found": {kind: f"{found[kind]} of {planted}" for kind, planted in KINDS.items()},
        "least_alike_copy": round(least, 4),
        "threshold": duplicates.THRESHOLD,
        "most_alike_strangers": [round(nearest.similarity, 4), *(originals[origin[place]].name for place in nearest[:2])],
        "strangers_joined": f"{strangers} of {total} pairs",
    }


def speed(folder: Path) -> dict[str, object]:
    """Of `MANY` random signatures on disk."""
    rng = np.random.default_rng(0)
    path = folder / "signatures.npy"
    stored = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(MANY, duplicates.LENGTH))
    for start in range(0, MANY, 1000):
        drawn = rng.normal(size=(1000, duplicates.LENGTH))
        stored[start : start + 1000] = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    picture = rng.integers(0, 65536, (512, 512), dtype=np.uint16)
    started = time.perf_counter()
    for _ in range(100):
        duplicates.signature(picture, 16)
    one = (time.perf_counter() - started) * 10  # ms
    mapped = np.load(path, mmap_mode="r")
    duplicates.pairs(mapped[:1000])  # the threads of the matrix product start
    started = time.perf_counter()
    duplicates.pairs(mapped)
    spent = time.perf_counter() - started
    tracemalloc.start()
    duplicates.pairs(mapped[:5000])
    peak = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    return {"signatures": MANY, "pairs_seconds": round(spent, 1), "peak_megabytes": round(peak), "signature_ms_at_512": round(one, 2)}


def main(source: Path) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        if source.is_dir():
            originals = sorted(path for path in source.rglob("*") if path.suffix.lower() in (".png", ".jpg", ".jpeg", ".tif", ".dcm"))
        else:
            print(f"{source} is not there: {PHANTOMS} drawn phantoms instead, which are far more alike than people", file=sys.stderr)
            config = phantom.Config(kind="phantom", path=source, patients=PHANTOMS, images_per_patient=1, size=PHANTOM_SIZE, seed=3)
            originals = [folder / "phantom" / path for path in config.fetch(folder / "phantom")["path"]]
        print(json.dumps(speed(folder)))
        kinds = [kind for kind, planted in KINDS.items() for _ in range(planted)]
        places = np.resize(np.random.default_rng(0).permutation(len(originals)), len(kinds)).tolist()
        planted = [
            (plant(originals[place], kind, n, folder), place, kind) for n, (kind, place) in enumerate(zip(kinds, places, strict=True))
        ]
        for size in SIZES:
            print(json.dumps(measure(originals, planted, size)))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
