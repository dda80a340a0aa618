"""What training minimises: one file a kind, whose Config turns a batch and what the network makes of it into one number."""

import math
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Annotated, ClassVar, NamedTuple

import torch
from pydantic import BeforeValidator, SerializeAsAny
from torch import Tensor, nn

from xraydenoise import kinds
from xraydenoise.models import Network
from xraydenoise.noise import Noise

UNKNOWN = -1  # label of a picture that has none


class Batch(NamedTuple):
    """What one step learns from."""

    noisy: Tensor  # float32 (B, 1, P, P)
    target: Tensor  # the same
    label: Tensor  # int64 (B,), number of the picture's class among the classifier's; UNKNOWN where it has none
    generator: torch.Generator  # on the batch's device, where the noise left it


Criterion = Callable[[nn.Module, Batch, float], Tensor]  # network, batch, share of the budget done -> loss


class Objective(kinds.Config):
    """What every kind of objective offers; each kind's `Config` is one."""

    needs_target: ClassVar[bool] = True  # False: no clean picture is looked at
    needs_classifier: ClassVar[bool] = False  # asks the frozen classifier of the dataset's labels, where the dataset has labels

    kind: str

    @property
    def settled(self) -> float:
        """The share of the budget from which val may choose the weights and end the training; before it, and so without clean pictures
        to the end, the last weights are kept."""
        return 0.0 if self.needs_target else math.inf

    def check(self, network: Network, mixture: Sequence[Noise]) -> None:
        """Raise ValueError where `network` or the training noise is not what this objective can take."""

    @abstractmethod
    def loss(self, network: nn.Module, batch: Batch, done: float, classifier: nn.Module | None) -> Tensor:
        """A scalar to minimise. `network` runs under the caller's autocast, `done` is the share of the budget that is spent.

        `classifier` is frozen, or None where the dataset has no labels: then what would need it is left out.
        """


ObjectiveConfig = Annotated[SerializeAsAny[Objective], BeforeValidator(kinds.by_kind("xraydenoise.training.objectives"))]
