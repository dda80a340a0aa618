"""baseline: choose a classical method's setting on val for each condition, then score it like a model, on both tracks."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from xraydenoise import contracts
from xraydenoise.evaluation import baselines
from xraydenoise.params import Params
from xraydenoise.progress import progress
from xraydenoise.stages import scoring


def run(params: Params, name: str) -> None:
    """Write artifacts/evaluate/<name>."""
    baseline = params.baselines[name]
    tracks = [scoring.Track(track) for track in contracts.TRACKS]
    settings = baseline.settings()
    jobs = [(track, condition) for track in tracks for condition in track.noisy]
    chosen: dict[tuple[str, str], str] = {}
    with ThreadPoolExecutor(params.machine.threads) as pool:
        for track, condition in progress(jobs, f"tune {name} on val", len(jobs)):
            val = track.rows[(track.rows["split"] == "val") & (track.rows["condition"] == condition)]
            pairs = [track.pair(row) for row in scoring.spread(val, params.evaluate.tune_images).to_dict("records")]
            setting = chosen[track.name, condition] = baselines.tune(settings, pairs, pool)
            if baseline.at_end(setting):
                print(
                    f"warning: {name}: {setting} is best on val of {track.name}, {condition}, and the end of its range; widen it in params"
                )

    def denoise(track: str, condition: str, noisy: np.ndarray) -> np.ndarray:
        return settings[chosen[track, condition]](noisy)

    scoring.score(name, tracks, denoise, chosen, params.evaluate.pictures, params.machine.threads, "cpu")
