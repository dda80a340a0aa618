"""Median filter on a square window, borders reflected: with sizes 3, 5 and 7 the official baseline, that every gain is measured against."""

from typing import Annotated, Literal

import cv2
import numpy as np
from pydantic import Field, field_validator

from xraydenoise.evaluation.baselines.base import Baseline, Range, Setting, rise


class Config(Baseline):
    kind: Literal["median"]
    sizes: tuple[Annotated[int, Field(ge=3)], ...] = Field(min_length=1)  # px, side of the window

    @field_validator("sizes")
    @classmethod
    def sizes_are_odd(cls, sizes: tuple[int, ...]) -> tuple[int, ...]:
        if even := [size for size in sizes if size % 2 == 0]:
            raise ValueError(f"a window needs a middle pixel, so sizes are odd; {even} are not")
        rise(sizes)
        return sizes

    def ranges(self) -> dict[str, Range]:
        return {"size": Range(self.sizes, continuous=False)}

    def denoise(self, noisy: np.ndarray, setting: Setting) -> np.ndarray:
        return median(noisy, int(setting["size"]))


def median(noisy: np.ndarray, size: int) -> np.ndarray:
    """Exact median of float32 (H, W) on size x size px. OpenCV is fifty times faster but has sizes 3 and 5 only, and repeats borders."""
    if size > 5:
        from skimage.filters import median as any_median  # here, since params.yaml names every kind and no other stage should wait for it

        return np.asarray(any_median(noisy, np.ones((size, size)), mode="reflect"))  # type: ignore[no-untyped-call]
    edge = size // 2
    framed = cv2.copyMakeBorder(noisy, edge, edge, edge, edge, cv2.BORDER_REFLECT)
    return np.asarray(cv2.medianBlur(framed, size))[edge:-edge, edge:-edge]
