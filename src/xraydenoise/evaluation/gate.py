"""The gate: whether the model of a track that val has chosen may become champion, by what it does on the frozen test set; with reasons.

A champion serves one track: that of `noise` denoises plain radiographs, that of `enhanced` those that one of the presets has enhanced. They
are two products, so each track that `gate.tracks` names has a candidate, a verdict and a registered model of its own, by the same rules
against the median filter on its own pictures.

By default that is `noise` alone, since its models learn from the truth and all test pictures judge them, under several noises. Those of
`enhanced` learn from labels that a network made, and are judged against the enhancement of the plain picture on a few regions,
presets and noises: such a champion has been shown to hold for less.
"""

import math
from collections.abc import Sequence
from typing import Annotated, Literal, NamedTuple

import numpy as np
import pandas as pd
from pydantic import AfterValidator, Field

from xraydenoise import kinds
from xraydenoise.evaluation.audits import Audit, AuditConfig
from xraydenoise.evaluation.ranking import REFERENCE, CompareConfig
from xraydenoise.evaluation.significance import METRICS, warning
from xraydenoise.evaluation.statistics import bootstrap, enough_draws, holm, sign_flips, smallest_p, too_few, units
from xraydenoise.evaluation.verdict import Check, Verdict, interval, number


def _named_once_with_noise(tracks: tuple[str, ...]) -> tuple[str, ...]:
    if "noise" not in tracks or len(set(tracks)) < len(tracks):
        raise ValueError("must name noise, whose verdict is the one that `dvc metrics` compares, and no track twice")
    return tracks


class GateConfig(kinds.Config):
    """What a candidate must hold to become champion."""

    tracks: Annotated[tuple[Literal["noise", "enhanced"], ...], AfterValidator(_named_once_with_noise)]  # whose best model may become one
    margin_psnr: float = Field(ge=0)  # dB, that it may at most be worse than the champion or a baseline in a condition, at the lower bound
    margin_ssim: float = Field(ge=0)  # the same in SSIM
    audits: AuditConfig


class Contender(NamedTuple):
    """One of the two models that the gate weighs."""

    method: str  # as the scores name it
    digest: str  # identity of the network
    knows: int | None  # of the test pictures, how many it learnt from; None where nobody can tell
    fault: str = ""  # why it could not be scored


AGAINST = {"gain": "the {} filter", "baseline": "the baseline {}", "not_worse": "the {}"}  # by check, in a sentence


def decide(
    scores: pd.DataFrame,
    candidate: Contender,
    champion: Contender | None,
    baselines: Sequence[str],
    audits: Sequence[Audit],
    config: GateConfig,
    compare: CompareConfig,
    seed: int,
) -> Verdict:
    """Weigh `candidate`, which val has chosen, on test; `scores` are contracts.Scores of one track, the candidate, the median filter, the
    `baselines` and, if there is one, the champion, scored again on the same noisy pictures.

    It is promoted if all of these hold, and else it stays challenger:
    - unseen: it has seen no test picture, neither here nor where the weights come from that it began from;
    - gain: the lower bound of its gain over the median filter in PSNR and SSIM is above 0 in every condition;
    - baseline: the lower bound of its difference to each of the baselines is above minus the margin in every condition;
    - not_worse: the same of its difference to the champion;
    - better: somewhere, that bound is above 0 and Holm's adjusted p (over conditions and both metrics) is at most 1 - confidence;
    - every audit passed.
    Gain, baseline and not_worse need no correction, since all of their tests must succeed (an intersection-union test, Berger 1982); better
    does, since one success is enough. Without a champion, and where the candidate is the champion (same digest), nothing is compared with
    one; in the latter case nothing changes either. A champion that learnt from test pictures, or may have, or could not be scored, is not
    compared, and the candidate stays challenger.

    Raises ValueError for scores of val or of several tracks, for no baseline, for a method that was not scored on the same pictures, and
    for no audit.
    """
    if not audits:
        raise ValueError(f"{candidate.method}: was not audited, and without audits nothing is promoted")
    same = champion is not None and champion.digest == candidate.digest
    rival = champion if champion and not same and champion.knows == 0 and not champion.fault else None
    if rival and rival.method in (candidate.method, REFERENCE):
        raise ValueError(f"{rival.method}: names the champion's scores and those of another; give the champion's their own name")
    details = {audit.name: audit.detail for audit in audits}
    if not baselines:
        raise ValueError("no baseline is named, and a model that loses to one is not promoted")
    tables = _tables(scores, [candidate.method, *sorted({REFERENCE, *baselines}), *([rival.method] if rival else [])])
    limits = {"psnr": -config.margin_psnr, "ssim": -config.margin_ssim}
    checks = [*_known(candidate)]
    checks += _above(tables, "gain", candidate.method, REFERENCE, dict.fromkeys(METRICS, 0.0), compare, seed)
    against = [_above(tables, "baseline", candidate.method, baseline, limits, compare, seed) for baseline in baselines]
    checks += [min(alike, key=lambda one: one.low) for alike in zip(*against, strict=True)]  # of each condition and metric, the nearest
    if rival:
        differences = _above(tables, "not_worse", candidate.method, rival.method, limits, compare, seed)
        checks += [*differences, _better(tables, differences, candidate.method, rival.method, compare, seed)]
    elif champion and not same:
        known = math.nan if champion.knows is None else float(champion.knows)
        check, value = ("loads", math.nan) if champion.fault else ("comparable", known)
        checks.append(Check(check, "", "", champion.method, value, math.nan, math.nan, math.nan, passed=False))
        details[check] = _incomparable(champion, scores["image"].nunique())
    details["unseen"] = _seen(candidate, scores["image"].nunique())
    checks += [Check(audit.name, "", "", "", audit.value, math.nan, math.nan, audit.limit, audit.passed) for audit in audits]

    failed = [check for check in checks if not check.passed]
    patients = min(table["psnr"].index.get_level_values("patient").nunique() for table in tables.values())
    reasons = [_failure(check, candidate.method, details, patients, 2 * len(tables), compare) for check in failed]
    if same:
        reasons.insert(0, f"{candidate.method} is the champion already (digest {candidate.digest}), so nothing changes.")
    elif not failed:
        reasons = _successes(checks, candidate.method, rival, len(audits))
    promoted = not failed and not same
    warnings = (text,) if (text := warning(patients)) else ()
    alias = "champion" if promoted or same else "challenger"
    track, stood = str(scores["track"].iloc[0]), champion.method if champion else None
    return Verdict(candidate.method, track, stood, promoted, alias, tuple(reasons), warnings, tuple(checks))


