"""How fast pictures are prepared: python bench/prepare.py [FOLDER]. Beside a plain route, and beside decoding alone, on the same files.

Ours: what a worker of stage ingest does with a file (decode, check, name by content, scale by area, signature), in one process and thread.
Plain: Pillow decodes, scikit-image makes floats, scales with anti-aliasing and makes 16 bit again. Decode: OpenCV (PNG, JPEG) or pydicom,
no more. Rounds alternate and the best of each side counts. FOLDER holds radiographs; without one, phantoms of 1024 px are drawn, as PNG of
16 bit and as JPEG. Prints one JSON line a format.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pydicom
from PIL import Image
from skimage import img_as_float, img_as_uint
from skimage.transform import resize

from xraydenoise.data.config import DecodeConfig
from xraydenoise.data.prepare import prepare
from xraydenoise.data.sources import phantom

CONFIG = DecodeConfig(size=512, max_megapixels=64, voi=False)
FILES, ROUNDS = 12, 5
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".dcm")


def plain(path: Path) -> np.ndarray:
    """The route most notebooks take."""
    pixels = pydicom.dcmread(path).pixel_array if path.suffix == ".dcm" else np.asarray(Image.open(path))
    floats = img_as_float(pixels)
    factor = min(1, CONFIG.size / max(floats.shape))
    shape = tuple(round(side * factor) for side in floats.shape)
    return img_as_uint(resize(floats, shape, anti_aliasing=True).clip(0, 1))


def decode(path: Path) -> np.ndarray:
    """Pixels, and nothing done with them."""
    if path.suffix == ".dcm":
        return pydicom.dcmread(path).pixel_array
    return cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)


def drawn(folder: Path) -> None:
    """Phantoms in three formats."""
    for number in range(FILES):
        pixels = phantom.draw(1024, 1, number, 0)
        cv2.imwrite(str(folder / f"{number}-16.png"), np.rint(pixels * 65535).astype(np.uint16))
        cv2.imwrite(str(folder / f"{number}.jpg"), np.rint(pixels * 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 90])


def seconds(function: Callable[[Path], object], paths: list[Path]) -> float:
    start = time.perf_counter()
    for path in paths:
        function(path)
    return (time.perf_counter() - start) / len(paths)


def main() -> None:
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as made:
        if len(sys.argv) > 1:
            found = [path for path in sorted(Path(sys.argv[1]).rglob("*")) if path.suffix.lower() in SUFFIXES]
        else:
            drawn(Path(made))
            found = sorted(Path(made).iterdir())
        for suffix in sorted({path.suffix for path in found}):
            paths = [path for path in found if path.suffix == suffix][:FILES]
            routes = {"ours": lambda path: prepare(path, CONFIG), "plain": plain, "decode": decode}
            rounds = [{name: seconds(route, paths) for name, route in routes.items()} for _ in range(ROUNDS)]
            best = {name: min(each[name] for each in rounds) for name in routes}
            told = {f"{name}_ms": round(1000 * value, 2) for name, value in best.items()}
            ratios = {"times_faster_than_plain": best["plain"] / best["ours"], "times_decode_alone": best["ours"] / best["decode"]}
            print(json.dumps({"format": suffix, "files": len(paths), **told, **{key: round(value, 2) for key, value in ratios.items()}}))


if __name__ == "__main__":
    main()
