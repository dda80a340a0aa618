"""baseline: fit a classical method on val for each condition, then score and examine it like a model, on both tracks."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from xraydenoise import contracts, disk
from xraydenoise.evaluation import baselines
from xraydenoise.params import Params
from xraydenoise.progress import progress
from xraydenoise.stages import examination, scoring
from xraydenoise.stages.examination import Denoise, Level


def run(params: Params, name: str) -> None:
    """Write artifacts/evaluate/<name>."""
    baseline = params.baselines[name]
    tracks = {track: scoring.Track(track) for track in contracts.TRACKS}
    jobs = [(track, condition) for track in tracks.values() for condition in track.noisy]
    with ThreadPoolExecutor(params.machine.threads) as pool:
        fitted: dict[tuple[str, str], baselines.Fitted] = {}
        for track, condition in progress(jobs, f"fit {name} on val", len(jobs)):
            val = track.rows[(track.rows["split"] == "val") & (track.rows["condition"] == condition)]
            pairs = (track.pair(row) for row in scoring.spread(val, params.evaluate.tune_images).to_dict("records"))
            chosen = fitted[track.name, condition] = baselines.fit(baseline, pairs, pool)
            if baseline.at_end(chosen.setting):
                print(f"warning: {name}: {chosen.setting} is best on val of {track.name}, {condition}, and the end of its range; widen it")

        def denoise(track: str, condition: str, noisy: np.ndarray) -> np.ndarray:
            return fitted[track, condition].denoise(noisy)

        def at(level: Level) -> Denoise:
            val = examination.pictures(tracks["noise"], "val", level, params)
            return baselines.fit(baseline, ((noisy, clean) for _, noisy, clean in val), pool).denoise

        settings = {key: each.setting for key, each in fitted.items()}
        scoring.score(name, list(tracks.values()), denoise, settings, params.evaluate.pictures, params.machine.threads, "cpu")
        _write(name, fitted)
        examination.repeated(name, tracks["noise"], lambda condition: fitted["noise", condition].denoise, params)
        examination.swept(name, tracks["noise"], at, params)


def read(params: Params, name: str, track: str) -> dict[str, baselines.Fitted]:
    """Baseline `name` as it was scored, by condition of `track`. Raises FileNotFoundError saying what to run."""
    path = _path(name)
    if not path.exists():
        raise FileNotFoundError(f"{path}: not there; run the baseline stage that writes it (`dvc repro`)")
    records = json.loads(path.read_text(encoding="utf-8"))[track]
    return {condition: baselines.recall(params.baselines[name], record) for condition, record in records.items()}


def _write(name: str, fitted: dict[tuple[str, str], baselines.Fitted]) -> None:
    records: dict[str, dict[str, object]] = {track: {} for track in contracts.TRACKS}
    for (track, condition), one in fitted.items():
        records[track][condition] = one.record()
    disk.write(_path(name), json.dumps(records, indent=2) + "\n")


def _path(name: str) -> Path:
    return Path("artifacts/evaluate", name, "fitted.json")
