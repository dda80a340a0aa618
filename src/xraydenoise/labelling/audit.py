"""What a label did to its picture: refuse a broken one, and veto one that shifts brightness, sharpens or loses too much."""

from typing import NamedTuple

import numpy as np
import pandas as pd
import pandera.pandas as pa
from pandera.typing import Series
from pydantic import Field, field_validator

from xraydenoise import contracts, kinds
from xraydenoise.labelling.measures import BLOCK, Findings, block_shift, blocks

BLACK = 0.002  # a block that is darker all over is black
DARK = 0.05  # of an input block's mean, above which a black label is a fault
BLOCK_SHIFT = 3.0  # times the limit on the whole picture's shift, what a single block may shift


class Audit(contracts.Table):
    """One row a label."""

    image: Series[str] = pa.Field(unique=True)
    preset: Series[int] = pa.Field(ge=0)  # number of the enhancement
    vetoed: Series[bool]  # not in the track's manifest: neither train, val nor test see it
    reason: Series[str]  # each measure beyond its limit, the worst first, with value and limit; if none is, the one nearest to its limit
    severity: Series[float] = pa.Field(ge=0)  # the worst measure, 1 = at its limit
    mean_input: Series[float]  # fraction of full scale, as all below where nothing else is said
    mean_label: Series[float]
    shift: Series[float]  # mean_label - mean_input
    detail: Series[float] = pa.Field(ge=0)  # mean magnitude of detail finer than 1.5 px, label over input; a ratio
    survival: Series[float] = pa.Field(nullable=True)  # share of its contrast that an inserted lesion keeps; null: no place for one


class Limits(kinds.Config):
    """Beyond which a label is vetoed.

    The profiles' limits: `detail` 1 asks that a label has no more fine detail than its noisy input, since it is to be learnt as denoising.
    (System A's authors' labels have .47 to .88 of their inputs' standard deviation, Real-ESRGAN run on enhanced pictures 1.4 to 1.6. On
    noise and texture the mean magnitude gives the same ratio; where a few edges are strong it gives a lower one.) `shift` is twice the .016
    that Real-ESRGAN was seen to brighten a good label. `survival` allows a small lesion to lose or gain half of its contrast; it was set by
    eye.
    """

    shift: float = Field(gt=0, le=1)  # |mean(label) - mean(input)|, fraction of full scale
    detail: float = Field(gt=0)  # mean magnitude of detail finer than 1.5 px, label over input
    survival: tuple[float, float]  # share of its contrast that an inserted lesion keeps, least and most

    @field_validator("survival")
    @classmethod
    def a_kept_lesion_is_allowed(cls, survival: tuple[float, float]) -> tuple[float, float]:
        if not 0 <= survival[0] < 1 < survival[1]:
            raise ValueError("expected [least, most] with 0 <= least < 1 < most, as 1 is a lesion that was kept")
        return survival


class Judged(NamedTuple):
    """One measure of a label against its limit."""

    measure: str
    severity: float  # 1 = at the limit; vetoed above
    told: str


def refuse(image: str, pixels: np.ndarray, label: np.ndarray, max_shift: float) -> None:
    """Stop at a label that is broken rather than bad; both float32 (H, W).

    Raises ValueError naming the image, what was found and the limit: NaN or infinity, another size, black where the input is not,
    a mean that moved by more than `max_shift`, a block of 32 x 32 px whose mean moved by more than three times that.
    """
    if label.shape != pixels.shape:
        raise ValueError(f"image {image}: the label has {label.shape} px, the input {pixels.shape}")
    if bad := int((~np.isfinite(label)).sum()):
        raise ValueError(
            f"image {image}: {bad} of {label.size} label pixels are NaN or infinite, allowed are none; try machine.device: cpu"
        )
    for place in blocks(*pixels.shape):
        mean = float(pixels[place].mean())
        if mean > DARK and float(label[place].max()) < BLACK:
            raise ValueError(f"image {image}: the label is black at {where(place)}, where the input has a mean of {mean:.3f}")
    shift = float(label.mean(dtype=np.float64) - pixels.mean(dtype=np.float64))
    if abs(shift) > max_shift:
        raise ValueError(f"image {image}: the label's mean is off by {shift:+.3f}, label.max_shift allows {max_shift:g}")
    if abs(off := block_shift(pixels, label)) > BLOCK_SHIFT * max_shift:
        limit = BLOCK_SHIFT * max_shift
        raise ValueError(f"image {image}: the mean of {BLOCK} x {BLOCK} px is off by {off:+.3f}, 3 x label.max_shift allows {limit:g}")


def judge(found: Findings, limits: Limits) -> list[Judged]:
    """Each limited measure, the worst first. A lesion's survival is as far from 1 as its limit on that side; without one it passes."""
    least, most = limits.survival
    allowed = 1 - least if found.survival < 1 else most - 1
    unhurt = bool(np.isnan(found.survival))
    judged = [
        Judged("shift", abs(found.shift) / limits.shift, f"shift {found.shift:+.3f}, at most {limits.shift:g} either way"),
        Judged("detail", found.detail / limits.detail, f"detail {found.detail:.2f}, at most {limits.detail:g}"),
        Judged(
            "survival",
            0.0 if unhurt else abs(found.survival - 1) / allowed,
            f"survival {found.survival:.2f}, allowed {least:g} to {most:g}",
        ),
    ]
    return sorted(judged, key=lambda one: one.severity, reverse=True)


def reason(judged: list[Judged]) -> str:
    """The measures beyond their limits, which are why a label is vetoed; if none is, the one nearest to its limit."""
    return "; ".join(one.told for one in judged if one.severity > 1) or judged[0].told


def hardest(table: pd.DataFrame) -> pd.DataFrame:
    """An `Audit` with the worst label first."""
    return table.sort_values("severity", ascending=False, kind="stable")


def where(place: tuple[slice, slice]) -> str:
    return f"row {place[0].start}, column {place[1].start}"