def _known(candidate: Contender) -> list[Check]:
    """The check of a candidate that has seen test pictures, or may have."""
    if candidate.knows == 0:
        return []
    value = math.nan if candidate.knows is None else float(candidate.knows)
    return [Check("unseen", "", "", "", value, math.nan, math.nan, math.nan, passed=False)]


def _tables(scores: pd.DataFrame, methods: list[str]) -> dict[str, dict[str, pd.DataFrame]]:
    """Pictures by `methods`, for each condition and metric."""
    if set(scores["split"]) != {"test"} or scores["track"].nunique() != 1:
        found = f"splits {sorted(set(scores['split']))}, tracks {sorted(set(scores['track']))}"
        raise ValueError(f"the gate weighs test scores of one track, found {found}")
    rows = scores[scores["method"].isin(methods)]
    tables: dict[str, dict[str, pd.DataFrame]] = {}
    for condition, block in rows.groupby("condition"):
        wide = {metric: block.pivot(index=["patient", "image"], columns="method", values=metric) for metric in METRICS}
        tables[str(condition)] = {metric: table.reindex(columns=methods) for metric, table in wide.items()}
        for method, count in tables[str(condition)]["psnr"].isna().sum().items():
            if count:
                raise ValueError(f"{condition}: {method} was not scored on {count} of {len(wide['psnr'])} pictures; run `dvc repro`")
    return tables


def _differences(tables: dict[str, pd.DataFrame], first: str, second: str) -> tuple[np.ndarray, np.ndarray]:
    """`first` minus `second` of one condition, (N, 2) for PSNR and SSIM, and the patients (N,)."""
    values = np.stack([(tables[metric][first] - tables[metric][second]).to_numpy() for metric in METRICS], axis=1)
    return values, tables["psnr"].index.get_level_values("patient").to_numpy()


def _above(
    tables: dict[str, dict[str, pd.DataFrame]],
    check: str,
    first: str,
    second: str,
    limits: dict[str, float],
    compare: CompareConfig,
    seed: int,
) -> list[Check]:
    """For each condition and metric, whether the lower bound of `first` minus `second` is above the limit."""
    checks = []
    for condition, table in tables.items():
        values, patients = _differences(table, first, second)
        labels = units(patients, table["psnr"].index.get_level_values("image").to_numpy())
        found = bootstrap(values, labels, compare.resamples, compare.confidence, np.random.default_rng(seed))
        lows = found.low if len(np.unique(labels)) > 1 else np.full(len(METRICS), -math.inf)  # a single picture bounds nothing
        for metric, value, low in zip(METRICS, found.mean, lows, strict=True):
            passed = bool(low > limits[metric])
            checks.append(Check(check, condition, metric, second, float(value), float(low), math.nan, limits[metric], passed))
    return checks


