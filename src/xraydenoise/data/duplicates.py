"""The same radiograph again, re-encoded, resized, turned or inverted, told from thousands of others that all look alike, by its long waves.

A picture is scaled by area to 32 x 32 px and taken apart into cosine waves (DCT-II) as pHash does (Zauner, "Implementation and
Benchmarking of Perceptual Image Hash Functions", 2010), but the waves keep their amplitudes. What all chests share lies in the longest:
over 178 real ones the amplitude falls as frequency^-1.66. So each is weighted by frequency^1.5, and a square root then evens out strong
and weak ones, as in image retrieval (Perronnin, Sanchez and Mensink, "Improving the Fisher Kernel", ECCV 2010), so that no collimator's
edge and no marker outweighs the rest. Two pictures are one where the cosine of their signatures reaches `THRESHOLD` at one of the eight
turns of a square, whatever its sign: an export that ignores MONOCHROME1 is the negative of its original. Offset and gain of the
intensities drop out, and the weights are constants: a pair's likeness depends on nothing but the pair. Measured by bench/leaks.py.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np

from xraydenoise.data.depth import FULL_SCALE

FILE = "signatures.npy"  # of a track's pictures, in the order of its manifest: float16 (N, LENGTH)
SIDE = 32  # px of the thumbnail
KEPT = 24  # waves kept across and down; the shortest eight are where JPEG and resampling leave their traces
LENGTH = KEPT**2  # of a signature; the constant wave keeps its place and is always 0
THRESHOLD = 0.94  # 256 px or more, halved and at JPEG quality 50: .976 at the least; other chests: .573 at the most of 15,753 pairs
FLAT = 0.6  # standard deviation, levels of the stored depth; rounding makes an edge between two levels of any slope: 0.5 at the most
BLOCK = 512  # signatures a side of the square that is compared at once, whose cosines take 1 MB a turn
ROUNDING = 1e-4  # more than single precision loses over LENGTH products; what comes so near is computed again in double

_down, _across = np.mgrid[:KEPT, :KEPT]
_order = np.argsort((2 * (_down % 2) + _across % 2).ravel(), kind="stable")  # even-even, even-odd, odd-even, odd-odd, each LENGTH / 4
_place = np.argsort(_order)
_weights = (np.hypot(_down, _across) ** 1.5).ravel()[_order].astype(np.float32)
_transposed = _place[(KEPT * _across + _down).ravel()[_order]]  # signature[_transposed] is that of the transposed picture

# Mirroring turns the sign of waves that are odd across, flipping that of waves that are odd down; a row a turn, a column a quarter.
_signs = np.array([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]])
# Left-right, top-bottom, both; then transposed first, and the same three: names as jpegtran's.
TURNS = ("upright", "mirrored", "flipped", "half turn", "transposed", "quarter turn right", "quarter turn left", "transverse")
NEGATIVE = "negative, "  # stands before the turn where white and black are exchanged, too


class Pair(NamedTuple):
    """Two pictures, by their places, and how alike they are."""

    first: int
    second: int  # greater than first
    similarity: float  # cosine of the signatures, without its sign, at the best of the eight turns
    turn: str  # one of TURNS, or NEGATIVE and one: what makes the first into the second


def signature(pixels: np.ndarray, bits: int) -> np.ndarray:
    """uint16 (H, W) -> float32 (LENGTH,) of norm 1, or all 0 for a picture that is flat at 32 x 32 px and so is like no other.

    `bits` is the depth of the file, 8 or more: 500 of 65536 levels are a dim picture, and 2 of 256 are none.
    """
    small = cv2.resize(pixels.astype(np.float32), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    small = small - small.mean()  # the constant wave is large, and would cost the others their last digits
    if small.std() < FLAT * FULL_SCALE / (2 ** min(bits, 16) - 1):  # real numbers of 32 or 64 bit have been rounded to 16
        return np.zeros(LENGTH, np.float32)
    waves = cv2.dct(small)[:KEPT, :KEPT].ravel()[_order]
    even = np.sign(waves) * np.sqrt(np.abs(waves) * _weights)
    scaled: np.ndarray = even / np.linalg.norm(even)
    return scaled


def flat(signatures: np.ndarray) -> int:
    """How many of `signatures` are all 0: pictures that are compared with no other."""
    return len(signatures) - int(np.any(signatures, axis=1).sum())


def pairs(signatures: np.ndarray, threshold: float = THRESHOLD) -> list[Pair]:
    """Every two of `signatures`, float32 (N, LENGTH), whose similarity is at least `threshold`, in order; may be memory-mapped."""
    found: list[Pair] = []
    for top, left, alike in _blocks(signatures):
        rows, columns = np.nonzero(alike >= threshold - ROUNDING)
        found += (pair for pair in _exact(signatures, rows + top, columns + left) if pair.similarity >= threshold)
    return sorted(found)


def nearest(signatures: np.ndarray, labels: Sequence[str], count: int) -> list[Pair]:
    """The `count` most alike pairs whose labels (N, such as splits) differ, most alike first; fewer where there are fewer."""
    codes = np.unique(np.asarray(labels, dtype=str), return_inverse=True)[1]
    best: list[Pair] = []
    for top, left, alike in _blocks(signatures):
        alike[codes[top : top + len(alike), None] == codes[None, left : left + alike.shape[1]]] = -np.inf
        enough = best[-1].similarity - ROUNDING if len(best) == count else -ROUNDING
        rows, columns = np.nonzero(alike >= enough)
        if len(rows) > 2 * count:  # twice as many as are asked for, so that rounding cannot lose one
            kept = np.argpartition(alike[rows, columns], -2 * count)[-2 * count :]
            rows, columns = rows[kept], columns[kept]
        best += _exact(signatures, rows + top, columns + left)
        best = sorted(best, key=lambda pair: (-pair.similarity, pair))[:count]
    return best


def among(signatures: np.ndarray, known: np.ndarray, threshold: float = THRESHOLD) -> np.ndarray:
    """Whether each of `signatures` (N, LENGTH) is alike to one of `known` (M, LENGTH) by at least `threshold`: bool (N,)."""
    found = np.zeros(len(signatures), bool)
    for top in range(0, len(signatures), BLOCK):
        rows = np.asarray(signatures[top : top + BLOCK], np.float32)
        for left in range(0, len(known), BLOCK):
            others = np.asarray(known[left : left + BLOCK], np.float32)
            first, second = np.nonzero(_alike(rows, others) >= threshold - ROUNDING)
            near = _exact(np.concatenate([rows, others]), first, second + len(rows))
            found[[top + pair.first for pair in near if pair.similarity >= threshold]] = True
    return found


def _blocks(signatures: np.ndarray) -> Iterator[tuple[int, int, np.ndarray]]:
    """(row, column, float32 similarities), square by square of the upper triangle; what is not above the diagonal is -inf."""
    for top in range(0, len(signatures), BLOCK):
        upright = np.asarray(signatures[top : top + BLOCK])
        for left in range(top, len(signatures), BLOCK):
            alike = _alike(upright, np.asarray(signatures[left : left + BLOCK]))
            if left == top:
                alike[np.tril_indices(len(alike))] = -np.inf
            yield top, left, alike


def _alike(first: np.ndarray, second: np.ndarray) -> np.ndarray:  # (N, LENGTH), (M, LENGTH) -> (N, M)
    """The similarity of each two, float32, at the best of the eight turns."""
    others = _quarters(second).transpose(0, 2, 1)
    best: np.ndarray = np.maximum(_best_flip(_quarters(first) @ others), _best_flip(_quarters(first[:, _transposed]) @ others))
    return best


def _quarters(signatures: np.ndarray) -> np.ndarray:  # (N, LENGTH) -> (4, N, LENGTH / 4)
    return np.ascontiguousarray(signatures.reshape(len(signatures), 4, LENGTH // 4).transpose(1, 0, 2))


def _best_flip(parts: np.ndarray) -> np.ndarray:  # (4, N, M) -> (N, M)
    """The largest of the four sums that `_signs` makes of a product's quarters, without its sign: max |a + b|, |a - b| is |a| + |b|."""
    plain = np.abs(parts[0] + parts[3]) + np.abs(parts[1] + parts[2])  # upright, half turn
    odd = np.abs(parts[0] - parts[3]) + np.abs(parts[1] - parts[2])  # flipped, mirrored
    best: np.ndarray = np.maximum(plain, odd)
    return best


def _exact(signatures: np.ndarray, first: np.ndarray, second: np.ndarray) -> Iterator[Pair]:
    """Pairs in double precision, so that the order of the sums, and thus the block and the processor, never decides on one."""
    for start in range(0, len(first), BLOCK):
        chosen = slice(start, start + BLOCK)
        one, other = (np.asarray(signatures[index[chosen]], dtype=np.float64) for index in (first, second))
        parts = [(turned * other).reshape(len(other), 4, -1).sum(axis=2) for turned in (one, one[:, _transposed])]
        cosines = np.hstack([(part[:, None] * _signs).sum(axis=2) for part in parts])  # (pairs, 8); BLAS sums other sizes in another order
        best = np.abs(cosines).argmax(axis=1)
        for i, j, turn, cosine in zip(first[chosen], second[chosen], best, cosines[np.arange(len(best)), best], strict=True):
            yield Pair(int(i), int(j), abs(float(cosine)), (NEGATIVE if cosine < 0 else "") + TURNS[turn])
