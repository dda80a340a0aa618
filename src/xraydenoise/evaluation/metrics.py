"""Full-reference image quality on [0, 1]: MSE, PSNR and SSIM (Wang et al. 2004), as every method here is scored."""

from typing import NamedTuple

import numpy as np
from skimage.metrics import structural_similarity

CAP = 100.0  # dB; what PSNR reads for equal pictures, where the formula gives infinity and no mean could be taken
WINDOW = 7  # px, side of SSIM's uniform window


class Score(NamedTuple):
    psnr: float  # dB
    ssim: float  # -1 to 1
    mse: float  # squared fraction of full scale


def score(prediction: np.ndarray, target: np.ndarray) -> Score:
    """The quality of `prediction` (H, W) against `target` (H, W), both float with 1.0 = full scale.

    The prediction is clipped to [0, 1] first, as any display or file would do: a method neither gains nor loses by values that no
    picture can hold. Raises ValueError for shapes that differ or lie under 7x7, and for NaN or infinity in the prediction.
    """
    clipped = clip(prediction, target)
    return Score(psnr(clipped, target), ssim(clipped, target), mse(clipped, target))


def clip(prediction: np.ndarray, target: np.ndarray) -> np.ndarray:
    """`prediction` cut to [0, 1]. Raises ValueError where it does not have the target's shape or is not finite."""
    if prediction.shape != target.shape or prediction.ndim != 2:
        raise ValueError(f"prediction has shape {prediction.shape}, target {target.shape}; expected the same (H, W)")
    if not np.isfinite(prediction).all():
        raise ValueError(f"prediction has NaN or infinity in {int((~np.isfinite(prediction)).sum())} of {prediction.size} pixels")
    return np.asarray(np.clip(prediction, 0, 1))


def mse(prediction: np.ndarray, target: np.ndarray) -> float:
    """Mean squared error, summed in float64."""
    return float(np.mean(np.square(prediction.astype(np.float64) - target.astype(np.float64))))


def psnr(prediction: np.ndarray, target: np.ndarray) -> float:
    """Peak signal-to-noise ratio 10 log10(1 / MSE) in dB, data range 1, at most `CAP`."""
    error = mse(prediction, target)
    return CAP if error <= 10 ** (-CAP / 10) else float(-10 * np.log10(error))


def ssim(prediction: np.ndarray, target: np.ndarray) -> float:
    """Mean structural similarity of scikit-image: data range 1, 7x7 uniform window, K1 = .01, K2 = .03, sample covariance.

    Wang, Bovik, Sheikh, Simoncelli: Image quality assessment, IEEE TIP 13(4), 2004. Raises ValueError for pictures under 7x7.
    """
    if min(target.shape) < WINDOW:
        raise ValueError(f"picture of {target.shape[0]}x{target.shape[1]} px is smaller than SSIM's window of {WINDOW}x{WINDOW}")
    return float(structural_similarity(target, prediction, data_range=1.0, win_size=WINDOW))  # type: ignore[no-untyped-call]
