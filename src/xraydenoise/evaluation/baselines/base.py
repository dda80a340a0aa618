"""What every classical method offers: settings with names, among which val chooses."""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from functools import partial
from itertools import product
from typing import Annotated, NamedTuple

import numpy as np
from pydantic import AfterValidator, Field

from xraydenoise import kinds

Denoiser = Callable[[np.ndarray], np.ndarray]  # noisy float32 (H, W) -> the same
Setting = Mapping[str, float]  # one number out of each range


class Range(NamedTuple):
    """Numbers that val chooses from."""

    values: tuple[float, ...]  # rising
    continuous: bool = True  # whether they only sample a scale: then numbers between them are tried too, and an end is warned of


class Baseline(kinds.Config):
    """A method without learning; each kind's `Config` is one."""

    kind: str
    calibrate: bool = False  # whether the brightness of what it makes is corrected by a curve found on val, as a network learns to

    @abstractmethod
    def ranges(self) -> dict[str, Range]:
        """What val chooses, by its name; nothing where there is nothing to choose."""

    @abstractmethod
    def denoise(self, noisy: np.ndarray, setting: Setting) -> np.ndarray:
        """Float32 (H, W) of any size, in [0, 1] or a little outside -> the same shape and type; the same every time."""

    def settings(self) -> dict[str, Denoiser]:
        """Every combination of the ranges' numbers, in order, by the name it has in the column `setting` of the scores."""
        ranges = self.ranges()
        choices = [dict(zip(ranges, values, strict=True)) for values in product(*(one.values for one in ranges.values()))]
        return {name(setting): partial(self.denoise, setting=setting) for setting in choices}

    def at_end(self, setting: str) -> bool:
        """Whether the setting of this name has the first or the last number of a scale, so that a better one may lie beyond it."""
        chosen = {key: float(value) for key, _, value in (part.partition("=") for part in setting.split(", "))} if setting else {}
        return any(
            one.continuous and len(one.values) > 1 and not one.values[0] < chosen[key] < one.values[-1]
            for key, one in self.ranges().items()
        )


def name(setting: Setting) -> str:
    return ", ".join(f"{key}={value:g}" for key, value in setting.items())


def rise(values: tuple[float, ...]) -> tuple[float, ...]:
    """The numbers of a range, which must be in order for val to climb along them."""
    if list(values) != sorted(set(values)):
        raise ValueError("must rise from each number to the next")
    return values


Rising = Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1), AfterValidator(rise)]  # of positive numbers
