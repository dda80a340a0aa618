"""Which method is best: means over pictures, gains over the median filter with intervals, the choice on val. Tracks are never mixed."""

import math
import textwrap
from collections.abc import Collection, Mapping
from typing import cast

import numpy as np
import pandas as pd
from pydantic import Field

from xraydenoise import contracts, kinds
from xraydenoise.evaluation.statistics import DECIMALS, FEW, bootstrap, too_few, units

REFERENCE = "median"  # the method that gains are measured against
ALL = "all"  # the condition that stands for the mean over conditions
METRICS = ("psnr", "ssim", "mse", "ms_ssim", "edges")
AGREEMENT = ("label_psnr", "label_ssim")  # with Real-ESRGAN's labels: beside the rest, and never what a method is ranked by
CHAMPION = {  # whether the best model of a track may become one: whether gate.tracks names the track
    True: "It may become champion.",
    False: "It cannot become champion, as gate.tracks in params.yaml does not name this track.",
}
LABELS = "against the enhanced plain picture; label: agreement with Real-ESRGAN's labels, not quality"


class CompareConfig(kinds.Config):
    """How sure the comparison wants to be."""

    resamples: int = Field(ge=100)  # of the bootstrap
    confidence: float = Field(gt=0.5, lt=1)


Seen = Mapping[str, frozenset[str] | None]  # by method, the images that the weights have seen from which it begins; None: they do not tell


def rank(scores: pd.DataFrame, config: CompareConfig, seed: int, seen: Seen) -> pd.DataFrame:
    """From the contracts.Scores of all methods to contracts.Ranking: each track, split and condition, best PSNR first.

    A method that `seen` does not name has seen nothing.

    Under "all" each picture counts once, with its mean over the conditions. Gains are paired: the same picture under the same noise,
    method minus median filter; so are the bootstrap's draws. Raises ValueError where methods were not scored on the same pictures.
    """
    check_same_pictures(scores)
    rows: list[dict[str, object]] = []
    for _, track, split in sorted((contracts.TRACKS.index(track), track, split) for track, split in _groups(scores)):
        group = scores[(scores["track"] == track) & (scores["split"] == split)]
        for condition in [ALL, *sorted(group["condition"].unique())]:
            pictures = group if condition == ALL else group[group["condition"] == condition]
            rows += [{"track": track, "split": split, "condition": condition, **row} for row in _rank_one(pictures, config, seed, seen)]
    return pd.DataFrame(rows).round(DECIMALS)


def _groups(scores: pd.DataFrame) -> set[tuple[str, str]]:
    return set(zip(scores["track"], scores["split"], strict=True))


def _rank_one(scores: pd.DataFrame, config: CompareConfig, seed: int, seen: Seen) -> list[dict[str, object]]:
    """One row a method, best first; `scores` are of one track and split."""
    tables = {metric: scores.pivot_table(index=["patient", "image"], columns="method", values=metric) for metric in METRICS}
    methods = list(tables["psnr"].columns)
    patients, images = (tables["psnr"].index.get_level_values(level).to_numpy() for level in ("patient", "image"))
    bounded = [table.to_numpy() for table in (tables["psnr"], tables["ssim"])]
    over = [table[[REFERENCE]].to_numpy() for table in (tables["psnr"], tables["ssim"])]
    values = np.hstack([*bounded, *(own - other for own, other in zip(bounded, over, strict=True))])  # (N, 4M)
    found = bootstrap(values, units(patients, images), config.resamples, config.confidence, np.random.default_rng(seed))
    agreement = scores.groupby("method")[list(AGREEMENT)].mean()
    rows: list[dict[str, object]] = []
    for column, method in enumerate(methods):
        row: dict[str, object] = {"method": method, "images": len(images), "patients": len(np.unique(patients))}
        row["pictures"] = contracts.pictures(pd.Series(images)).nunique()
        known = seen.get(method, frozenset())
        row["seen"] = math.nan if known is None else float(len(known.intersection(images)))
        row |= {metric: float(tables[metric][method].mean()) for metric in METRICS}
        for block, name in enumerate(("psnr", "ssim", "gain_psnr", "gain_ssim")):
            place = block * len(methods) + column
            row |= {name: found.mean[place], f"{name}_low": found.low[place], f"{name}_high": found.high[place]}
        rows.append(row | {name: float(agreement[name].loc[method]) for name in AGREEMENT})
    return sorted(rows, key=lambda row: (-cast(float, row["psnr"]), cast(str, row["method"])))


def check_same_pictures(scores: pd.DataFrame) -> None:
    """Raise ValueError naming what a track lacks: val or test, the median filter, or pictures that this was scored on and another not."""
    for track, group in scores.groupby("track"):
        if lacking := sorted({"val", "test"} - set(group["split"].astype(str))):
            raise ValueError(f"track {track}: no picture of {' and '.join(lacking)} was scored; give it patients (ingest.split in params)")
        keys = {
            str(method): frozenset(zip(rows["split"], rows["condition"], rows["image"], strict=True))
            for method, rows in group.groupby("method")
        }
        if REFERENCE not in keys:
            raise ValueError(f"track {track}: {REFERENCE} was not scored, and every gain is measured against it; found {sorted(keys)}")
        for method, pictures in keys.items():
            if differ := len(pictures ^ keys[REFERENCE]):
                raise ValueError(
                    f"track {track}: {method} was scored on {len(pictures)} noisy pictures and {REFERENCE} on {len(keys[REFERENCE])}, "
                    f"of which {differ} are not shared; run both again on the same pictures (`dvc repro`)"
                )


