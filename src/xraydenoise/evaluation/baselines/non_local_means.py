"""Non-local means (Buades, Coll, Morel 2005) in Darbon's fast form (2008), with the expected distance of equal patches taken off."""

from typing import Literal

import numpy as np

from xraydenoise.evaluation.baselines.base import Baseline, Range, Rising, Setting

PATCH = 7  # px, side; 5 and 9 were up to .3 dB less on chest radiographs of 256 px
DISTANCE = 6  # px, from a pixel to the farthest patch it is compared with; 8 and 11 were slower and no better
DECAY = 0.8  # of the weights, in standard deviations of the noise; scikit-image's own advice for the fast form


class Config(Baseline):
    kind: Literal["non_local_means"]
    sigmas: Rising  # standard deviation of the noise that is taken out, fraction of full scale

    def ranges(self) -> dict[str, Range]:
        return {"sigma": Range(self.sigmas)}

    def denoise(self, noisy: np.ndarray, setting: Setting) -> np.ndarray:
        from skimage.restoration import denoise_nl_means  # here, since params.yaml names every kind and no other stage should wait for it

        sigma = setting["sigma"]
        denoised = denoise_nl_means(noisy, PATCH, DISTANCE, h=DECAY * sigma, sigma=sigma, fast_mode=True)
        return np.asarray(denoised, np.float32)
