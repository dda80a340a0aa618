"""Sizes that a network's halvings do not divide: pictures are continued by reflection, and cut back afterwards."""

import torch
from torch import Tensor


def padded(pictures: Tensor, multiple: int) -> Tensor:
    """(B, C, H, W) continued below and to the right, so that `multiple` divides height and width."""
    height, width = pictures.shape[-2:]
    return extended(pictures, height + -height % multiple, width + -width % multiple)


def extended(pictures: Tensor, height: int, width: int) -> Tensor:
    """(B, C, H, W) continued below and to the right -> (B, C, height, width).

    The reflection is about the outermost pixels and goes on as often as it must: unlike torch's own, it takes any size.
    """
    for axis, length in ((-2, height), (-1, width)):
        size = pictures.shape[axis]
        if torch.compiler.is_exporting() or length > size:  # an exported graph has no branches, and takes any size
            pictures = pictures.index_select(axis, reflected(size, length, pictures.device))
    return pictures


def reflected(size: int, length: int, device: torch.device) -> Tensor:
    """(length,): 0, 1, ..., size - 1, size - 2, ..., 0, 1, ..."""
    period = torch.scalar_tensor(2 * (size - 1), dtype=torch.int64, device=device).clamp(min=1)  # a tensor, so that exports keep it open
    place = torch.arange(length, device=device) % period
    return torch.minimum(place, period - place)
