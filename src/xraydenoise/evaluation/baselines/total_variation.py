"""Total variation (Rudin, Osher, Fatemi 1992), minimised by Chambolle's algorithm (2004)."""

from typing import Literal

import numpy as np

from xraydenoise.evaluation.baselines.base import Baseline, Range, Rising, Setting

# A fixed number of steps: a stop by energy, scikit-image's way, comes now early and now late, and moves PSNR by .3 dB from one weight to
# the next. On chest radiographs of 256 px, 30 are .1 dB less at sigma .2, and the minimum itself (200 and more) is .3 dB less.
STEPS = 45


class Config(Baseline):
    kind: Literal["total_variation"]
    weights: Rising  # larger is smoother

    def ranges(self) -> dict[str, Range]:
        return {"weight": Range(self.weights)}

    def denoise(self, noisy: np.ndarray, setting: Setting) -> np.ndarray:
        from skimage.restoration import (
            denoise_tv_chambolle,
        )  # here, since params.yaml names every kind and no other stage should wait for it

        return np.asarray(denoise_tv_chambolle(noisy, setting["weight"], eps=0, max_num_iter=STEPS))  # type: ignore[no-untyped-call]
