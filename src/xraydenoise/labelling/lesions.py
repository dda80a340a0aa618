"""A faint disc put into a picture before it is labelled, to see how much of it the label keeps."""

import cv2
import numpy as np

RADIUS = 3  # px
CONTRAST = 0.08  # fraction of full scale, added
BLUR = 0.75  # px, standard deviation of the edge's Gaussian blur, a detector's unsharpness
REACH = 2 * RADIUS  # px, where nothing is left of the edge
BORDER = 8  # px along the picture's border that are not asked: labels are off there, as nothing was seen beyond
BRIGHT = 0.5  # times the picture's mean that a place has at least: no air beside the body

Spot = tuple[int, int]  # row and column, px


def place(pixels: np.ndarray) -> Spot | None:
    """The smoothest place for the disc in a picture, float32 (H, W), or None where it has none.

    Of the squares that reach two radii from their middle it is the one with the least variance, the first of equals, among those that lie
    8 px inside the picture, are at least half as bright as its mean, hold no black, have room for the contrast below 1, and are not flat.
    """
    side = (2 * REACH + 1,) * 2
    exact = pixels.astype(np.float64)
    mean = cv2.boxFilter(exact, -1, side)
    variance = cv2.boxFilter(exact * exact, -1, side) - mean * mean
    low, high = cv2.erode(exact, np.ones(side)), cv2.dilate(exact, np.ones(side))
    allowed = (mean >= BRIGHT * exact.mean()) & (low > 0) & (high + CONTRAST <= 1) & (low < high)
    margin = BORDER + REACH
    found = np.where(allowed, variance, np.inf)[margin:-margin, margin:-margin]
    if not np.isfinite(found).any():
        return None
    row, column = np.unravel_index(found.argmin(), found.shape)
    return int(row) + margin, int(column) + margin


def insert(pixels: np.ndarray, spot: Spot) -> np.ndarray:
    """`pixels` (H, W) with the disc added around the spot; float32."""
    return np.asarray(pixels + profile(pixels.shape, spot), np.float32)


def survival(without: np.ndarray, present: np.ndarray, spot: Spot) -> float:
    """Contrast of the disc in the label that was made with it, over the contrast inserted: 1 is kept, 0 wiped out, above 1 amplified.

    The contrast recovery coefficient that NEMA NU 2 asks of scanners. Contrast is the mean over the disc less the mean over the ring from
    two to three radii; it is taken from the difference of both labels (H, W), `present` minus `without`, where the anatomy cancels.
    """
    return contrast(present.astype(np.float64) - without, spot) / contrast(profile(without.shape, spot), spot)


def profile(shape: tuple[int, ...], spot: Spot) -> np.ndarray:
    """What is added to a picture of `shape`; float64."""
    disc = (distance(shape, spot) <= RADIUS).astype(np.float64)
    return np.asarray(CONTRAST * cv2.GaussianBlur(disc, (0, 0), BLUR))


def contrast(pixels: np.ndarray, spot: Spot) -> float:
    away = distance(pixels.shape, spot)
    return float(pixels[away <= RADIUS].mean() - pixels[(away > REACH) & (away <= REACH + RADIUS)].mean())


def distance(shape: tuple[int, ...], spot: Spot) -> np.ndarray:
    """From the spot, px."""
    return np.asarray(np.hypot(np.arange(shape[0])[:, None] - spot[0], np.arange(shape[1]) - spot[1]))
