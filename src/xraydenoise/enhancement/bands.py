"""A picture as eight bands of detail: differences of Gaussians that add up to the picture (Burt & Adelson 1983, without subsampling)."""

from functools import lru_cache

import torch
from torch import Tensor

SIGMAS = (
    1,
    2,
    4,
    8,
    16,
    32,
    64,
)  # px; band 0 is finer than 1 px, band k lies between SIGMAS[k - 1] and SIGMAS[k], the last is coarser than 64
BANDS = len(SIGMAS) + 1
REACH = 4  # sigmas after which a Gaussian is cut off


def split(pictures: Tensor) -> Tensor:
    """x - G1, G1 - G2, ..., G32 - G64, G64 of each picture; float (B, 1, H, W) -> float32 (B, 8, H, W). Any size of 1 px and more.

    It runs in float32 under autocast too: in bfloat16 the fine bands, small differences of large values, would be lost.
    """
    height, width = pictures.shape[-2:]
    with torch.autocast(pictures.device.type, enabled=False):
        whole = pictures.float()
        down, across = kernels(height, whole.device), kernels(width, whole.device)  # (7, H, H), (7, W, W)
        blurred = down @ whole @ across.mT  # (B, 7, H, W)
        finer, coarser = torch.cat([whole, blurred], dim=1), torch.nn.functional.pad(blurred, (0, 0, 0, 0, 0, 1))  # (B, 8, H, W)
        return finer - coarser


@lru_cache(maxsize=8)
def kernels(length: int, device: torch.device) -> Tensor:
    """The Gaussian blurs of a line of `length` px as matrices, float32 (7, L, L); row i holds the weights that make pixel i."""
    return torch.stack([kernel(length, sigma) for sigma in SIGMAS]).to(device)


def kernel(length: int, sigma: float) -> Tensor:
    """One blur, (L, L): beyond its ends the line is reflected (c b a | a b c), as often as the kernel needs, so that means are kept."""
    reach = REACH * round(sigma)
    offsets = torch.arange(-reach, reach + 1)
    weights = torch.exp(-0.5 * (offsets.double() / sigma) ** 2)
    place = torch.remainder(torch.arange(length)[:, None] + offsets, 2 * length)  # in the line and its mirror image
    source = torch.minimum(place, 2 * length - 1 - place)
    matrix = torch.zeros(length, length, dtype=torch.float64).scatter_add_(1, source, (weights / weights.sum()).expand(length, -1))
    return matrix.float()
