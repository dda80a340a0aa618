"""At which frequencies a method errs: the noise power spectrum of its residual, averaged over directions."""

from typing import NamedTuple

import numpy as np
from scipy import fft

SIDE = 64  # px, of the regions whose spectra are averaged; the spectrum's resolution is one cycle in so many


def _rings() -> tuple[np.ndarray, np.ndarray]:
    """Ring and weight of each mode of `fft.rfft2`, (SIDE, SIDE // 2 + 1) each: a mode stands for its conjugate, too."""
    along, across = fft.fftfreq(SIDE)[:, None], fft.rfftfreq(SIDE)[None, :]
    weight = np.where((across == 0) | (across == 0.5), 1.0, 2.0)
    return np.rint(np.hypot(along, across) * SIDE).astype(int), np.broadcast_to(weight, (SIDE, SIDE // 2 + 1))


RING, WEIGHT = _rings()
MODES = np.bincount(RING.ravel(), WEIGHT.ravel())  # (46,) modes of each ring


class Spectrum(NamedTuple):
    """Each of shape (46,), the same for every picture but for the power, so that curves of pictures average."""

    frequency: np.ndarray  # cycles / px: 0, 1/64, 2/64 .. 45/64; beyond .5 lie the corners of the plane, up to sqrt(.5) on the diagonal
    area: np.ndarray  # (cycles / px)^2, of the ring of the frequency plane that has about this frequency; the areas add up to 1
    power: np.ndarray  # (fraction of full scale)^2 px^2; power times area, summed, is the residual's variance


def noise_power(residual: np.ndarray) -> Spectrum:
    """The noise power spectrum of `residual` (H, W) = prediction - truth, a mean over rings of equal frequency.

    IEC 62220-1 (2003) averages the squared Fourier transforms of half overlapping regions; here, as in Welch's method (1967), a Hann window
    on each region takes the place of the standard's fitted trend, since the residual of a picture is no flat field. Regions of 64x64 px
    cover the picture from border to border, so where it is no multiple of 32 px some overlap more; a smaller picture is one region,
    padded with zeros. Of the whole residual the mean is taken away first. The window weighs the pixels unevenly, so the spectrum is scaled
    in the end to hold the variance of them all (Parseval): white noise of variance v has power v at every frequency.

    Raises ValueError for a residual with NaN or infinity.
    """
    if not np.isfinite(residual).all():
        raise ValueError(f"residual has NaN or infinity in {int((~np.isfinite(residual)).sum())} of {residual.size} pixels")
    varying = residual - residual.mean(dtype=np.float64)
    window = np.outer(*(_hann(min(side, SIDE)) for side in residual.shape))
    power = np.zeros(RING.shape)
    for top in _starts(residual.shape[0]):
        regions = np.stack([varying[top : top + SIDE, left : left + SIDE] for left in _starts(residual.shape[1])])
        power += np.square(np.abs(fft.rfft2(regions * window, s=(SIDE, SIDE)))).sum(axis=0)
    rings = np.bincount(RING.ravel(), (WEIGHT * power).ravel())  # (46,) energy of each ring
    area = MODES / MODES.sum()
    level = varying.var() / rings.sum() if rings.any() else 0.0
    return Spectrum(np.arange(len(MODES)) / SIDE, area, level * rings / area)


def _hann(side: int) -> np.ndarray:
    """Hann window without its zeros at both ends, which would see nothing of the border."""
    return np.hanning(side + 2)[1:-1]


def _starts(length: int) -> np.ndarray:
    """Where regions start: evenly from the first to the last that fits, overlapping by half or a little more."""
    last = max(length - SIDE, 0)
    return np.linspace(0, last, int(np.ceil(last / (SIDE // 2))) + 1).round().astype(int)
