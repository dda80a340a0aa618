"""Bilateral filter (Tomasi, Manduchi 1998): a Gaussian blur that counts a neighbour the less, the more its brightness differs."""

from typing import Literal

import cv2
import numpy as np

from xraydenoise.evaluation.baselines.base import Baseline, Range, Rising, Setting


class Config(Baseline):
    kind: Literal["bilateral"]
    spaces: Rising  # px, standard deviation over distance
    tones: Rising  # standard deviation over brightness, fraction of full scale

    def ranges(self) -> dict[str, Range]:
        return {"space": Range(self.spaces), "tone": Range(self.tones)}

    def denoise(self, noisy: np.ndarray, setting: Setting) -> np.ndarray:
        # a diameter of -1 lets OpenCV take the window from the standard deviation: 1.5 of them on each side
        return np.asarray(cv2.bilateralFilter(noisy, -1, setting["tone"], setting["space"], borderType=cv2.BORDER_REFLECT))
