"""Pictures too large for memory: tiles on the network's own grid, which overlap and blend into what the whole picture would give.

The networks see far. With `best` and noise of .2, values up to 80 px from a tile's edge were off by .0065, up to 96 by .0025, up to 112 by
.0012, so a tile's outer MARGIN px are not used, and over the next BLEND px it fades out while its neighbour fades in.
"""

from collections.abc import Callable, Iterator

import numpy as np

SIDE = 1536  # px of a tile at most; with `best` it takes less than 1 GB in float32
MARGIN = 96  # px
BLEND = 64  # px
OVERLAP = 2 * MARGIN + BLEND
GRID = 64  # px: halvings and patches of a tile lie as in the whole picture where this divides its place


def tiled(network: Callable[[np.ndarray], np.ndarray], picture: np.ndarray, side: int = SIDE) -> np.ndarray:
    """The network's float32 (H, W) of a float32 (H, W), tile by tile; a picture of at most `side` px each way is one tile.

    `side` is OVERLAP and one or more times GRID.
    """
    if max(picture.shape) <= side:
        return network(picture)
    total = np.zeros(picture.shape, np.float32)
    for rows, down in places(picture.shape[0], side):
        for columns, across in places(picture.shape[1], side):
            total[rows, columns] += network(picture[rows, columns]) * (down[:, None] * across)
    return total


def places(length: int, side: int) -> Iterator[tuple[slice, np.ndarray]]:
    """Where the tiles lie along one axis, and the weight of each of their px; where tiles overlap, their weights add up to 1."""
    count = max(1, -(-(length - OVERLAP) // (side - OVERLAP)))
    step = -(-(length - OVERLAP) // (count * GRID)) * GRID  # as short as so many tiles allow
    starts = [0] if count == 1 else range(0, length - OVERLAP, step)
    fade = np.clip((np.arange(OVERLAP, dtype=np.float32) - MARGIN + 0.5) / BLEND, 0, 1)
    for start in starts:
        end = length if start == starts[-1] else start + step + OVERLAP
        weight = np.ones(end - start, np.float32)
        if start > 0:
            weight[:OVERLAP] = fade
        if end < length:
            weight[-OVERLAP:] *= 1 - fade
        yield slice(start, end), weight
