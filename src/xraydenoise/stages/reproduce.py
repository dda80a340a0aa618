"""reproduce: one network of a published comparison learns on the protocol's pictures and is scored on its test pictures."""

import json
import shutil
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch
from torch import nn

from xraydenoise import contracts, disk, models, protocols
from xraydenoise.data import store
from xraydenoise.evaluation import metrics
from xraydenoise.noise import Noise, draw_seed, evenly
from xraydenoise.params import Params
from xraydenoise.stages import tracks, train
from xraydenoise.training import classifier

OUT = Path("artifacts/reproduce")


def run(params: Params, name: str) -> None:
    """Write artifacts/reproduce/<name>, going on from work/reproduce/<name> if a killed run left it."""
    device = train.prepared(params)
    out, work = OUT / name, Path("work/reproduce", name)
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    learner = params.protocols[name]
    protocol, method = protocols.load(learner.protocol), protocols.method(name, learner)
    track = pictures(protocol, work / "track")
    judge, classes = classifier.load(train.CLASSIFIER, device) if learner.objective.needs_classifier else (None, [])
    learnt, val = train.pictures(track, device, classes, protocol.position)
    test = Drawn(protocol, learner.protocol, track, params.seed, "test")
    scores, networks = [], {}
    for network_name, conditions in learner.mixtures().items():
        mixture = evenly(protocol.conditions[condition] for condition in conditions)
        folder = work / network_name
        folder.mkdir(parents=True, exist_ok=True)
        digest = train.recipe(params, learner, mixture, device, track, protocols.code(learner.protocol))
        network = models.initialised(learner.network, params.seed)
        state, _ = train.learn(params, f"{name}, {network_name}", learner, network, mixture, learnt, val, judge, folder, digest)
        networks[network_name] = train.outcome(state, device)
        state.averaged.load_state_dict(state.best)
        denoise = bare(state.averaged, device)
        scores += [test.score(method, condition, denoise) for condition in conditions]
    contracts.write(pd.concat(scores, ignore_index=True), out / "scores.parquet", contracts.ProtocolScores)
    rows = contracts.read(track / "manifest.parquet", contracts.Track).query("split == 'train' and teaches")
    facts: dict[str, object] = {"network": learner.network.model_dump(mode="json"), "objective": learner.objective.model_dump(mode="json")}
    facts |= {"plan": learner.plan(params.train).model_dump(mode="json"), "images": len(rows)}
    facts |= {"pictures": contracts.pictures(rows["image"]).nunique(), "patients": rows["patient"].nunique()}
    facts |= {"networks": networks, "alone": learner.objective.needs_classifier and judge is None}  # alone: no labels to classify
    disk.write(out / "config.json", json.dumps(facts, indent=2, sort_keys=True) + "\n")
    shutil.rmtree(work)


def bare(network: nn.Module, device: torch.device) -> Callable[[np.ndarray], np.ndarray]:
    """`network`, which lies on `device`, as a function of one picture: float32 (H, W) -> the same shape, in full float32 on CUDA too.

    The published comparisons scored networks as they are: no range is sought, and nothing is rounded to bf16.
    """

    def denoise(noisy: np.ndarray) -> np.ndarray:
        batch = torch.from_numpy(noisy)[None, None].to(device)  # (1, 1, H, W)
        with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
            return np.asarray(network(batch)[0, 0].cpu())

    return denoise


def pictures(protocol: protocols.Protocol, folder: Path) -> Path:
    """The track folder of a protocol: squares made in `folder`, or the project's own track where the protocol takes it as it is."""
    whole = tracks.TRACKS / protocol.track
    if protocol.size is None:
        return whole
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    manifest = contracts.read(whole / "manifest.parquet", contracts.Track)
    pixels = store.open_store(whole / "targets.npy")
    with store.Writer(folder / "targets.npy") as writer:
        offsets = [writer.append(squared(store.read(pixels, *place), protocol.size)) for place in _places(manifest)]
    square = manifest.assign(offset=offsets, height=protocol.size, width=protocol.size)
    contracts.write(square, folder / "manifest.parquet", contracts.Track)
    return folder


def _places(manifest: pd.DataFrame) -> list[tuple[int, int, int]]:
    return list(manifest[["offset", "height", "width"]].itertuples(index=False, name=None))


def squared(pixels: np.ndarray, size: int) -> np.ndarray:
    """float32 (H, W) scaled to (size, size) by area, as the published pictures were: the whole picture, whatever its shape."""
    return np.asarray(np.clip(cv2.resize(pixels, (size, size), interpolation=cv2.INTER_AREA), 0, 1))


class Drawn:
    """The pictures of one split of a protocol, with noise drawn once from (seed, image, protocol, condition)."""

    def __init__(self, protocol: protocols.Protocol, letter: str, folder: Path, seed: int, split: str) -> None:
        self.track = tracks.Track(folder, protocol.position)
        rows = self.track.rows.query("teaches")  # a vetoed label judges nothing either
        self.rows = rows[rows["split"] == split].sort_values("image", ignore_index=True)
        self.protocol, self.letter, self.seed = protocol, letter, seed
        self.targets = [self.track.target(row) for row in self.rows.to_dict("records")]

    def noisy(self, condition: str) -> list[np.ndarray]:
        """The noisy pictures (H, W), drawn on the CPU."""
        noise: Noise = self.protocol.conditions[condition]
        drawn = []
        for row in self.rows.to_dict("records"):
            generator = torch.Generator().manual_seed(draw_seed(self.seed, row["image"], f"protocol {self.letter} {condition}"))
            drawn.append(self.track.noisy(row, partial(noise, generator=generator)))
        return drawn

    def score(self, method: str, condition: str, denoise: Callable[[np.ndarray], np.ndarray]) -> pd.DataFrame:
        """contracts.ProtocolScores of a method under one condition, by every metric of the protocol."""
        found: list[Mapping[str, object]] = []
        for image, patient, noisy, target in zip(
            self.rows["image"], self.rows["patient"], self.noisy(condition), self.targets, strict=True
        ):
            prediction = metrics.clip(denoise(noisy), target)
            row = {"method": method, "condition": condition, "image": image, "patient": patient}
            found += [row | {"metric": name, "value": metric.measure(prediction, target)} for name, metric in self.protocol.metrics.items()]
        return pd.DataFrame(found) if found else contracts.empty(contracts.ProtocolScores)
