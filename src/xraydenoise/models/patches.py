"""Networks that are bound to one patch size take pictures of any size in overlapping patches, blended; nothing is resized."""

from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from xraydenoise.models.padding import extended

AT_ONCE = 1024  # patches that go through the network together when nothing is learnt


def patchwise(network: Callable[[Tensor], Tensor], pictures: Tensor, side: int) -> Tensor:
    """(B, 1, H, W) -> the same, through `network`: (N, 1, side, side) -> the same.

    Patches overlap by half, and each counts most in its middle (a pyramid of weights), so no seam shows. A picture that is one patch
    passes as it is; a smaller one is continued by reflection first.
    """
    height, width = pictures.shape[-2:]
    step = side // 2
    whole = torch.compiler.is_exporting()  # an exported graph has no branches: all patches go through at once, one as well as many
    # Rounded up without a negative number, which ONNX's integer division rounds the other way
    tall, wide = (side + (torch.sym_max(size, side) - step - 1) // step * step for size in (height, width))  # type: ignore[no-untyped-call]
    if not whole and (tall, wide) == (side, side):
        return network(extended(pictures, side, side)).to(pictures.dtype)[..., :height, :width]
    cut = F.unfold(extended(pictures, tall, wide), side, stride=step)  # (B, side * side, N)
    patches = cut.transpose(1, 2).reshape(-1, 1, side, side)
    parts = [patches] if whole or torch.is_grad_enabled() else torch.split(patches, AT_ONCE)  # a large picture has many
    out = torch.cat([network(part).to(pictures.dtype) for part in parts]).view(len(pictures), -1, side * side).transpose(1, 2)
    weight = pyramid(side, pictures.device).view(1, -1, 1)
    blended = F.fold(out * weight, (tall, wide), side, stride=step) / F.fold(weight.expand_as(cut[:1]), (tall, wide), side, stride=step)
    return blended[..., :height, :width]


def pyramid(side: int, device: torch.device) -> Tensor:
    """(side, side), 1 near the middle, falling straight towards the edges and never 0."""
    line = 1 - (2 * (torch.arange(side, device=device) + 0.5) / side - 1).abs()
    return line[:, None] * line


def cut(pictures: Tensor, side: int) -> Tensor:
    """(B, 1, H, W) -> (N, 1, side, side): patches that do not overlap; what is left at the far edges is dropped.

    A smaller picture is continued by reflection first, as `patchwise` does.
    """
    height, width = pictures.shape[-2:]
    whole = extended(pictures, max(height, side), max(width, side))
    return F.unfold(whole, side, stride=side).transpose(1, 2).reshape(-1, 1, side, side)
