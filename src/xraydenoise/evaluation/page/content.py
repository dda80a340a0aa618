"""What the page shows, as plain values: the stage fills it in, and nothing here knows where it came from."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from xraydenoise.evaluation.report import Chapter


@dataclass(frozen=True)
class Case:
    """One test picture under one condition, and what the methods made of it."""

    track: str
    condition: str
    kind: str  # best, median or worst: its place among all test pictures by the chosen model's gain; only where there is one
    image: str
    patient: str
    layers: Mapping[str, np.ndarray]  # float32 (H, W) in [0, 1], in the order shown; the last is the truth
    psnr: Mapping[str, float]  # dB of each layer but the truth, over the whole picture


@dataclass(frozen=True)
class LabelPair:
    """One of the worst labels beside its input, both float32 (H, W) in [0, 1]."""

    image: str
    reason: str  # why it was vetoed, or what makes it one of the worst
    input: np.ndarray
    label: np.ndarray


@dataclass(frozen=True)
class Content:
    """All that stands on the page; empty frames and sequences say that nothing of the kind was made."""

    seed: int
    test_set: str  # identity of the test pictures
    confidence: float
    resamples: int
    warnings: Sequence[str]
    ranking: (
        pd.DataFrame
    )  # contracts.Ranking; may have `group`, letters: two methods of a track and condition that share one are not told apart
    chosen: Mapping[str, str]  # track -> the model chosen on val
    champions: Collection[str]  # the tracks whose chosen model may become champion
    baselines: Collection[str]
    curves: pd.DataFrame  # of evaluation.curves: family, method, level, psnr, psnr_low, psnr_high
    cases: Sequence[Case]
    audit: pd.DataFrame  # a row a label: any columns, among them `vetoed` (bool)
    worst_labels: Sequence[LabelPair]
    leakage: Mapping[str, Any]  # leakage.json
    card: Mapping[str, Any]  # card.json
    quarantine: pd.DataFrame  # contracts.Quarantine
    protocols: Sequence[Chapter]  # the published comparisons again
