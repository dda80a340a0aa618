"""The comparison in words: what was compared on which pictures, how sure it is, and what each track can and cannot say."""

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from xraydenoise import contracts, disk
from xraydenoise.evaluation.ranking import ALL, CHAMPION, CompareConfig, interval, on_test, seen_before
from xraydenoise.evaluation.statistics import FEW
from xraydenoise.tables import markdown

MEANING = {
    "noise": "The truth is the clean picture: the noise was added to it, so these numbers measure how much of it a method takes away.",
    "enhanced": "The truth is the enhanced plain picture: presets amplified what noise there was. Models learn from Real-ESRGAN's labels, "
    "never from this truth, while baselines are fitted to it on val. The columns `label` tell **agreement with these labels, which is not "
    "quality**: nothing is ranked by them. The numbers do not compare with those of track noise.",
}


class Section(NamedTuple):
    """One more table, with what it means."""

    title: str
    text: str
    table: pd.DataFrame  # of text, as it is shown


class Chapter(NamedTuple):
    """Paragraphs and tables under one title."""

    title: str
    lines: Sequence[str]
    sections: Sequence[Section]


def save(chapters: Sequence[Chapter], path: Path) -> None:
    """Write chapters as JSON, for the page that shows them."""
    told = [
        {
            "title": chapter.title,
            "lines": list(chapter.lines),
            "sections": [
                {"title": section.title, "text": section.text, "table": section.table.to_dict("split", index=False)}
                for section in chapter.sections
            ],
        }
        for chapter in chapters
    ]
    disk.write(path, json.dumps(told, indent=1) + "\n")


def load(path: Path) -> list[Chapter]:
    """The chapters that `save` wrote."""
    return [
        Chapter(
            told["title"], told["lines"], [Section(one["title"], one["text"], pd.DataFrame(**one["table"])) for one in told["sections"]]
        )
        for told in json.loads(path.read_text(encoding="utf-8"))
    ]


def report(
    ranking: pd.DataFrame,
    scores: pd.DataFrame,
    images: pd.DataFrame,
    test_set: str,
    chosen: Mapping[str, str],
    champions: Collection[str],
    config: CompareConfig,
    figures: Mapping[str, Sequence[str]],
    tables: Sequence[Section],
) -> str:
    """The whole report as Markdown.

    `images` is the contracts.Images of ingest, `test_set` the identity of its test pictures, `chosen` the model chosen on val for each
    track that has one, `champions` the tracks whose chosen model may become champion, `figures` the file names of each track's figures,
    which lie beside the report, `tables` what else was measured.
    """
    parts = [
        "# Comparison",
        "*Not for diagnostic use.*",
        "PSNR (dB, data range 1), SSIM (7x7 uniform window) and MSE on predictions clipped to [0, 1]. Gains are paired with the median "
        f"filter on the same noisy picture. Intervals are {config.confidence:.0%} expanded percentile bootstrap intervals "
        f"(Hesterberg 2015) over {config.resamples} resamples of patients, or of images where a split has under {FEW} patients. The best "
        "model is chosen on val, never on test.",
    ]
    for track, rows in ranking.groupby("track", sort=False):
        parts += _track(str(track), rows, scores[scores["track"] == track], chosen, champions)
        parts += [f"![{name.removesuffix('.png')}]({name})" for name in figures[str(track)]]
    for section in tables:
        parts += [f"## {section.title}", section.text, markdown(section.table)]
    parts += ["## Pictures", "Source and licence of every picture behind the numbers above:", _sources(images)]
    parts.append(
        f"Test set `{test_set}`: runs with this identity were scored on the same pictures. What was looked at to keep it apart from "
        "training is in `artifacts/ingest/leakage.json`, the datasets are described in `artifacts/ingest/card.md`."
    )
    return "\n\n".join(parts) + "\n"


def _track(track: str, ranking: pd.DataFrame, scores: pd.DataFrame, chosen: Mapping[str, str], champions: Collection[str]) -> list[str]:
    sizes = ranking.drop_duplicates("split")[["split", "images", "pictures", "patients"]]
    parts = [f"## Track {track}", MEANING[track], markdown(sizes)]
    parts += [f"> **Few patients:** {warning}" for warning in warnings(sizes)]
    if track in chosen:
        rows = on_test(ranking)
        gain = _intervals(rows[rows["method"] == chosen[track]], "gain_psnr", 2)[0]
        parts.append(f"Chosen on val: **{chosen[track]}**, on test {gain} dB over the median filter. {CHAMPION[track in champions]}")
    test = ranking[ranking["split"] == "test"]
    parts += [f"> **Seen before:** {told}." for told in seen_before(on_test(ranking))]
    if not test.empty:
        parts += ["### Test", f"Condition `{ALL}` is the mean over conditions.", markdown(readable(test))]
    tuned = scores[scores["setting"] != ""].drop_duplicates(["method", "condition"])[["method", "condition", "setting"]]
    if not tuned.empty:
        parts += ["### Settings chosen on val", markdown(tuned.sort_values(["method", "condition"]))]
    return parts


def warnings(sizes: pd.DataFrame) -> list[str]:
    """A line for each split (columns split, images, pictures, patients) whose intervals mean little."""
    lines = []
    for split, images, pictures, patients in sizes.itertuples(index=False):
        if pictures == 1:
            lines.append(f"{split} has a single picture: its intervals are points and say nothing about other pictures.")
        elif patients < FEW:
            lines.append(
                f"{split} has {pictures} pictures{f' ({images} images)' if images > pictures else ''} of {patients} "
                f"patient{'s' if patients > 1 else ''}: its intervals resample pictures, which are alike within a "
                "patient, so they are too narrow and say little about other patients."
            )
    return lines


def readable(ranking: pd.DataFrame) -> pd.DataFrame:
    """Columns of a contracts.Ranking as text for people: rounded, each gain with its interval."""
    frame = ranking[["condition", "method"]].copy()
    frame["PSNR, dB"] = ranking["psnr"].map("{:.2f}".format)
    frame["SSIM"] = ranking["ssim"].map("{:.4f}".format)
    frame["MSE"] = ranking["mse"].map("{:.5f}".format)
    frame["gain over the median, dB"] = _intervals(ranking, "gain_psnr", 2)
    frame["gain in SSIM"] = _intervals(ranking, "gain_ssim", 4)
    if ranking["label_psnr"].notna().any():
        frame["label, PSNR in dB"] = ranking["label_psnr"].map("{:.2f}".format)
        frame["label, SSIM"] = ranking["label_ssim"].map("{:.4f}".format)
    return frame


def _intervals(ranking: pd.DataFrame, name: str, digits: int) -> list[str]:
    rows = ranking[["method", name, f"{name}_low", f"{name}_high"]].itertuples(index=False)
    return [interval(method, mean, low, high, digits) for method, mean, low, high in rows]


def _sources(images: pd.DataFrame) -> str:
    counts = images.groupby(["source", "licence"]).agg(images=("image", "size"), patients=("patient", "nunique"))
    splits = images.groupby(["source", "licence", "split"])["patient"].nunique().unstack(fill_value=0)
    for split in contracts.SPLITS:
        counts[f"{split} patients"] = splits.get(split, 0)
    return markdown(counts.reset_index())
