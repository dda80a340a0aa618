"""Whether a faint disc is still found after denoising: discs inserted, their contrast-to-noise, the channelised Hotelling observer's d'."""

from typing import NamedTuple

import cv2
import numpy as np
from pydantic import Field, model_validator
from scipy.special import erfc, eval_laguerre, stdtrit

from xraydenoise import kinds
from xraydenoise.evaluation.repeats import Denoise, Draw, predict

CHANNELS = 5  # Laguerre-Gauss channels; at a width of the disc's diameter they hold 98 % of the energy of a disc of radius 6 px
ROUNDING = (1 / 65535) ** 2 / 12  # variance of rounding to 16 bit, the noise that no stored picture is without
GRAY = (0.3, 0.8)  # mean, fraction of full scale, inside a body; from .2 on, 4 of 150 chest radiographs offered the air beside it


class NoPlaceError(ValueError):
    """A picture has no place for the disc; the message tells why."""


class Disc(kinds.Config):
    """A lesion of known shape: a disc with a blurred edge, as a detector of some unsharpness would show it."""

    radius: float = Field(ge=1)  # px, where half of the contrast is left
    contrast: float = Field(ge=-0.5, le=0.5)  # fraction of full scale, added; below 0 is darker
    blur: float = Field(gt=0)  # px, standard deviation of the edge's Gaussian blur, at most radius / 4

    @model_validator(mode="after")
    def the_edge_ends_within_two_radii(self) -> "Disc":
        if self.blur > self.radius / 4:
            raise ValueError(f"a blur of {self.blur} px is too wide for a radius of {self.radius} px; at most a quarter of it is a disc")
        return self


class Examined(NamedTuple):
    """One method on one picture under one condition, all of it from a region around the disc."""

    row: int  # px, centre of the disc in the picture
    column: int
    cnr: float
    present: np.ndarray  # (K, CHANNELS) channel outputs of the draws with the disc
    absent: np.ndarray  # (K, CHANNELS) of those without


