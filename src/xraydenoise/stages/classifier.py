"""classifier: a small network learns the dataset's own labels on clean training pictures, for the objectives that ask it."""

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file

from xraydenoise import contracts, disk, models
from xraydenoise.params import Params
from xraydenoise.progress import progress
from xraydenoise.stages import train
from xraydenoise.training import batches, classifier

TRACK = Path("artifacts/tracks/noise")
OUT = Path("artifacts/classifier")


def run(params: Params) -> None:
    """Write artifacts/classifier; with no network where the training pictures have fewer than two labels, and the reason."""
    device = train.prepared(params)
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    manifest = contracts.read(TRACK / "manifest.parquet", contracts.Track)
    learnt = manifest[manifest["split"] == "train"]["label"].dropna()
    classes = sorted(learnt.unique())
    facts: dict[str, object] = {"classes": classes, "channels": params.classifier.channels, "accuracy_val": None}
    if len(classes) < 2:
        facts["classes"] = []
        facts["reason"] = f"the training pictures have {len(classes)} label{'' if len(classes) == 1 else 's'}, and two are needed"
        print(f"classifier: none; {facts['reason']}. Objectives that would ask it train the denoiser alone")
    else:
        pictures, val = train.pictures(TRACK, device, classes)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(params.seed)
            network = classifier.Classifier(params.classifier.channels, len(classes))
        models.placed(network, device)
        crops = batches.Batches(pictures, (), params.train.batch, params.train.patch, params.seed)
        counts = torch.tensor([float((learnt == label).sum()) for label in classes], device=device)
        fit = classifier.fit(network, crops, counts.sum() / (len(classes) * counts), params.classifier)
        for _ in progress(fit, "classifier", total=params.classifier.steps):
            pass
        found = facts["accuracy_val"] = classifier.accuracy(network, val)
        with disk.whole(OUT / "weights.safetensors") as unfinished:
            save_file({name: tensor.contiguous().cpu() for name, tensor in network.state_dict().items()}, unfinished)
        told = "no val picture has one of these labels" if found is None else f"balanced accuracy on val {found:.2f}"
        print(f"classifier: {', '.join(classes)}; {told}")
    disk.write(OUT / "config.json", json.dumps(facts, indent=2, sort_keys=True) + "\n")
