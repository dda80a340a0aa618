"""Noise models: one file a kind, whose Config adds its noise to clean pictures, in training as in the stored test noise."""

import hashlib
import math
from abc import abstractmethod
from collections.abc import Iterable
from typing import Annotated, Any

import torch
from pydantic import AfterValidator, BeforeValidator, Field, SerializeAsAny
from torch import Tensor

from xraydenoise import kinds


class Noise(kinds.Config):
    """What every kind of noise offers; each kind's `Config` is one."""

    kind: str
    clip: bool  # whether the noisy picture is cut to [0, 1]; training and test must agree on it

    @property
    def averages_out(self) -> bool:
        """Whether, before clipping, it is independent from pixel to pixel and of mean 0, so that neighbours can stand in for the truth."""
        return True

    def __call__(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        """Float32 (B, 1, H, W) in [0, 1] -> the noisy pictures, on the same device.

        The generator must be on that device too. All numbers come from it in turn, so a picture's noise depends on the pictures before it
        in the batch: whoever wants the same noise again draws one picture at a time, with a generator of its own (`draw_seed`).
        """
        noisy = self.degrade(clean, generator)
        return noisy.clamp(0, 1) if self.clip else noisy

    @abstractmethod
    def degrade(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        """The noisy pictures before clipping."""


NoiseConfig = Annotated[SerializeAsAny[Noise], BeforeValidator(kinds.by_kind("xraydenoise.noise"))]


class Part(kinds.Config):
    """A noise of a mixture."""

    share: float = Field(gt=0, allow_inf_nan=False)  # of the pictures, relative to the shares of the other parts
    noise: NoiseConfig


def evenly(noises: Iterable[Noise]) -> tuple[Part, ...]:
    """A mixture of which each noise has the same share."""
    return tuple(Part(share=1, noise=noise) for noise in noises)


def _number_or_range(value: Any) -> Any:
    """One message where pydantic would give one for each side of the union."""
    numbers = list(value) if isinstance(value, list | tuple) else [value, value]
    if len(numbers) != 2 or any(isinstance(number, bool) or not isinstance(number, int | float) for number in numbers):
        raise ValueError("expected a number, or [low, high]")
    if not all(math.isfinite(number) for number in numbers) or numbers[0] > numbers[1]:
        raise ValueError("expected a finite number, or [low, high] with low not above high")
    return value


Amount = Annotated[float | tuple[float, float], BeforeValidator(_number_or_range)]  # of [low, high] one is drawn for each picture


def within(low: float, high: float = math.inf) -> AfterValidator:
    """The numbers of an `Amount` must lie in [low, high]."""

    def check(value: Amount) -> Amount:
        if not all(low <= number <= high for number in bounds(value)):
            raise ValueError(f"must be at least {low:g}" + (f" and at most {high:g}" if math.isfinite(high) else ""))
        return value

    return AfterValidator(check)


def bounds(value: Amount) -> tuple[float, float]:
    """The lowest and the highest that may be drawn."""
    return value if isinstance(value, tuple) else (value, value)


def amount(value: Amount, clean: Tensor, generator: torch.Generator) -> Tensor:
    """(B, 1, 1, 1) on the device of `clean` (B, 1, H, W): the number itself, or one drawn uniformly from the range for each picture."""
    low, high = bounds(value)
    shape = (len(clean), 1, 1, 1)
    if low == high:
        return torch.full(shape, low, device=clean.device)
    return low + (high - low) * torch.rand(shape, generator=generator, device=clean.device)


def photons(value: Amount, clean: Tensor, generator: torch.Generator) -> Tensor:
    """As `amount`, for photons at full scale: a range is drawn log-uniformly, so that halving the dose is as likely at any dose."""
    low, high = bounds(value)
    return low * (high / low) ** amount((0.0, 1.0) if low < high else 0.0, clean, generator)


def draw_seed(seed: int, image: str, condition: str) -> int:
    """The seed of one draw, below 2**63: of the project's `seed`, the picture and what it is drawn for."""
    digest = hashlib.sha256(f"{seed}\n{image}\n{condition}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def normal(clean: Tensor, generator: torch.Generator) -> Tensor:
    """Standard normal numbers in the shape and on the device of `clean`."""
    return torch.randn(clean.shape, generator=generator, device=clean.device)
