"""The labels that an audit finds worst: kept for the report, and drawn beside their inputs."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from xraydenoise import disk

SIDE = 256  # px, up to which a drawn picture is enlarged by a whole factor
RANGE = 0.1  # fraction of full scale: a residual so far from 0 is drawn white or black
GAP = 4  # px between drawn pictures


class Pair(NamedTuple):
    """A label beside its input."""

    image: str
    reason: str  # of `audit.Audit`
    input: np.ndarray  # uint16 (H, W), full scale 65535
    label: np.ndarray


def save(path: Path, pairs: Sequence[Pair]) -> None:
    """Write pairs of any sizes, the same bytes for the same pairs; `load` reads them."""
    told = {"images": np.array([pair.image for pair in pairs], str), "reasons": np.array([pair.reason for pair in pairs], str)}
    pictures = {f"{kind}_{number}": getattr(pair, kind) for number, pair in enumerate(pairs) for kind in ("input", "label")}
    with disk.whole(path) as partial, partial.open("wb") as file:
        np.savez(file, allow_pickle=False, **told, **pictures)


def load(path: Path) -> list[Pair]:
    """The pairs in a file that `save` wrote."""
    with np.load(path, allow_pickle=False) as kept:
        told = zip(kept["images"], kept["reasons"], strict=True)
        return [
            Pair(str(image), str(reason), kept[f"input_{number}"], kept[f"label_{number}"]) for number, (image, reason) in enumerate(told)
        ]


def draw(pairs: Sequence[Pair]) -> np.ndarray:
    """One row a pair: input, label, residual (gray = 0, white = .1 of full scale too bright); uint8 (H, W).

    Input and label are shown from the input's 1st to its 99th percentile, both alike.
    """
    rows = [np.hstack([framed(picture) for picture in drawn(pair)]) for pair in pairs]
    width = max(row.shape[1] for row in rows)
    return np.vstack([np.pad(row, ((0, 0), (0, width - row.shape[1])), constant_values=255) for row in rows])


def drawn(pair: Pair) -> tuple[np.ndarray, ...]:
    """Input, label and residual as they are shown, each uint8 (H, W)."""
    before, after = (pixels.astype(np.float64) / np.iinfo(np.uint16).max for pixels in (pair.input, pair.label))
    low, high = np.percentile(before, (1, 99))
    shown = [(pixels - low) / max(high - low, 1e-6) for pixels in (before, after)] + [0.5 + (after - before) / (2 * RANGE)]
    return tuple(np.rint(255 * np.clip(pixels, 0, 1)).astype(np.uint8) for pixels in shown)


def framed(pixels: np.ndarray) -> np.ndarray:
    """Enlarged by a whole factor, so that pixels stay seen, within a white frame."""
    factor = max(1, SIDE // max(pixels.shape))
    enlarged = cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=cv2.INTER_NEAREST)
    return np.pad(enlarged, GAP, constant_values=255)
