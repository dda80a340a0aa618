"""How far a label went from its input: brightness, fine detail added, structure in the residual."""

from typing import NamedTuple

import cv2
import numpy as np

BLOCK = 32  # px; a tile that went astray is seen in its blocks, where the mean over the whole would hide it
FINE = 1.5  # px; sigma of the blur that parts fine detail from the rest
LOCAL = 4.5  # px; sigma of the window over which local energy is taken: wider than fine detail, so that a moved edge is none added
SHARED = 4  # px, side of the squares whose pixels are asked for what they share: noise averages out over them, anatomy does not
FLOOR = 1e-8  # added to both energies, so that two flat pictures have the ratio 1; a variance below is none


class Findings(NamedTuple):
    """The measured columns of `audit.Audit`; survival is NaN where no lesion could be inserted."""

    mean_input: float
    mean_label: float
    shift: float
    block_shift: float
    overshoot: float
    detail: float
    added: float
    residual: float
    structure: float
    structured: float
    survival: float
    correlation: float


def measure(pixels: np.ndarray, label: np.ndarray, survival: float) -> Findings:
    """How far a label went from its input, both float32 (H, W); `survival` is of `lesions`, NaN where there was no place for one."""
    mean_input, mean_label = float(pixels.mean(dtype=np.float64)), float(label.mean(dtype=np.float64))
    residual = label.astype(np.float64) - pixels
    deviation, structure = float(residual.std()), shared(residual)
    return Findings(
        mean_input,
        mean_label,
        mean_label - mean_input,
        block_shift(pixels, label),
        overshoot=max(0.0, float(label.max()) - 1, -float(label.min())),
        detail=(float(energy(label).mean()) + FLOOR) / (float(energy(pixels).mean()) + FLOOR),
        added=added(pixels, label),
        residual=deviation,
        structure=structure,
        structured=deviation * float(np.sqrt(structure)),
        survival=survival,
        correlation=correlation(pixels, label),
    )


def blocks(height: int, width: int) -> list[tuple[slice, slice]]:
    """Squares of 32 px that cover the picture; those at the end are smaller."""
    return [(slice(top, top + BLOCK), slice(left, left + BLOCK)) for top in range(0, height, BLOCK) for left in range(0, width, BLOCK)]


def block_shift(pixels: np.ndarray, label: np.ndarray) -> float:
    """The furthest that the mean of a block moved, with its sign."""
    return max((float(label[place].mean()) - float(pixels[place].mean()) for place in blocks(*pixels.shape)), key=abs)


def blur(pixels: np.ndarray, sigma: float) -> np.ndarray:
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101))


def energy(pixels: np.ndarray) -> np.ndarray:
    """Square of what a blur of 1.5 px takes away, (H, W)."""
    return np.asarray(np.square(pixels - blur(pixels, FINE), dtype=np.float64))


def added(pixels: np.ndarray, label: np.ndarray) -> float:
    """Root of the mean local energy of fine detail that the label has beyond the input; removed energy elsewhere does not pay for it.

    `detail` balances noise removed here against texture invented there; this does not. It is not told over the input's noise floor: that
    is next to nothing in a clean picture, where any sharpening would read as forty times of it.
    """
    beyond = blur(energy(label), LOCAL) - blur(energy(pixels), LOCAL)
    return float(np.sqrt(np.maximum(beyond, 0).mean()))


def shared(residual: np.ndarray) -> float:
    """Share in [0, 1] of the variance of a residual (H, W) that the pixels of a square of 4 x 4 px have in common.

    What a denoiser takes away should look like white noise, its method noise (Buades, Coll, Morel: A review of image denoising algorithms,
    with a new one, 2005). This is the intraclass correlation of such squares (Fisher: Statistical methods for research workers, 1925), the
    mean correlation of two different pixels of one square: 0 for white noise, however much of it was removed, and near 1 for a residual
    that is smooth over 4 px, which is anatomy lost or invented. Below 0, as for noise that leaves its slow part behind, it reads 0.
    """
    varying = residual - residual.mean()
    sides = [min(SHARED, side) for side in residual.shape]
    members = sides[0] * sides[1]
    variance = float(np.square(varying).mean())
    if variance <= FLOOR or members == 1:
        return 0.0
    means = cv2.blur(varying, sides[::-1], anchor=(0, 0))[: residual.shape[0] - sides[0] + 1, : residual.shape[1] - sides[1] + 1]
    return float(np.clip((members * np.square(means).mean() / variance - 1) / (members - 1), 0, 1))


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Pearson's, over pixels; 1 where either picture is flat."""
    left, right = one - one.mean(dtype=np.float64), other - other.mean(dtype=np.float64)
    scale = float(np.sqrt(np.mean(left**2) * np.mean(right**2)))
    return float(np.clip(np.mean(left * right) / scale, -1, 1)) if scale > FLOOR else 1.0
