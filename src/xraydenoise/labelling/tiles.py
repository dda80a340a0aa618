"""Same-size labels: a picture goes through a x4 network in tiles that overlap and blend, and each 4 x 4 pixels become one again."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from xraydenoise.labelling.networks import SCALE

BATCH = {"cpu": 1, "cuda": 8}  # tiles at once: one keeps a CPU's cores busy and its caches small


def same_size(network: nn.Module, pixels: np.ndarray, tile: int, overlap: int, precision: torch.dtype) -> np.ndarray:
    """The network's picture of `pixels`, float32 (H, W) in [0, 1], at the same size; it may overshoot [0, 1] a little, or be NaN: audit it.

    Tiles have a side of at most `tile` px and share `overlap` px. `precision` is float32, or bfloat16 by autocast.

    The picture's border is not extended by reflection: against labels that saw the true surroundings, the outer 8 px were off by .0049
    on average without, .0056 with 16 px of it (chest X-rays, x4plus), and it would cost a region of 96 px 1.8 times the work.
    """
    tops, height = cuts(pixels.shape[0], tile, overlap)
    lefts, width = cuts(pixels.shape[1], tile, overlap)
    places = [(slice(top, top + height), slice(left, left + width)) for top in tops for left in lefts]
    results = labels(network, np.stack([pixels[place] for place in places]), precision)
    weight = np.outer(ramp(height, overlap), ramp(width, overlap))
    total, weights = np.zeros(pixels.shape), np.zeros(pixels.shape)
    for place, result in zip(places, results, strict=True):
        total[place] += weight * result
        weights[place] += weight
    blended: np.ndarray = (total / weights).astype(np.float32)
    return blended


def cuts(length: int, tile: int, overlap: int) -> tuple[list[int], int]:
    """Where tiles start along one axis, and their common length: as few tiles as there can be, as short as these allow."""
    if length <= tile:
        return [0], length
    count = -(-(length - overlap) // (tile - overlap))
    side = -(-(length + (count - 1) * overlap) // count)
    return [number * (length - side) // (count - 1) for number in range(count)], side


def ramp(side: int, overlap: int) -> np.ndarray:
    """A tile's weight along one axis: a raised cosine over `overlap` px at both ends, never zero, 1 between."""
    rise = np.sin(np.pi / 2 * np.minimum((np.arange(side) + 0.5) / overlap, 1)) ** 2
    both: np.ndarray = np.minimum(rise, rise[::-1])
    return both


@torch.inference_mode()
def labels(network: nn.Module, tiles: np.ndarray, precision: torch.dtype) -> np.ndarray:
    """float32 (N, H, W) -> the same: gray as three channels, x4, mean of the channels, mean of each 4 x 4 px."""
    device = next(network.parameters()).device
    done: list[Tensor] = []
    for batch in torch.split(torch.from_numpy(tiles)[:, None], BATCH[device.type]):  # (B, 1, H, W)
        colours = batch.to(device).expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)
        with torch.autocast(device.type, precision, enabled=precision != torch.float32):
            enlarged = network(colours)  # (B, 3, 4H, 4W)
        done.append(functional.avg_pool2d(enlarged.float().mean(dim=1), SCALE).cpu())  # (B, H, W)
    return torch.cat(done).numpy()
