"""Full-reference image quality on [0, 1], as every method here is scored: MSE, PSNR, SSIM, MS-SSIM and how well edges are kept."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import cv2
import numpy as np

CAP = 100.0  # dB; what PSNR reads for equal pictures, where the formula gives infinity and no mean could be taken
WINDOW = 7  # px, side of SSIM's uniform window
GAUSSIAN = 11  # px, side of MS-SSIM's Gaussian window
SIGMA = 1.5  # px, its standard deviation
WEIGHTS = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333])  # of MS-SSIM's scales, the finest first
LUMINANCE, CONTRAST = 0.01**2, 0.03**2  # SSIM's constants for K1 = .01, K2 = .03 and data range 1
STRIP = 64  # rows compared at once: what stays in the cache is several times faster than the whole picture


class Score(NamedTuple):
    psnr: float  # dB
    ssim: float  # -1 to 1
    mse: float  # squared fraction of full scale
    ms_ssim: float  # 0 to 1
    edges: float  # -1 to 1


def score(prediction: np.ndarray, target: np.ndarray) -> Score:
    """The quality of `prediction` (H, W) against `target` (H, W), both float with 1.0 = full scale.

    The prediction is clipped to [0, 1] first, as any display or file would do: a method neither gains nor loses by values that no
    picture can hold. Raises ValueError for shapes that differ or lie under 11x11, and for NaN or infinity in the prediction.
    """
    clipped = clip(prediction, target)
    measures = (psnr, ssim, mse, ms_ssim, edges)
    return Score(*(measure(clipped, target) for measure in measures))


def clip(prediction: np.ndarray, target: np.ndarray) -> np.ndarray:
    """`prediction` cut to [0, 1]. Raises ValueError where it does not have the target's shape or is not finite."""
    if prediction.shape != target.shape or prediction.ndim != 2:
        raise ValueError(f"prediction has shape {prediction.shape}, target {target.shape}; expected the same (H, W)")
    if not np.isfinite(prediction).all():
        raise ValueError(f"prediction has NaN or infinity in {int((~np.isfinite(prediction)).sum())} of {prediction.size} pixels")
    return np.asarray(np.clip(prediction, 0, 1))


def mse(prediction: np.ndarray, target: np.ndarray) -> float:
    """Mean squared error, summed in float64."""
    return sum(float(np.square(x - y).sum()) for x, y in _strips(prediction, target, 0)) / target.size


def psnr(prediction: np.ndarray, target: np.ndarray) -> float:
    """Peak signal-to-noise ratio 10 log10(1 / MSE) in dB, data range 1, at most `CAP`."""
    error = mse(prediction, target)
    return CAP if error <= 10 ** (-CAP / 10) else float(-10 * np.log10(error))


