"""What the gate found and decided: one table for the terminal, verdict.json and MLflow."""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import pandas as pd


class Check(NamedTuple):
    """One line of the verdict: passed where `low` (or, in an audit, `value`) keeps the limit."""

    # gain (over the median), baseline (not worse than it), not_worse and better (than the champion), unseen (test pictures, by the
    # candidate), comparable (a champion that has seen none), loads (the champion), or the name of an audit
    check: str
    condition: str  # "" where it is of none
    metric: str  # psnr (dB) or ssim; "" in audits
    against: str  # the method that it is compared with; "" in audits
    value: float
    low: float  # lower bound of the interval; NaN in audits
    p: float  # Holm's adjusted p; NaN where none is asked for
    limit: float
    passed: bool


@dataclass(frozen=True)
class Verdict:
    """What the gate decided on the candidate of one track, and why. Its champion serves that track alone (see the gate)."""

    candidate: str
    track: str
    champion: str | None  # that stood when it was decided
    promoted: bool  # whether the candidate becomes champion now
    alias: str  # that the candidate has earned: champion or challenger
    reasons: tuple[str, ...]  # a sentence each
    warnings: tuple[str, ...]
    checks: tuple[Check, ...]

    def frame(self) -> pd.DataFrame:
        """The checks, a row each."""
        return pd.DataFrame(self.checks, columns=list(Check._fields))

    def as_json(self) -> dict[str, Any]:
        """For json.dumps: numbers that JSON does not know (NaN, infinity) are None."""
        checks = [{name: _plain(value) for name, value in check._asdict().items()} for check in self.checks]
        texts = {
            "candidate": self.candidate,
            "track": self.track,
            "champion": self.champion,
            "promoted": self.promoted,
            "alias": self.alias,
        }
        return {**texts, "reasons": list(self.reasons), "warnings": list(self.warnings), "checks": checks}

    def table(self) -> str:
        """The verdict for a terminal: a line a check, then the reasons and warnings."""
        return "\n".join([self.head(), *self.lines(), *self.said()])

    def head(self) -> str:
        """What was decided."""
        said = "is promoted to champion" if self.promoted else "stays champion" if self.alias == "champion" else "is challenger"
        return f"{self.candidate} {said} of track {self.track}"

    def lines(self) -> list[str]:
        """The checks under their columns, a line each."""
        width = max(len(check.condition) for check in self.checks)
        other = max(len("against"), *(len(check.against) for check in self.checks))
        head = f"{'check':13}  {'condition':{max(width, 9)}}  {'metric':6}  {'against':{other}}"
        lines = [f"  {'':4}  {head}  {'value':>9}  {'low':>9}  {'limit':>9}  {'p':>6}"]
        for check in self.checks:
            low, limit, value, p = (_cell(number) for number in (check.low, check.limit, check.value, check.p))
            name = f"{check.check:13}  {check.condition:{max(width, 9)}}  {check.metric:6}  {check.against:{other}}"
            lines.append(f"  {'ok' if check.passed else 'FAIL':4}  {name}  {value:>9}  {low:>9}  {limit:>9}  {p:>6}".rstrip())
        return lines

    def said(self) -> list[str]:
        """The reasons, then the warnings."""
        return [*self.reasons, *(f"Warning: {text}" for text in self.warnings)]


def interval(check: Check) -> str:
    """The difference and its lower bound, with their unit."""
    return f"{check.metric.upper()} {number(check.metric, check.value)}, lower bound {number(check.metric, check.low)}"


def number(metric: str, value: float) -> str:
    """A difference in `metric` with its unit."""
    return f"{value:+.3f} dB" if metric == "psnr" else f"{value:+.4f}"


def _cell(number: float) -> str:
    return "" if math.isnan(number) else f"{number:.4g}"


def _plain(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value
