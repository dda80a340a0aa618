"""The noisy picture as it is: what doing nothing scores."""

from typing import Literal

import numpy as np

from xraydenoise.evaluation.baselines.base import Baseline, Range, Setting


class Config(Baseline):
    kind: Literal["noisy"]

    def ranges(self) -> dict[str, Range]:
        return {}

    def denoise(self, noisy: np.ndarray, setting: Setting) -> np.ndarray:  # noqa: ARG002
        return noisy.copy()
