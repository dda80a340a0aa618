"""The cases of report.html: the test pictures on which the chosen model gains most, least and in the middle, denoised again."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from xraydenoise import inference
from xraydenoise.evaluation import metrics, page, ranking
from xraydenoise.evaluation.ranking import REFERENCE
from xraydenoise.params import Params
from xraydenoise.stages import baseline, scoring

TRUTH, LABEL = "truth", "label"  # what the pictures call the picture without noise, and what Real-ESRGAN made of it
TOLERANCE = 0.01  # dB, which the page rounds to; where the same machine scored, the pictures are the same, another rounds otherwise

Key = tuple[str, str]  # condition and image


def cases(track: str, method: str, ranked: pd.DataFrame, scores: pd.DataFrame, params: Params) -> Iterator[page.Case]:
    """The best, the median and the worst of all test pictures of each condition, by the gain of `method` over the median filter.

    Beside it stand the noisy picture, the median filter, the classical method that is best on val and, where there is one, the label.
    Scoring keeps no picture for this: which are shown is known only when all are scored. Raises ValueError where a picture is not what
    was scored.
    """
    torch.set_num_threads(params.machine.threads)
    rival = ranking.choose(ranked, [name for name in params.baselines if name not in ("noisy", REFERENCE)] or [REFERENCE], track)
    names = list(dict.fromkeys(("noisy", REFERENCE, rival, method)))
    denoisers = {name: _denoiser(name, track, params) for name in names}
    test = scores[(scores["track"] == track) & (scores["split"] == "test")]
    psnr = test[test["method"].isin(names)].pivot(index=["condition", "image"], columns="method", values="psnr")
    stored = scoring.Track(track)
    rows = {(row["condition"], row["image"]): row for row in stored.rows.to_dict("records")}
    for condition, gains in (psnr[method] - psnr[REFERENCE]).groupby("condition"):
        for kind, key in picked(gains.sort_values(kind="stable").index.to_list()).items():
            noisy, truth = stored.pair(rows[key])
            layers = {name: metrics.clip(denoise(str(condition), noisy), truth) for name, denoise in denoisers.items()}
            found = {name: float(psnr[name].loc[key]) for name in names}
            _check(layers, truth, found, f"track {track}, condition {condition}, image {key[1]}")
            if (label := stored.label(rows[key])) is not None:
                layers, found = layers | {LABEL: label}, found | {LABEL: metrics.psnr(label, truth)}
            yield page.Case(
                track=track,
                condition=str(condition),
                kind=kind,
                image=key[1],
                patient=rows[key]["patient"],
                layers=layers | {TRUTH: truth},
                psnr=found,
            )


def picked(ordered: Sequence[Key]) -> dict[str, Key]:
    """Cases by their kind, of pictures from the worst to the best: two have no median, and one is neither best nor worst."""
    if len(ordered) == 1:
        return {"only": ordered[0]}
    median = {"median": ordered[len(ordered) // 2]} if len(ordered) > 2 else {}
    return {"best": ordered[-1], **median, "worst": ordered[0]}


def _denoiser(name: str, track: str, params: Params) -> Callable[[str, np.ndarray], np.ndarray]:
    """Model or baseline `name` as it was scored on `track`: condition and noisy float32 (H, W) -> the same shape."""
    if name in params.models:
        denoise = inference.trained(Path("artifacts/train", name), params.machine.device)
        return lambda _condition, noisy: denoise(noisy)
    fitted = baseline.read(params, name, track)
    return lambda condition, noisy: fitted[condition].denoise(noisy)


def _check(layers: Mapping[str, np.ndarray], truth: np.ndarray, scored: Mapping[str, float], what: str) -> None:
    for name, pixels in layers.items():
        if abs((found := metrics.psnr(pixels, truth)) - scored[name]) > TOLERANCE:
            raise ValueError(
                f"artifacts/evaluate/{name}: {what} was scored with {scored[name]:.4f} dB, and denoised again it has {found:.4f} dB; "
                "it was scored before the method changed, so run `dvc repro`"
            )
