"""Gaussian blur, borders reflected: the least that any denoiser should do."""

from typing import Literal

import cv2
import numpy as np

from xraydenoise.evaluation.baselines.base import Baseline, Range, Rising, Setting


class Config(Baseline):
    kind: Literal["gaussian"]
    sigmas: Rising  # px, standard deviation of the blur

    def ranges(self) -> dict[str, Range]:
        return {"sigma": Range(self.sigmas)}

    def denoise(self, noisy: np.ndarray, setting: Setting) -> np.ndarray:
        return np.asarray(cv2.GaussianBlur(noisy, (0, 0), setting["sigma"], borderType=cv2.BORDER_REFLECT))