def ssim(prediction: np.ndarray, target: np.ndarray) -> float:
    """Mean structural similarity, -1 to 1: data range 1, 7x7 uniform window, K1 = .01, K2 = .03, sample covariance.

    Wang, Bovik, Sheikh, Simoncelli: Image quality assessment, IEEE TIP 13(4), 2004. It is scikit-image's number, computed in float64;
    windows that reach over the border are left out. Raises ValueError for pictures under 7x7.
    """
    _check(target, WINDOW, "SSIM")
    pixels = WINDOW * WINDOW
    return _similarity(prediction, target, lambda strip: cv2.boxFilter(strip, -1, (WINDOW, WINDOW)), WINDOW // 2, pixels / (pixels - 1))[0]


def ms_ssim(prediction: np.ndarray, target: np.ndarray) -> float:
    """Multi-scale structural similarity, 0 to 1: data range 1, 11x11 Gaussian window of sigma 1.5 px, K1 = .01, K2 = .03.

    Wang, Simoncelli, Bovik: Multiscale structural similarity for image quality assessment, Asilomar 2003. At each of five scales the
    mean of contrast times structure, at the coarsest the mean SSIM, each to the power of its scale's weight, multiplied. From scale to
    scale, 2x2 px become their mean; an odd side repeats its last line. A negative mean counts as 0, since it has no real power.

    The coarsest scale must hold the window: 176 px on the shorter side for five scales, 88 for four, 44 for three, 22 for two. Smaller
    pictures use the scales they have, whose weights are divided by their sum. So numbers of pictures of one size compare among methods,
    and those of sizes on both sides of such a limit do not compare with each other. Raises ValueError for pictures under 11x11.
    """
    _check(target, GAUSSIAN, "MS-SSIM")
    weights = WEIGHTS[: int(np.log2(min(target.shape) / GAUSSIAN)) + 1]
    product, last = 1.0, len(weights) - 1
    for scale, weight in enumerate(weights / weights.sum()):
        whole, structure = _similarity(prediction, target, _blur, GAUSSIAN // 2, 1.0)
        product *= max(whole if scale == last else structure, 0.0) ** weight
        prediction, target = _half(prediction), _half(target)
    return float(product)


def edges(prediction: np.ndarray, target: np.ndarray) -> float:
    """Edge preservation index, -1 to 1: correlation of prediction and target after a Laplacian (0 1 0, 1 -4 1, 0 1 0).

    Sattar, Floreby, Salomonsson, Lovstrom: Image enhancement based on a nonlinear multiscale method, IEEE TIP 6(6), 1997. The border of
    one pixel is left out. Grain of the target counts as edges, so 1 is out of reach where the target is not free of noise. A picture
    without any edge correlates with nothing, 0, but where neither has one there was none to lose, 1.
    """
    sums, products, pixels = np.zeros(2), np.zeros((2, 2)), 0
    for strip in _strips(prediction, target, 1):
        fine = np.stack([cv2.Laplacian(part, -1, ksize=1)[1:-1, 1:-1].ravel() for part in strip])  # (2, pixels)
        sums, products, pixels = sums + fine.sum(axis=1), products + fine @ fine.T, pixels + fine.shape[1]
    covariance = products - np.outer(sums, sums) / pixels
    energies = np.diag(covariance)
    if (energies <= 0).any():
        return float((energies <= 0).all())
    return float(np.clip(covariance[0, 1] / np.sqrt(energies.prod()), -1, 1))  # rounding goes beyond


def _check(target: np.ndarray, side: int, name: str) -> None:
    if min(target.shape) < side:
        raise ValueError(f"picture of {target.shape[0]}x{target.shape[1]} px is smaller than {name}'s window of {side}x{side}")


def _strips(prediction: np.ndarray, target: np.ndarray, reach: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Both pictures from top to bottom in float64, `STRIP` rows and `reach` more on either side at a time."""
    for top in range(0, target.shape[0] - 2 * reach, STRIP):
        rows = slice(top, top + STRIP + 2 * reach)
        yield prediction[rows].astype(np.float64), target[rows].astype(np.float64)


def _similarity(
    prediction: np.ndarray, target: np.ndarray, smooth: Callable[[np.ndarray], np.ndarray], reach: int, sample: float
) -> tuple[float, float]:
    """Mean SSIM of two (H, W), and the mean of its contrast and structure alone, over all pixels `reach` px away from the border.

    `smooth` is the mean over a window that reaches so far; `sample` scales (co)variances, as n / (n - 1) does.
    """
    whole = structure = 0.0
    for x, y in _strips(prediction, target, reach):
        mean_x, mean_y, products, squares = (smooth(part)[reach:-reach, reach:-reach] for part in (x, y, x * y, x * x + y * y))
        mean_products, mean_squares = mean_x * mean_y, mean_x * mean_x + mean_y * mean_y
        covariance, variances = sample * (products - mean_products), sample * (squares - mean_squares)
        part = (2 * covariance + CONTRAST) / (variances + CONTRAST)
        structure += float(part.sum())
        whole += float((part * (2 * mean_products + LUMINANCE) / (mean_squares + LUMINANCE)).sum())
    pixels = (target.shape[0] - 2 * reach) * (target.shape[1] - 2 * reach)
    return min(whole / pixels, 1.0), min(structure / pixels, 1.0)  # rounding goes beyond


def _blur(pixels: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(pixels, (GAUSSIAN, GAUSSIAN), SIGMA)


def _half(pixels: np.ndarray) -> np.ndarray:
    """Means of 2x2 px: (H, W) -> (ceil(H / 2), ceil(W / 2)), in float64."""
    height, width = pixels.shape
    even = cv2.copyMakeBorder(pixels, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
    rows = even[::2].astype(np.float64) + even[1::2]
    return np.asarray(rows[:, ::2] + rows[:, 1::2]) / 4
