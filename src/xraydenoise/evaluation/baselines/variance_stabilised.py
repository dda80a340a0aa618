"""Another method behind a root that makes the noise of photons the same in dark and bright parts, and back without bias.

The root is the generalised Anscombe transform; the way back is the closed form of its exact unbiased inverse: M. Makitalo, A. Foi,
A closed-form approximation of the exact unbiased inverse of the Anscombe variance-stabilizing transformation, IEEE Transactions on Image
Processing 20(9), 2011; Optimal inversion of the generalized Anscombe transformation for Poisson-Gaussian noise, ibid. 22(1), 2013.
Photons and the detector's noise are chosen on val like every other setting: an estimate from each picture (variance against mean, Foi et
al. 2008) was as good without clipping, but clipping spoils it (up to .9 dB less than the true numbers at 30 photons, clipped).
"""

from typing import Annotated, Literal

import numpy as np
from pydantic import AfterValidator, BeforeValidator, Field, SerializeAsAny, field_validator

from xraydenoise import kinds
from xraydenoise.evaluation.baselines.base import Baseline, Range, Rising, Setting, rise

LEAST = 2 * np.sqrt(3 / 8)  # the transform of no photon: below it the inverse is 0


class Config(Baseline):
    kind: Literal["variance_stabilised"]
    peaks: Rising  # photons at full scale
    # standard deviation of the detector's noise, fraction of full scale
    detectors: Annotated[tuple[Annotated[float, Field(ge=0, le=1)], ...], Field(min_length=1), AfterValidator(rise)]
    method: Annotated[SerializeAsAny[Baseline], BeforeValidator(kinds.by_kind("xraydenoise.evaluation.baselines"))]

    @field_validator("method")
    @classmethod
    def whole_is_calibrated(cls, method: Baseline) -> Baseline:
        if method.calibrate:
            raise ValueError("calibrate: the picture is calibrated after the way back; move the key out of method")
        return method

    def ranges(self) -> dict[str, Range]:
        # no scales: between neighbours, and beyond an end, the root bends little more or less
        own = {"peak": Range(self.peaks, continuous=False), "detector": Range(self.detectors, continuous=False)}
        return own | self.method.ranges()

    def denoise(self, noisy: np.ndarray, setting: Setting) -> np.ndarray:
        peak, detector = setting["peak"], setting["detector"] * setting["peak"]  # the detector's noise in photons
        dark, bright = forward(np.array([0.0, peak]), detector)
        # brought to [0, 1], so that a setting of the method means about what it does without the transform
        stable = (forward(peak * noisy.astype(np.float64), detector) - dark) / (bright - dark)
        denoised = self.method.denoise(stable.astype(np.float32), setting).astype(np.float64)
        return np.asarray(inverse(denoised * (bright - dark) + dark, detector) / peak, np.float32)


def forward(photons: np.ndarray, detector: float) -> np.ndarray:
    """The generalised Anscombe transform of Poisson(x) + N(0, detector^2), whose noise has a standard deviation of about 1."""
    return np.asarray(2 * np.sqrt(np.maximum(photons + 3 / 8 + detector**2, 0)))


def inverse(mean: np.ndarray, detector: float) -> np.ndarray:
    """The photons x for which the mean of `forward` is `mean`; none where it is below that of no photon."""
    root = np.maximum(mean, LEAST)
    photons = root**2 / 4 - 1 / 8 + np.sqrt(3 / 2) / 4 / root - 11 / 8 / root**2 + 5 / 8 * np.sqrt(3 / 2) / root**3
    return np.asarray(np.maximum(photons - detector**2, 0))
