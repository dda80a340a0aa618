"""The gate as register asks it: the candidate, the champion that stands scored again on today's test set, and the audits."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from xraydenoise import contracts, models
from xraydenoise.evaluation.audits import audits
from xraydenoise.evaluation.gate import Contender, decide
from xraydenoise.evaluation.ranking import REFERENCE
from xraydenoise.evaluation.verdict import Verdict
from xraydenoise.params import Params
from xraydenoise.stages import scoring
from xraydenoise.training.device import pick

CHAMPION = "champion"  # what the scores call the model that stands, whatever it was called when it was trained
AUDITED = 8  # clean test pictures, at most, on which a candidate is audited


class Standing(NamedTuple):
    """The champion as the registry has it."""

    digest: str  # of its weights and config
    test_set: str  # on which it was weighed
    same_split: bool  # whether patients were split as today; else it may have learnt from today's test patients
    folder: Path  # config.json and weights.safetensors


def weigh(params: Params, name: str, digest: str, test_set: str, standing: Standing | None) -> Verdict:
    """The verdict on model `name`, whose weights have `digest`, on the test set of that identity.

    The champion is scored again on today's test pictures, unless patients were split otherwise when it learnt: new data move no patient
    towards test, another seed or other shares do.
    """
    torch.set_num_threads(params.machine.threads)
    device = pick(params.machine.device)
    track = scoring.Track("noise")
    track.rows = track.rows[track.rows["split"] == "test"].reset_index(drop=True)
    scores = [contracts.read(Path("artifacts/evaluate", method, "scores.parquet"), contracts.Scores) for method in (name, REFERENCE)]
    rival = None
    if standing:
        rival = Contender(CHAMPION, standing.digest, test_set if standing.same_split else f"{standing.test_set} of another split")
        if standing.digest != digest and standing.same_split:
            scores.append(rescored(models.load(standing.folder, device), track, params, device))
    tested = pd.concat(scores, ignore_index=True)
    tested = tested[(tested["track"] == "noise") & (tested["split"] == "test")]
    denoise = scoring.denoiser(models.load(Path("artifacts/train", name), device), device)
    shown = track.rows[track.rows["condition"] == track.rows["condition"].iloc[0]]
    cleans = [track.pair(row)[1] for row in scoring.spread(shown, AUDITED).to_dict("records")]
    findings = audits(denoise, cleans, params.gate.audits, params.seed)
    return decide(tested, Contender(name, digest, test_set), rival, findings, params.gate, params.compare, params.seed)


def rescored(network: torch.nn.Module, track: scoring.Track, params: Params, device: torch.device) -> pd.DataFrame:
    """contracts.Scores of the standing champion on the noisy pictures of `track`, so that both were asked the same."""
    denoiser = scoring.denoiser(network, device)

    def denoise(_track: str, _condition: str, noisy: np.ndarray) -> np.ndarray:
        return denoiser(noisy)

    with ThreadPoolExecutor(params.machine.threads) as pool:
        rows = [done.row | done.score._asdict() for done in scoring.scored(CHAMPION, [track], denoise, pool)]
    return pd.DataFrame(rows).assign(method=CHAMPION, setting="")[list(contracts.Scores.to_schema().columns)]
