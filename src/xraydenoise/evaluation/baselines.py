"""The classical methods that a model must beat, each with the settings among which val chooses: none, median, total variation."""

from abc import abstractmethod
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from functools import partial
from typing import Annotated, Literal

import cv2
import numpy as np
from pydantic import Field, field_validator
from skimage.filters import median as any_median
from skimage.restoration import denoise_tv_chambolle

from xraydenoise import kinds
from xraydenoise.evaluation import metrics

Denoiser = Callable[[np.ndarray], np.ndarray]  # noisy float32 (H, W) -> the same

# Stop of Chambolle's iteration, relative to the first energy. scikit-image's own 2e-4 ends up to half a dB short of the optimum
# (512x512, sigma .1), which would flatter every model; 2e-5 is converged to .1 dB and takes twice the time.
TOLERANCE = 2e-5


class Baseline(kinds.Config):
    """A method without learning. `settings` names each candidate as the `setting` column of the scores does."""

    @abstractmethod
    def settings(self) -> dict[str, Denoiser]:
        """The candidates, in order."""

    def at_end(self, setting: str) -> bool:  # noqa: ARG002
        """Whether `setting` is the first or the last of a range of numbers, so that a better one may lie beyond it."""
        return False


class Noisy(Baseline):
    """The noisy picture as it is: what doing nothing scores."""

    kind: Literal["noisy"]

    def settings(self) -> dict[str, Denoiser]:
        return {"": np.copy}


class Median(Baseline):
    """Median filter on a square window, borders reflected."""

    kind: Literal["median"]
    sizes: tuple[Annotated[int, Field(ge=3)], ...] = Field(min_length=1)  # px, side of the window

    @field_validator("sizes")
    @classmethod
    def sizes_are_odd(cls, sizes: tuple[int, ...]) -> tuple[int, ...]:
        if even := [size for size in sizes if size % 2 == 0]:
            raise ValueError(f"a window needs a middle pixel, so sizes are odd; {even} are not")
        return sizes

    def settings(self) -> dict[str, Denoiser]:
        return {f"size={size}": partial(median, size=size) for size in self.sizes}


class TotalVariation(Baseline):
    """Total variation (Rudin, Osher, Fatemi 1992), minimised by Chambolle's algorithm (2004)."""

    kind: Literal["total_variation"]
    weights: tuple[Annotated[float, Field(gt=0)], ...] = Field(min_length=1)  # larger is smoother

    @field_validator("weights")
    @classmethod
    def weights_rise(cls, weights: tuple[float, ...]) -> tuple[float, ...]:
        if list(weights) != sorted(set(weights)):
            raise ValueError("weights must rise from each to the next")
        return weights

    def settings(self) -> dict[str, Denoiser]:
        return {f"weight={weight:g}": partial(denoise_tv_chambolle, weight=weight, eps=TOLERANCE) for weight in self.weights}

    def at_end(self, setting: str) -> bool:
        names = list(self.settings())
        return len(names) > 1 and setting in (names[0], names[-1])


BaselineConfig = Annotated[Noisy | Median | TotalVariation, Field(discriminator="kind")]


def median(noisy: np.ndarray, size: int) -> np.ndarray:
    """Exact median of float32 (H, W) on size x size px. OpenCV is fifty times faster but has sizes 3 and 5 only, and repeats borders."""
    if size > 5:
        return np.asarray(any_median(noisy, np.ones((size, size)), mode="reflect"))  # type: ignore[no-untyped-call]
    edge = size // 2
    framed = cv2.copyMakeBorder(noisy, edge, edge, edge, edge, cv2.BORDER_REFLECT)
    return np.asarray(cv2.medianBlur(framed, size))[edge:-edge, edge:-edge]


def tune(settings: dict[str, Denoiser], pairs: Iterable[tuple[np.ndarray, np.ndarray]], pool: Executor) -> str:
    """The setting with the best mean PSNR over `pairs` of noisy and target (H, W); the first of equals.

    Raises ValueError where there is something to choose and no pair to choose on.
    """
    if len(settings) == 1:
        return next(iter(settings))
    pairs = list(pairs)
    if not pairs:
        raise ValueError(f"no val picture to choose among {', '.join(settings)}; give val a share in ingest.split")
    means = {name: float(np.mean(list(pool.map(partial(_psnr, denoiser), pairs)))) for name, denoiser in settings.items()}
    return max(means, key=means.__getitem__)


def _psnr(denoiser: Denoiser, pair: tuple[np.ndarray, np.ndarray]) -> float:
    noisy, target = pair
    return metrics.psnr(metrics.clip(denoiser(noisy), target), target)