def examine(denoise: Denoise, draw: Draw, picture: np.ndarray, draws: int, disc: Disc, side: int) -> Examined:
    """Denoise a region of side x side px of `picture` (H, W) `draws` times without and `draws` times with a disc in its middle.

    The region is cut from the picture first, so `denoise` sees nothing beyond it. Draws 0 to K - 1 are without the disc, K to 2 K - 1 with
    it: `dprime` needs draws that share no noise, also from picture to picture. Predictions are clipped to [0, 1].
    Raises NoPlaceError where the picture has no place for the disc, and ValueError for predictions of another shape or not finite.
    """
    row, column = place(picture, disc, side)
    region = picture[row - side // 2 :, column - side // 2 :][:side, :side]
    absent = predict(denoise, draw, region, range(draws))
    present = predict(denoise, draw, insert(region, side // 2, side // 2, disc), range(draws, 2 * draws))
    bank = channels(side, 2 * disc.radius)
    outputs = (regions.reshape(draws, -1) @ bank for regions in (present, absent))
    return Examined(row, column, cnr(present, absent, disc.radius), *outputs)


def insert(picture: np.ndarray, row: int, column: int, disc: Disc) -> np.ndarray:
    """`picture` (H, W) with the disc added around pixel (row, column): contrast / 2 erfc((r - radius) / (sqrt(2) blur)) at distance r.

    That is a straight edge blurred by a Gaussian, wrapped around the circle; it ends at two radii, where 3e-5 of it is left at most.
    Raises ValueError where the picture would leave [0, 1].
    """
    distance = np.hypot(np.arange(picture.shape[0])[:, None] - row, np.arange(picture.shape[1]) - column)
    profile = disc.contrast / 2 * erfc((distance - disc.radius) / (np.sqrt(2) * disc.blur))
    found = picture + np.where(distance <= 2 * disc.radius, profile, 0).astype(picture.dtype)
    if found.min() < 0 or found.max() > 1:
        raise ValueError(f"a disc of contrast {disc.contrast} at ({row}, {column}) leaves [0, 1]: {found.min():.3f} to {found.max():.3f}")
    return np.asarray(found)


def place(picture: np.ndarray, disc: Disc, side: int) -> tuple[int, int]:
    """Row and column of the smoothest place for the disc in `picture` (H, W), in the middle of a region of side x side px inside it.

    Of the squares that reach two radii from their middle it is the one with the least variance, the first of equals, among those that
    look like the inside of a body: mean gray .3 to .8, no pixel at either end of the scale, room for the contrast, and not all pixels
    equal, as in a painted frame. Raises NoPlaceError where there is none.
    """
    height, width = picture.shape
    if min(height, width) < side:
        raise NoPlaceError(f"picture of {height}x{width} px holds no region of {side}x{side} px")
    square = (2 * int(np.ceil(2 * disc.radius)) + 1,) * 2
    pixels = picture.astype(np.float64)
    mean = cv2.boxFilter(pixels, -1, square)
    variance = cv2.boxFilter(pixels * pixels, -1, square) - mean * mean
    low, high = cv2.erode(pixels, np.ones(square)), cv2.dilate(pixels, np.ones(square))
    body = (mean >= GRAY[0]) & (mean <= GRAY[1]) & (low > 0) & (high < 1) & (low < high)
    allowed = body & (low + disc.contrast >= 0) & (high + disc.contrast <= 1)
    before, after = side // 2, side - side // 2
    inside = np.s_[before : height - after + 1, before : width - after + 1]
    if not allowed[inside].any():
        raise NoPlaceError(
            f"picture of {height}x{width} px has no square of {square[0]}x{square[0]} px with a mean of {GRAY[0]} to {GRAY[1]}, "
            f"without black, white or paint, and with room for a contrast of {disc.contrast}"
        )
    found = np.where(allowed, variance, np.inf)[inside]
    row, column = np.unravel_index(found.argmin(), found.shape)
    return int(row) + before, int(column) + before


def cnr(present: np.ndarray, absent: np.ndarray, radius: float) -> float:
    """Contrast-to-noise ratio of a disc in the middle of K regions (K, h, w) with it and K without, negative for a dark one.

    Bushberg et al.: The essential physics of medical imaging, 2012: difference of the means over the noise's standard deviation. All of
    them are over the pixels of the disc; the same place without the disc is the background, so anatomy cancels, and the noise is the
    deviation of its pixels over the draws. It does not see how noise is correlated, so smoothing alone raises it; d' tells more.
    """
    rows, columns = (np.arange(length) - length // 2 for length in absent.shape[1:])
    within = np.hypot(rows[:, None], columns) <= radius
    found, background = (regions[:, within].astype(np.float64) for regions in (present, absent))  # (K, pixels)
    return float((found.mean() - background.mean()) / np.sqrt(background.var(axis=0, ddof=1).mean() + ROUNDING))


def channels(side: int, width: float) -> np.ndarray:
    """Laguerre-Gauss channels (side * side, CHANNELS) around the middle of a region, orthonormal where it holds them.

    Gallas and Barrett: Validating the use of channels to estimate the ideal linear observer, JOSA A 20(9), 2003:
    u_p(r) = sqrt(2) / width exp(-pi r^2 / width^2) L_p(2 pi r^2 / width^2), p = 0 .. CHANNELS - 1, `width` in px.
    """
    steps = np.arange(side) - side // 2
    radii = 2 * np.pi * (steps[:, None] ** 2 + steps**2).reshape(-1, 1) / width**2
    return np.asarray(np.sqrt(2) / width * np.exp(-radii / 2) * eval_laguerre(np.arange(CHANNELS), radii))


def dprime(present: np.ndarray, absent: np.ndarray) -> float:
    """d' of the channelised Hotelling observer from channel outputs (N, K, C) of N pictures, K draws each with and without signal.

    Myers and Barrett: Addition of a channel mechanism to the ideal-observer model, JOSA A 4(12), 1987. With the mean difference D of the
    outputs and their covariance S, d'^2 = D^T S^-1 D: the signal is known, and so is the background of every picture, since D is the mean
    of each picture's own difference and S the mean of its own covariances around its own means, over both classes. One template, S^-1 D,
    serves all pictures; how the signal differs from picture to picture is no noise to it.

    From n pictures S has v = 2 n (K - 1) degrees of freedom, and d'^2 reads high. For Gaussian outputs and independent draws
    (v - C - 1) / v D^T S^-1 D - 2 C / (n K) has no bias (Lachenbruch and Mickey 1968; Wunderlich, Noo, Gallas, Heilbrun, IEEE TMI 34(2),
    2015); it is cut at 0 before the root. The variance of rounding to 16 bit is added to S, so that no method is without noise.
    Raises ValueError where v is not above C + 1.
    """
    return float(_root(_squared(present, absent, np.ones((1, len(absent))))[0]))


def interval(present: np.ndarray, absent: np.ndarray, labels: np.ndarray, confidence: float) -> tuple[float, float]:
    """Ends of the interval of `dprime`, for pictures like these N, when whole groups of equal `labels` (N,) could have been others.

    The jackknife (Tukey 1958) leaves out one group at a time; its t interval is taken on the scale of d'^2, which has no bias, and cut at
    0 before the root. A bootstrap's interval lies too high for faint discs: it adds the noise of D a second time. Simulated with 12 draws,
    5 channels, a d' of 0 to 4, and pictures whose own d' differ by .3, intervals of 95 % cover the truth 92 to 100
    times in 100, with 2, 3, 5, 8 and 35 groups of one picture as of up to 6.
    Raises ValueError for a single group, and where the others' v is not above C + 1.
    """
    found, groups = np.unique(labels, return_inverse=True)
    count = len(found)
    if count < 2:
        raise ValueError(f"{len(labels)} pictures of one group have no interval; examine those of more patients")
    whole = _squared(present, absent, np.ones((1, len(labels))))[0]
    without = _squared(present, absent, (np.arange(count)[:, None] != groups).astype(np.float64))  # (groups,)
    deviation = np.sqrt((count - 1) / count * np.square(without - without.mean()).sum())
    reach = stdtrit(count - 1, (1 + confidence) / 2) * deviation
    return float(_root(whole - reach)), float(_root(whole + reach))


def _squared(present: np.ndarray, absent: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Unbiased d'^2 (R,) of the pictures that each row of `kept` (R, N) has 1 for, of channel outputs (N, K, C)."""
    draws, width = absent.shape[1:]
    pictures = kept.sum(axis=1)  # (R,)
    freedom = 2 * pictures * (draws - 1)
    if (freedom <= width + 1).any():
        raise ValueError(f"{draws} draws of {int(pictures.min())} pictures are too few for {width} channels; draw more")
    centred = np.concatenate([part - part.mean(axis=1, keepdims=True) for part in (present, absent)], axis=1)  # (N, 2K, C)
    scatter = np.einsum("nki,nkj->nij", centred, centred)
    covariance = np.einsum("rn,nij->rij", kept, scatter) / freedom[:, None, None] + ROUNDING * np.eye(width)
    difference = kept @ (present.mean(axis=1) - absent.mean(axis=1)) / pictures[:, None]  # (R, C)
    squared = np.einsum("ri,ri->r", difference, np.linalg.solve(covariance, difference[..., None])[..., 0])
    return np.asarray((freedom - width - 1) / freedom * squared - 2 * width / (pictures * draws))


def _root(squared: np.ndarray) -> np.ndarray:
    return np.asarray(np.sqrt(np.maximum(squared, 0)))
