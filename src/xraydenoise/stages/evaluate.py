"""evaluate: score one model, as people get it, on val and test under every condition of its track; on track noise, examine it too."""

from pathlib import Path

import numpy as np
import torch

from xraydenoise import inference
from xraydenoise.params import Params
from xraydenoise.stages import examination, scoring


def run(params: Params, name: str) -> None:
    """Write artifacts/evaluate/<name> from artifacts/train/<name>."""
    torch.set_num_threads(params.machine.threads)
    denoiser = inference.trained(Path("artifacts/train", name), params.machine.device)

    def denoise(_track: str, _condition: str, noisy: np.ndarray) -> np.ndarray:
        return denoiser(noisy)

    track = scoring.Track(params.models[name].track)
    scoring.score(name, [track], denoise, {}, params.evaluate.pictures, params.machine.threads, denoiser.device.type)
    if track.name == "noise":
        examination.repeated(name, track, lambda _condition: denoiser, params)
        examination.swept(name, track, lambda _level: denoiser, params)
