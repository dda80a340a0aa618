"""What differs by more than chance: paired differences to a reference with Holm's correction, and which methods cannot be told apart."""

from collections.abc import Collection, Iterator, Sequence
from itertools import combinations
from string import ascii_letters

import numpy as np
import pandas as pd

from xraydenoise.evaluation.ranking import ALL, CompareConfig
from xraydenoise.evaluation.statistics import DECIMALS, FEW, bootstrap, enough_draws, holm, sign_flips, smallest_p, units

METRICS = ("psnr", "ssim")
KEYS = ["track", "condition"]


def differences(scores: pd.DataFrame, reference: str, config: CompareConfig, seed: int) -> pd.DataFrame:
    """Each method minus `reference` on test, paired: the same picture under the same noise. `scores` are contracts.Scores.

    One row a track that `reference` was scored on, condition ("all": each picture's mean over them), method and metric: `difference`,
    `low` and `high` (interval by patient, for itself), `p` (signs flipped by patient) and `p_holm`, which is Holm's over the methods and
    conditions of one track and metric; "all" holds the same pictures once more and is a family of its own. Raises ValueError where methods
    were not scored on the same pictures, or `reference` nowhere.
    """
    if scores[scores["method"] == reference].empty:
        raise ValueError(f"{reference}: was not scored, so nothing can be compared with it; found {sorted(set(scores['method']))}")
    frames = []
    for track, condition, tables in _on_test(scores):
        if reference not in tables["psnr"].columns:
            continue
        methods = [method for method in tables["psnr"].columns if method != reference]
        values = np.hstack([table[methods].to_numpy() - table[[reference]].to_numpy() for table in tables.values()])  # (N, 2M)
        patients, images = (tables["psnr"].index.get_level_values(level).to_numpy() for level in ("patient", "image"))
        found = bootstrap(values, units(patients, images), config.resamples, config.confidence, np.random.default_rng(seed))
        draws = enough_draws(config.resamples, len(methods) * scores["condition"].nunique(), config.confidence)
        frame = pd.DataFrame(
            {"difference": found.mean, "low": found.low, "high": found.high, "p": _p(values, patients, draws, seed)},
            index=pd.MultiIndex.from_product([METRICS, methods], names=["metric", "method"]),
        ).reset_index()
        frames.append(frame.assign(track=track, condition=condition, reference=reference, patients=len(np.unique(patients))))
    result = pd.concat(frames, ignore_index=True)
    families = [result["track"], result["metric"], result["condition"] == ALL]
    result["p_holm"] = result.groupby(families)["p"].transform(lambda p: holm(p.to_numpy()))
    columns = [*KEYS, "metric", "reference", "method", "patients", "difference", "low", "high", "p", "p_holm"]
    return result[columns].round(DECIMALS)


def pairs(scores: pd.DataFrame, config: CompareConfig, seed: int) -> pd.DataFrame:
    """Each two methods on test, PSNR: one row a track, condition and pair with `difference` (first minus second), `p` and `p_holm`.

    `first` is the better one. Holm's correction is over the pairs of one track and condition. Raises ValueError where methods were not
    scored on the same pictures.
    """
    frames = []
    for track, condition, tables in _on_test(scores):
        table = tables["psnr"]
        order = sorted(table.columns, key=lambda method: (-table[method].mean(), method))
        both = list(combinations(order, 2))
        if not both:
            continue
        values = np.stack([(table[first] - table[second]).to_numpy() for first, second in both], axis=1)  # (N, pairs)
        patients = table.index.get_level_values("patient").to_numpy()
        p = _p(values, patients, enough_draws(config.resamples, len(both), config.confidence), seed)
        frame = pd.DataFrame(both, columns=["first", "second"])
        frames.append(frame.assign(track=track, condition=condition, difference=values.mean(axis=0), p=p, p_holm=holm(p)))
    columns = [*KEYS, "first", "second", "difference", "p", "p_holm"]
    return pd.concat(frames, ignore_index=True)[columns].round(DECIMALS) if frames else pd.DataFrame(columns=columns)


def groups(pairs: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """Letters of each method, from `pairs`: two methods that share a letter cannot be told apart on test; "a" holds the best.

    One row a track, condition and method, best first. Which model is chosen is another question, and val alone answers it.
    """
    rows: list[tuple[object, ...]] = []
    for (track, condition), block in pairs.groupby(KEYS, sort=False):
        methods = [*dict.fromkeys(block["first"]), block["second"].iloc[-1]]
        apart = block[block["p_holm"] <= 1 - confidence]
        found = letters(methods, set(zip(apart["first"], apart["second"], strict=True)))
        rows += [(track, condition, method, found[method]) for method in methods]
    return pd.DataFrame(rows, columns=[*KEYS, "method", "letters"])


def tied(pairs: pd.DataFrame, method: str, track: str, confidence: float, condition: str = ALL) -> list[str]:
    """The methods that cannot be told apart from `method` on test, best first."""
    rows = pairs[(pairs["track"] == track) & (pairs["condition"] == condition) & (pairs["p_holm"] > 1 - confidence)]
    return [*rows["first"][rows["second"] == method], *rows["second"][rows["first"] == method]]


def letters(methods: Sequence[str], apart: Collection[tuple[str, str]]) -> dict[str, str]:
    """The compact letter display (Piepho, J. Comput. Graph. Stat. 13, 2004, insert and absorb) of `methods`, best first.

    Two methods share a letter where they are not in `apart`, in either order, and only there.
    """
    sets = [frozenset(methods)]
    for first, second in apart:
        split = [part for one in sets for part in ((one - {first}, one - {second}) if {first, second} <= one else (one,))]
        sets = [one for one in dict.fromkeys(split) if not any(one < other for other in split)]
    place = {method: number for number, method in enumerate(methods)}
    sets.sort(key=lambda one: sorted(place[method] for method in one))
    names = [ascii_letters[number % 52] + (str(number // 52 + 1) if number >= 52 else "") for number in range(len(sets))]
    return {method: "".join(name for name, one in zip(names, sets, strict=True) if method in one) for method in methods}


def warning(patients: int) -> str:
    """What `patients` test patients cannot say; "" where they are enough."""
    if patients >= FEW:
        return ""
    people = "1 patient" if patients == 1 else f"{patients} patients"
    return (
        f"Pictures of {people} on test say nothing about other patients: intervals are by picture, and no p-value can be below "
        f"{smallest_p(patients):g}."
    )


def _on_test(scores: pd.DataFrame) -> Iterator[tuple[str, str, dict[str, pd.DataFrame]]]:
    """Track, condition, and a table of pictures by methods for each of `METRICS`."""
    for track, group in scores[scores["split"] == "test"].groupby("track"):
        for condition in [ALL, *sorted(group["condition"].unique())]:
            rows = group if condition == ALL else group[group["condition"] == condition]
            tables = {name: rows.pivot_table(index=["patient", "image"], columns="method", values=name) for name in METRICS}
            missing = tables["psnr"].isna().sum()
            for method, count in missing[missing > 0].items():
                raise ValueError(
                    f"track {track}, {condition}: {method} was not scored on {count} of {len(tables['psnr'])} test pictures that another "
                    "method was scored on; run both again on the same pictures (`dvc repro`)"
                )
            yield str(track), condition, tables


def _p(values: np.ndarray, patients: np.ndarray, draws: int, seed: int) -> np.ndarray:
    return sign_flips(values, patients, draws, np.random.default_rng(seed))
