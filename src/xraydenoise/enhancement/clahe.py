"""Contrast-limited adaptive histogram equalisation (Zuiderveld 1994) at full depth.

OpenCV's takes 16 bits, but with a bin for each of 65536 levels: in a tile of a thousand pixels no bin ever reaches the limit, so nothing is
limited. Its 8-bit form, and scikit-image's, return levels of 256 bins. Here 256 bins make a curve, and pixels go through it undivided.
"""

import numpy as np

BINS = 256


def equalise(pixels: np.ndarray, limit: float, tiles: int = 8) -> np.ndarray:
    """Equalise each of `tiles` x `tiles` parts by its own histogram, blending between their centres; float32 (H, W) in [0, 1] -> the same.

    `limit` is the steepest slope of a curve before the clipped counts are shared out: 1 leaves nearly nothing, 4 is strong.
    """
    height, width = pixels.shape
    side_y, side_x = -(-height // tiles), -(-width // tiles)
    padded = np.pad(pixels, ((0, side_y * tiles - height), (0, side_x * tiles - width)), mode="reflect")
    parts = padded.reshape(tiles, side_y, tiles, side_x).swapaxes(1, 2).reshape(tiles, tiles, -1)
    curves = np.stack([[curve(part, limit) for part in row] for row in parts])  # (tiles, tiles, BINS + 1)

    position = np.clip(pixels, 0, 1) * np.float32(BINS)
    level = np.minimum(position.astype(np.intp), BINS - 1)
    above = position - level
    top, down = neighbours(height, side_y, tiles)
    left, right = neighbours(width, side_x, tiles)
    equalised = np.zeros(pixels.shape, np.float32)
    for row, weight_y in ((top, 1 - down), (np.minimum(top + 1, tiles - 1), down)):
        for column, weight_x in ((left, 1 - right), (np.minimum(left + 1, tiles - 1), right)):
            low = curves[row[:, None], column[None, :], level]
            high = curves[row[:, None], column[None, :], level + 1]
            equalised += weight_y[:, None] * weight_x[None, :] * (low + above * (high - low))
    return equalised


def curve(part: np.ndarray, limit: float) -> np.ndarray:
    """The clipped cumulative histogram of `part`, float32 (BINS + 1,) from 0 to 1."""
    counts, _ = np.histogram(part, bins=BINS, range=(0, 1))
    ceiling = limit * part.size / BINS
    clipped = np.minimum(counts, ceiling)
    shared = clipped + (part.size - clipped.sum()) / BINS
    return np.concatenate(([0], np.cumsum(shared) / part.size)).astype(np.float32)


def neighbours(length: int, side: int, tiles: int) -> tuple[np.ndarray, np.ndarray]:
    """For each pixel along one axis: the tile whose centre lies before it, and how far it is on the way to the next centre (0 to 1)."""
    way = np.clip((np.arange(length, dtype=np.float32) + 0.5) / side - 0.5, 0, tiles - 1)
    before = way.astype(np.intp)
    return before, way - before