def _better(
    tables: dict[str, dict[str, pd.DataFrame]], differences: list[Check], first: str, second: str, compare: CompareConfig, seed: int
) -> Check:
    """Whether `first` is better than `second` somewhere: the check of the condition and metric that comes nearest to it.

    `differences` are the checks of all conditions and metrics, in the order of `tables`.
    """
    draws = enough_draws(compare.resamples, len(differences), compare.confidence)
    p = holm(
        np.concatenate([sign_flips(*_differences(table, first, second), draws, np.random.default_rng(seed)) for table in tables.values()])
    )
    tried = [
        one._replace(check="better", p=float(own), limit=0.0, passed=bool(one.low > 0 and own <= 1 - compare.confidence))
        for one, own in zip(differences, p, strict=True)
    ]
    # p is of both sides: a small one brings a gain near, and takes a loss away
    return max(
        tried, key=lambda one: (one.passed, one.low > 0, one.value > 0, math.copysign(1 - one.p, one.value), one.metric == "psnr", one.low)
    )


def _failure(check: Check, name: str, details: dict[str, str], patients: int, tests: int, compare: CompareConfig) -> str:
    """Why `check` failed, in a sentence."""
    if check.check in ("unseen", "comparable", "loads"):
        return details[check.check]
    if check.check == "better":
        reason = (
            f"{name} is nowhere {'shown to be ' if check.value > 0 else ''}better than the champion; nearest in {check.condition}: "
            f"{interval(check)} (must be above 0), Holm's p {check.p:.3g} (at most {1 - compare.confidence:.3g})"
        )
        least = min(1.0, tests * smallest_p(patients))
        few = f"; {_count(patients, 'patient')} and {tests} tests allow no p below {least:.3g}, so test needs more patients"
        return reason + (few if check.value > 0 and too_few(patients, tests, compare.confidence) else "") + "."
    if check.check in AGAINST:
        against = AGAINST[check.check].format(check.against)
        return f"{name} against {against} in {check.condition}: {interval(check)} (must be above {number(check.metric, check.limit)})."
    return f"{name} fails the audit {check.check}: {check.value:.4g}, limit {check.limit:.4g} ({details[check.check]})."


def _seen(candidate: Contender, pictures: int) -> str:
    """Why a candidate that has seen test pictures, or may have, is not promoted, and the way out, in a sentence."""
    if candidate.knows is None:
        told = "begins from weights that do not tell from which pictures they learnt, so it may have seen test pictures"
    else:
        told = f"has seen {candidate.knows} of {_count(pictures, 'test picture')}, or copies of them, where its weights come from"
    return f"{candidate.method} {told}, so test proves nothing of it; begin from other weights, or anew (`start` in params.yaml)."


def _incomparable(champion: Contender, pictures: int) -> str:
    """Why the champion is not compared on so many test pictures, and the way out, in a sentence."""
    if champion.fault:
        told = f"cannot be scored ({champion.fault}), so it cannot be compared; mend that, or,"
    elif champion.knows is None:
        told = "does not tell from which pictures it learnt, so it cannot be compared on them;"
    else:
        told = f"learnt from {champion.knows} of {_count(pictures, 'test picture')}, so it cannot be compared on them;"
    return f"The champion {told} to start anew, take the alias champion from it in MLflow's pages, then `dvc repro -fs register`."


def _successes(checks: list[Check], name: str, rival: Contender | None, audits: int) -> list[str]:
    """What the candidate was shown to do: the weakest link of each demand."""

    def weakest(check: str, metric: str) -> Check:
        return min((one for one in checks if (one.check, one.metric) == (check, metric)), key=lambda one: one.low - one.limit)

    reasons = [
        f"{name} beats the median filter in every condition, by least in {one.condition}: {interval(one)}."
        for one in (weakest("gain", metric) for metric in METRICS)
    ]
    reasons += [
        f"{name} is nowhere worse than a baseline by the margin, nearest to {one.against} in {one.condition}: {interval(one)} "
        f"(limit {number(one.metric, one.limit)})."
        for one in (weakest("baseline", metric) for metric in METRICS)
    ]
    if rival:
        for one in (weakest("not_worse", metric) for metric in METRICS):
            allowed = number(one.metric, one.limit)
            reasons.append(
                f"{name} is nowhere worse than the champion by the margin, nearest in {one.condition}: {interval(one)} (limit {allowed})."
            )
        best = next(one for one in checks if one.check == "better")
        reasons.append(f"{name} is better than the champion in {best.condition}: {interval(best)}, Holm's p {best.p:.3g}.")
    else:
        reasons.append("There is no champion yet.")
    return [*reasons, f"{name} passes {_count(audits, 'audit')}."]


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
