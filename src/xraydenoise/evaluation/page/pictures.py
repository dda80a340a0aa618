"""Pictures as data URIs that together fit a page."""

import math
from collections.abc import Sequence

import numpy as np

from xraydenoise.viewer.pictures import SCREEN, centre, uri

SIDE = 512  # px, at most, of what is shown of a picture
SMALLEST = 64  # px, below which pictures are left out instead
STEP = 16  # px


def fit(pictures: Sequence[np.ndarray], budget: int) -> tuple[int, list[str]]:
    """The middle of each of `pictures`, (H, W) in [0, 1], as a data URI of 256 grays, and the side in px that this middle has at most.

    The side shrinks until all URIs together, those that are the same counted once, have at most `budget` letters: shrinking the pictures
    would average the noise away. What does not even fit at `SMALLEST` px is "", from the first one on that does not.
    """
    side = SIDE
    while True:
        uris = [uri(_grays(centre(pixels, side))) for pixels in pictures]
        size = sum(map(len, set(uris)))
        if size <= budget:
            return side, uris
        if side == SMALLEST:
            return side, _first(uris, budget)
        side = max(SMALLEST, min(side - STEP, int(side * math.sqrt(max(budget, 0) / size)) // STEP * STEP))


def _grays(pixels: np.ndarray) -> np.ndarray:
    grays: np.ndarray = np.floor(np.clip(pixels, 0, 1) * SCREEN + 0.5)
    return grays.astype(np.uint8)


def _first(uris: Sequence[str], budget: int) -> list[str]:
    seen: set[str] = set()
    kept: list[str] = []
    for one in uris:
        budget -= 0 if one in seen else len(one)
        seen.add(one)
        kept.append(one if budget >= 0 else "")
    return kept
