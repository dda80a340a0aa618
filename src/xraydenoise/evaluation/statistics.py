"""Confidence intervals that know that pictures of one patient are alike: the cluster bootstrap (Field and Welsh 2007)."""

from typing import NamedTuple

import numpy as np

FEW = 5  # patients; with fewer, resampling patients says next to nothing and pictures are resampled instead


class Intervals(NamedTuple):
    """Each of shape (K,): one entry a column of the values."""

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


def units(patients: np.ndarray) -> np.ndarray:
    """What is resampled, as labels (N,) for N pictures: their patients, or each picture by itself where there are under `FEW`."""
    found, labels = np.unique(patients, return_inverse=True)
    return labels if len(found) >= FEW else np.arange(len(patients))


def bootstrap(values: np.ndarray, labels: np.ndarray, resamples: int, confidence: float, rng: np.random.Generator) -> Intervals:
    """Mean of `values` (N, K) over N pictures, and its percentile interval when whole groups of equal `labels` (N,) are drawn anew.

    A drawn patient brings all of its pictures, so each resampled mean is a ratio of sums. All K columns share the draws: columns
    that hold paired differences stay paired. With few groups the interval is too narrow, and from one group it is a point.
    Raises ValueError for no picture at all.
    """
    if len(values) == 0:
        raise ValueError("no picture to take a mean of")
    _, groups = np.unique(labels, return_inverse=True)
    counts = np.bincount(groups)  # (P,) pictures of each group
    sums = np.stack([np.bincount(groups, weights=column) for column in values.T], axis=1)  # (P, K)
    drawn = rng.multinomial(len(counts), np.full(len(counts), 1 / len(counts)), size=resamples)  # (R, P) how often each group came
    means = (drawn @ sums) / (drawn @ counts)[:, None]  # (R, K)
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
    return Intervals(values.mean(axis=0), low, high)
