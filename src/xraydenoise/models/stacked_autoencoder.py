"""The stacked denoising autoencoder of Vincent et al. 2008 (Extracting and Composing Robust Features): dense layers with tied weights.

Each layer is y = s(W x + b), mirrored by z = s(W' y + b') with the same W. The objective `layer_wise` trains one layer after the other on
masked inputs, then all together. It is dense, so it works on patches of `side` px; larger pictures are tiled and blended.
"""

from itertools import pairwise
from typing import Annotated, ClassVar, Literal

import torch
import torch.nn.functional as F  # noqa: N812
from pydantic import Field
from torch import Tensor, nn

from xraydenoise.models import Network
from xraydenoise.models.patches import patchwise


class Config(Network):
    paper: ClassVar[str] = "Vincent et al. 2008, ICML"
    kind: Literal["stacked_autoencoder"]
    side: int = Field(ge=4, multiple_of=2)  # px of a patch
    hidden: tuple[Annotated[int, Field(ge=1)], ...] = Field(min_length=1)  # units of each layer

    @property
    def bounded(self) -> bool:
        return True

    def build(self) -> nn.Module:
        return StackedAutoencoder(self.side, self.hidden)


class StackedAutoencoder(nn.Module):
    def __init__(self, side: int, hidden: tuple[int, ...]) -> None:
        super().__init__()
        self.side = side
        self.layers = nn.ModuleList(TiedLayer(before, after) for before, after in pairwise((side * side, *hidden)))

    def forward(self, noisy: Tensor) -> Tensor:  # (B, 1, H, W) -> the same
        return patchwise(self.patch, noisy, self.side)

    def patch(self, noisy: Tensor) -> Tensor:  # (N, 1, side, side) -> the same
        code = noisy.flatten(1)
        for layer in self.layers:
            code = layer(code)
        for layer in reversed(self.layers):
            code = torch.sigmoid(layer.back(code).to(noisy.dtype))  # type: ignore[operator]
        return code.view_as(noisy)


class TiedLayer(nn.Module):
    """(N, before) -> (N, after) and back by the same weights."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(after, before), gain=4.0))  # a sigmoid's slope at 0 is 1/4
        self.bias = nn.Parameter(torch.zeros(after))
        self.back_bias = nn.Parameter(torch.zeros(before))

    def forward(self, values: Tensor) -> Tensor:
        return torch.sigmoid(F.linear(values, self.weight, self.bias))

    def back(self, code: Tensor) -> Tensor:
        """The logits of what the layer had seen."""
        return F.linear(code, self.weight.T, self.back_bias)
