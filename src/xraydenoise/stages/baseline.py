"""baseline: fit a classical method on val for each condition, then score and examine it like a model, on both tracks."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from xraydenoise import contracts
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
        examination.repeated(name, tracks["noise"], lambda condition: fitted["noise", condition].denoise, params)
        examination.swept(name, tracks["noise"], at, params)
