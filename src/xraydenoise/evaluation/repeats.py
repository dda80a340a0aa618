"""What a method does to one picture again and again under fresh noise: its error parted into bias and residual noise."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import cv2
import numpy as np

from xraydenoise.evaluation import metrics

Denoise = Callable[[np.ndarray], np.ndarray]  # noisy (K, H, W) -> the same shape
Draw = Callable[[np.ndarray, int], np.ndarray]  # clean (H, W) and k -> its k-th noisy version, always the same one

FINE = 2.0  # px; sigma of the blur that parts the detail, at which denoisers err, from the rest


class Decomposed(NamedTuple):
    """Squared fractions of full scale, means over pixels; their sum is the mean squared error over all draws, exactly."""

    bias2: float  # what stays however many predictions are averaged; unbiased, so chance may take it a little below 0
    variance: float  # what differs from draw to draw


def repeat(denoise: Denoise, draw: Draw, picture: np.ndarray, draws: int, side: int) -> Decomposed:
    """Bias squared and residual noise of `denoise` over `draws` noisy versions of the typical region of `picture` (H, W).

    Raises ValueError for fewer than two draws, and for predictions of another shape or not finite.
    """
    region = typical(picture, side)
    return decompose(predict(denoise, draw, region, range(draws)), region)


def predict(denoise: Denoise, draw: Draw, region: np.ndarray, numbers: Iterable[int]) -> np.ndarray:
    """Predictions (K, h, w) for the draws of `region` (h, w) of these K `numbers`, clipped to [0, 1] as in every score.

    Raises ValueError for predictions of another shape or not finite.
    """
    noisy = np.stack([draw(region, number) for number in numbers])
    return np.stack([metrics.clip(prediction, region) for prediction in denoise(noisy)])


def typical(picture: np.ndarray, side: int) -> np.ndarray:
    """The region of `picture` (H, W), at most side x side px, that has as much detail as the whole: the first with the nearest energy.

    Bias follows detail. On 25 chest radiographs of 512 px the bias of a Gaussian filter in this region of 96 px was .94 times that of the
    whole picture (median; 80 % within .68 to 1.41), in the middle of the picture .22 times.
    """
    pixels = picture.astype(np.float64)
    energy = np.square(pixels - cv2.GaussianBlur(pixels, (0, 0), FINE))
    height, width = (min(side, length) for length in picture.shape)
    sums = cv2.integral(energy)
    means = (sums[height:, width:] - sums[:-height, width:] - sums[height:, :-width] + sums[:-height, :-width]) / (height * width)
    top, left = np.unravel_index(np.abs(means - energy.mean()).argmin(), means.shape)
    return picture[top : top + height, left : left + width]


def decompose(predictions: np.ndarray, truth: np.ndarray) -> Decomposed:
    """Bias squared and residual noise of `predictions` (K, H, W), made of K independent noisy versions of `truth` (H, W).

    Geman, Bienenstock, Doursat: Neural networks and the bias/variance dilemma, Neural Computation 4(1), 1992. The variance is the sample's
    (K - 1). The mean of K predictions still holds 1 / K of it, which is taken off the squared distance of that mean from the truth.
    Raises ValueError for fewer than two predictions, which have no variance, or another shape than the truth's.
    """
    if predictions.ndim != 3 or len(predictions) < 2 or predictions.shape[1:] != truth.shape:
        raise ValueError(f"predictions have shape {predictions.shape}, the truth {truth.shape}; expected two or more of (H, W)")
    variance = float(predictions.var(axis=0, ddof=1, dtype=np.float64).mean())
    distance = float(np.square(predictions.mean(axis=0, dtype=np.float64) - truth).mean())
    return Decomposed(distance - variance / len(predictions), variance)
