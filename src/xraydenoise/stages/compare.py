"""compare: rank all methods with confidence intervals by patient, draw the figures, write the report and metrics.json."""

import json
import shutil
from pathlib import Path

import pandas as pd

from xraydenoise import contracts, disk
from xraydenoise.data import splits
from xraydenoise.evaluation import figures, page, ranking, report, significance
from xraydenoise.params import Params
from xraydenoise.stages import beyond, scoring, seen
from xraydenoise.tables import markdown

SCORED = Path("artifacts/evaluate")
OUT = Path("artifacts/compare")


def run(params: Params) -> None:
    """Write artifacts/compare and artifacts/metrics.json, and print the result."""
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    methods = [*params.models, *params.baselines]
    if others := sorted({folder.name for folder in SCORED.iterdir() if folder.is_dir()} - set(methods)):
        print(f"{SCORED}: {', '.join(others)} not in params, left out of the comparison")
    scores = pd.concat([contracts.read(SCORED / method / "scores.parquet", contracts.Scores) for method in methods], ignore_index=True)
    images = contracts.read(Path("artifacts/ingest/manifest.parquet"), contracts.Images)
    tested = test_set(scores, images)
    ranked = ranking.rank(scores, params.compare, params.seed, seen.counted(params.models, scores["image"].drop_duplicates()))
    best = ranking.best(ranked, params.models)
    contracts.write(ranked, OUT / "ranking.parquet", contracts.Ranking)
    contracts.write(ranked, OUT / "ranking.csv", contracts.Ranking)
    disk.write(OUT / "ranking.md", _blocks(ranked))
    disk.write(OUT / "gain.csv", _gain(ranked).to_csv(index=False, lineterminator="\n"))
    paired = significance.pairs(scores, params.compare, params.seed)
    sections = beyond.sections(scores, paired, params)
    drawn = {}
    for track, rows in ranked.groupby("track", sort=False):
        shown = best.get(str(track)) or ranking.choose(rows, params.baselines, str(track))
        drawn[str(track)] = _figures(str(track), rows, shown)
    drawn["noise"] += beyond.curves(params)
    told = report.report(ranked, scores, images, tested, best, params.gate.tracks, params.compare, drawn, sections)
    disk.write(OUT / "report.md", told)
    page.write(OUT / "report.html", beyond.content(ranked, scores, tested, best, params))
    metrics = _metrics(ranked, best["noise"]) | {"test_set": tested}
    disk.write(Path("artifacts/metrics.json"), json.dumps(metrics, indent=2, sort_keys=True) + "\n")
    ties = {track: significance.tied(paired, method, track, params.compare.confidence) for track, method in best.items()}
    tested_on = ranking.on_test(ranked).groupby("track")
    small = [str(track) for track, rows in tested_on if ranking.none_apart(rows, params.compare.confidence)]
    print(ranking.table(ranked, params.models, scoring.seconds_an_image(methods), ties, small))


def test_set(scores: pd.DataFrame, images: pd.DataFrame) -> str:
    """The identity of the test pictures. Raises ValueError where a method was scored on other ones than ingest put there."""
    expected = splits.identity(images.loc[images["split"] == "test", "image"])
    noise = scores[(scores["track"] == "noise") & (scores["split"] == "test")]
    for (method, condition), rows in noise.groupby(["method", "condition"]):
        if (found := splits.identity(rows["image"])) != expected:
            raise ValueError(
                f"{SCORED / str(method)}: under {condition} it was scored on the test set {found}, not {expected} as in artifacts/ingest; "
                "run `dvc repro`"
            )
    return expected


def _blocks(ranked: pd.DataFrame) -> str:
    blocks = [
        f"## Track {track}, {split}\n\n{markdown(report.readable(rows))}\n"
        for (track, split), rows in ranked.groupby(["track", "split"], sort=False)
    ]
    return "\n".join(blocks)


def _gain(ranked: pd.DataFrame) -> pd.DataFrame:
    """What `dvc plots` draws: a bar per method of track noise; tracks do not compare."""
    rows = ranking.on_test(ranked).rename(columns={"gain_psnr_low": "low", "gain_psnr_high": "high"})
    return rows.loc[rows["track"] == "noise", ["method", "gain_psnr", "low", "high"]]


def _metrics(ranked: pd.DataFrame, chosen: str) -> dict[str, object]:
    """What `dvc metrics` shows: test, all conditions."""
    columns = ["psnr", "ssim", "mse", "gain_psnr", "gain_psnr_low", "gain_psnr_high", *ranking.AGREEMENT]
    rows = ranking.on_test(ranked).set_index(["track", "method"])[columns]
    found: dict[str, object] = {
        str(track): block.droplevel("track").dropna(axis="columns").to_dict("index") for track, block in rows.groupby(level="track")
    }
    return found | {"chosen": chosen, "chosen_gain_psnr": float(rows["gain_psnr"].loc["noise", chosen])}


def _figures(track: str, ranked: pd.DataFrame, best: str) -> list[str]:
    """Draw the figures of one track, `best` its best method by val; their file names."""
    test = ranked[ranked["split"] == "test"]
    names = [f"gain-{track}.png"]
    figures.gains(test, f"Track {track}: {ranking.count(*test[['images', 'pictures', 'patients']].iloc[0])}", OUT / names[0])
    kept = {method: scoring.kept(method, track) for method in dict.fromkeys(("noisy", ranking.REFERENCE, best))}
    examples: dict[str, list[figures.Example]] = {}
    stored = scoring.Track(track)
    for row in stored.rows.to_dict("records"):
        key = (row["condition"], row["image"])
        if key in kept[best]:
            denoised = {method: pictures[key] for method, pictures in kept.items()}
            examples.setdefault(row["condition"], []).append(figures.Example(denoised, stored.pair(row)[1]))
    for condition, rows in examples.items():
        names.append(f"pictures-{track}-{condition}.png")
        figures.pictures(rows, f"Track {track}, {condition}", OUT / names[-1])
    return names
