"""The gate as register asks it: the candidate, the champion that stands scored again on today's test set, and the audits."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from xraydenoise import contracts, inference
from xraydenoise.data.learnt import Learnt
from xraydenoise.evaluation import significance
from xraydenoise.evaluation.audits import audits
from xraydenoise.evaluation.gate import Contender, decide
from xraydenoise.evaluation.verdict import Verdict
from xraydenoise.params import Params
from xraydenoise.stages import scoring, seen

CHAMPION = "champion"  # what the scores call the model that stands, whatever it was called when it was trained
AUDITED = 8  # clean test pictures, at most, on which a candidate is audited


class Standing(NamedTuple):
    """The champion of a track as the registry has it."""

    uri: str  # of the registered version, for people
    digest: str  # identity of the network
    learnt: Learnt | None  # the pictures that it was trained on and chosen by; None where it does not tell
    folder: Path  # config.json and weights.safetensors


def weigh(params: Params, name: str, digest: str, standing: Standing | None) -> tuple[Verdict, pd.DataFrame]:
    """The verdict on model `name`, whose network has the identity `digest`, and how every model of its track differs from the champion.

    All of it is of that track: the models, the median filter, the champion, and the truths on which the model is audited.

    The champion is scored again on today's test pictures, unless it learnt from one of them: a dataset's new name, another seed or a
    picture that no longer joins two patients may have moved it to test since; or unless today's code has no such network any more. The
    second is contracts.Differences, empty where no champion can be compared.
    """
    torch.set_num_threads(params.machine.threads)
    track = scoring.Track(params.models[name].track)
    track.rows = track.rows[track.rows["split"] == "test"].reset_index(drop=True)
    learners = [model for model, entry in params.models.items() if entry.track == track.name]
    methods = (*learners, *params.baselines)
    scores = [contracts.read(Path("artifacts/evaluate", method, "scores.parquet"), contracts.Scores) for method in methods]
    pictures, images = seen.Pictures(), track.rows["image"].drop_duplicates()
    rival = None
    if standing:
        rival = Contender(CHAMPION, standing.digest, known(pictures, standing.learnt, images))
        if standing.digest != digest and rival.knows == 0:
            try:
                denoiser = inference.trained(standing.folder, params.machine.device)
            except ValueError as error:
                rival = rival._replace(fault=f"{standing.uri}: {error}")
            else:
                scores.append(rescored(denoiser, track, params))
    tested = pd.concat(scores, ignore_index=True)
    tested = tested[(tested["track"] == track.name) & (tested["split"] == "test")]
    denoise = inference.trained(Path("artifacts/train", name), params.machine.device)
    shown = track.rows[track.rows["condition"] == track.rows["condition"].iloc[0]]
    cleans = [track.pair(row)[1] for row in scoring.spread(shown, AUDITED).to_dict("records")]
    findings = audits(denoise, cleans, params.gate.audits, params.seed)
    candidate = Contender(name, digest, known(pictures, seen.begun(name), images))
    verdict = decide(tested, candidate, rival, list(params.baselines), findings, params.gate, params.compare, params.seed)
    if standing and standing.digest == digest:
        tested = tested.replace({"method": {name: CHAMPION}})  # the candidate is the champion, so its scores are
    return verdict, differences(tested[~tested["method"].isin(list(params.baselines))], params)


def known(pictures: seen.Pictures, learnt: Learnt | None, images: pd.Series) -> int | None:
    """How many of `images` a network that learnt from `learnt` has seen; None where it does not tell."""
    return None if learnt is None else len(pictures.seen(learnt, images))


def differences(tested: pd.DataFrame, params: Params) -> pd.DataFrame:
    """contracts.Differences of the models in `tested` to the champion; empty where it was not scored, or nothing else was."""
    methods = set(tested["method"])
    if CHAMPION not in methods or len(methods) == 1:
        return contracts.empty(contracts.Differences)
    return significance.differences(tested, CHAMPION, params.compare, params.seed)


def rescored(denoiser: inference.Denoiser, track: scoring.Track, params: Params) -> pd.DataFrame:
    """contracts.Scores of the standing champion on the noisy pictures of `track`, so that both were asked the same."""

    def denoise(_track: str, _condition: str, noisy: np.ndarray) -> np.ndarray:
        return denoiser(noisy)

    with ThreadPoolExecutor(params.machine.threads) as pool:
        rows = [done.row | done.score for done in scoring.scored(CHAMPION, [track], denoise, pool)]
    return pd.DataFrame(rows).assign(method=CHAMPION, setting="")[list(contracts.Scores.to_schema().columns)]