def choose(ranking: pd.DataFrame, candidates: Collection[str], track: str = "noise") -> str:
    """The one of `candidates` with the best PSNR on val, over all conditions of `track`: test is never asked.

    Raises ValueError where none of them was scored there.
    """
    of_val = ranking[(ranking["track"] == track) & (ranking["split"] == "val") & (ranking["condition"] == ALL)]
    rows = of_val[of_val["method"].isin(list(candidates))].sort_values(["psnr", "method"], ascending=[False, True])
    if rows.empty:
        raise ValueError(f"track {track}: none of {sorted(candidates)} was scored on val, so none can be chosen; add a model of this track")
    return str(rows["method"].iloc[0])


def best(ranking: pd.DataFrame, models: Collection[str]) -> dict[str, str]:
    """The model chosen on val for each track that has one."""
    tracks = [track for track in contracts.TRACKS if ((ranking["track"] == track) & ranking["method"].isin(list(models))).any()]
    return {track: choose(ranking, models, track) for track in tracks}


def on_test(ranking: pd.DataFrame) -> pd.DataFrame:
    """The rows that count: test, all conditions."""
    return ranking[(ranking["split"] == "test") & (ranking["condition"] == ALL)]


def interval(method: str, mean: float, low: float, high: float, digits: int = 2) -> str:
    """A gain and its interval as text; the reference has none over itself."""
    return "reference" if method == REFERENCE else f"{mean:+.{digits}f} [{low:+.{digits}f}, {high:+.{digits}f}]"


def count(images: int, pictures: int, patients: int) -> str:
    """How much stands behind a number, in words; there are more images than pictures where presets made several regions of each."""
    counts = {"region": images, "picture": pictures, "patient": patients}
    if images == pictures:
        del counts["region"]
    return " of ".join(f"{count} {name}{'' if count == 1 else 's'}" for name, count in counts.items())


def seen_before(rows: pd.DataFrame) -> list[str]:
    """A line for each method that has seen some of the images behind `rows`, a contracts.Ranking of one track, split and condition."""
    return [
        f"{method} begins from weights that do not tell what they learnt from: it may have seen these pictures"
        if math.isnan(count)
        else f"{method} has seen {count:.0f} of these {images} images, or copies, where its weights come from; they prove nothing of it"
        for method, count, images in zip(rows["method"], rows["seen"], rows["images"], strict=True)
        if count != 0
    ]


def none_apart(rows: pd.DataFrame, confidence: float) -> bool:
    """Whether test has too few patients to tell any two methods apart; `rows` are of one track and condition of a contracts.Ranking."""
    return too_few(int(rows["patients"].iloc[0]), math.comb(len(rows), 2), confidence)


def table(
    ranking: pd.DataFrame,
    models: Collection[str],
    seconds: Mapping[str, float],
    ties: Mapping[str, Collection[str]] | None = None,
    small: Collection[str] = (),
) -> str:
    """The result for a terminal, at most 100 columns wide: test, all conditions, a block a track, best first.

    `seconds` an image are shown for the methods that have them. A star marks the model chosen on val. `ties` names, for each track, the
    methods that cannot be told apart from it (`significance.tied`), `small` the tracks with too few patients (`none_apart`).
    """
    chosen = best(ranking, models)
    rows = on_test(ranking)
    width = max(12, *(len(method) for method in rows["method"]))
    head = f"  {'':1} {'method':{width}}  {'PSNR, dB':>8}  {'SSIM':>6}  {'gain over the median, dB':>26}  {'s / image':>9}"
    lines = []
    for track, block in rows.groupby("track", sort=False):
        first = block.iloc[0]
        few = "; intervals by picture, as patients are few" if first["patients"] < FEW else ""
        few = "; a single picture has no interval" if first["pictures"] == 1 else few
        labelled = bool(block["label_psnr"].notna().any())
        lines += [f"track {track}: tested on {count(first['images'], first['pictures'], first['patients'])}, mean over conditions{few}"]
        lines += [f"  {LABELS}", f"{head}  {'label, dB':>9}"] if labelled else [head]
        for row in block.to_dict("records"):
            star = "*" if chosen.get(str(track)) == row["method"] else ""
            gain = interval(*(row[column] for column in ("method", "gain_psnr", "gain_psnr_low", "gain_psnr_high")))
            time = f"{seconds[row['method']]:.3f}" if row["method"] in seconds else ""
            label = f"{row['label_psnr']:9.2f}" if labelled else ""
            line = f"  {star:1} {row['method']:{width}}  {row['psnr']:8.2f}  {row['ssim']:6.4f}  {gain:>26}  {time:>9}  {label}"
            lines.append(line.rstrip())
        for told in seen_before(block):
            lines += textwrap.wrap(told, 100, initial_indent="  ", subsequent_indent="    ")
        if ties and track in chosen:
            alike = ties[str(track)]
            names = "all others" if len(alike) == len(block) - 1 else ", ".join(alike) or "none"
            names += ", as test has too few patients" if str(track) in small else ""
            lines += textwrap.wrap(
                f"not told apart from {chosen[str(track)]} on test: {names}", 100, initial_indent="  ", subsequent_indent="    "
            )
        lines.append("")
    return "\n".join([*lines, "* chosen on val" if chosen else ""]).rstrip()
