"""A small classifier of the dataset's own labels, trained on clean crops and then frozen: it judges what denoised pictures still show.

A residual network of four blocks (He et al. 2016) with a mean over what is left of the picture, so it takes any size from 16x16 px.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812
from pydantic import Field
from safetensors.torch import load_file
from torch import Tensor, nn

from xraydenoise import kinds, models
from xraydenoise.training.batches import Pictures
from xraydenoise.training.objectives import UNKNOWN, Batch


class ClassifierConfig(kinds.Config):
    """How the classifier is trained."""

    channels: int = Field(ge=1)  # of the first block; each further one has twice as many
    steps: int = Field(ge=1)  # optimiser steps, the whole budget
    learning_rate: float = Field(gt=0)  # peak of one cycle


class Classifier(nn.Module):
    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        widths = [channels * 2**place for place in range(4)]
        self.stem = nn.Sequential(nn.Conv2d(1, channels, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(channels), nn.ReLU())
        self.blocks = nn.ModuleList(Block(before, after) for before, after in zip([channels, *widths], widths, strict=False))
        self.last = nn.Linear(widths[-1], classes)

    def features(self, pictures: Tensor) -> list[Tensor]:
        """(B, 1, H, W) -> what each of the four blocks makes of them, (B, C, H / s, W / s) with s = 2, 4, 8, 16."""
        hidden, seen = self.stem(pictures), []
        for block in self.blocks:
            hidden = block(hidden)
            seen.append(hidden)
        return seen

    def forward(self, pictures: Tensor) -> Tensor:  # (B, 1, H, W) -> logits (B, classes)
        logits: Tensor = self.last(self.features(pictures)[-1].mean(dim=(-2, -1)))
        return logits


class Block(nn.Module):
    """(B, before, H, W) -> (B, after, H / s, W / s), s = 2 where the channels grow, else 1."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        stride = 1 if before == after else 2
        self.body = nn.Sequential(
            nn.Conv2d(before, after, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(),
            nn.Conv2d(after, after, 3, padding=1, bias=False),
            nn.BatchNorm2d(after),
        )
        self.short = nn.Identity() if stride == 1 else nn.Conv2d(before, after, 1, stride, bias=False)

    def forward(self, hidden: Tensor) -> Tensor:
        return F.relu(self.short(hidden) + self.body(hidden))


def fit(network: Classifier, batches: Callable[[int], Batch], weights: Tensor, config: ClassifierConfig) -> Iterator[Tensor]:
    """Train in place, yielding the loss of each step; `weights` (classes,) make up for classes of unequal size.

    Crops without a label are skipped.
    """
    network.train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=config.learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, config.learning_rate, total_steps=config.steps)
    for step in range(config.steps):
        batch = batches(step)
        known = (batch.label != UNKNOWN).float()
        errors = F.cross_entropy(network(batch.target), batch.label.clamp_min(0), weights, reduction="none")
        loss = (errors * known).sum() / known.sum().clamp_min(1)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        schedule.step()
        yield loss.detach()


@torch.inference_mode()
def accuracy(network: Classifier, pictures: Pictures) -> float | None:
    """Balanced: the mean over classes of the share of whole pictures that it tells right; None where no picture has a label."""
    network.eval()
    right: dict[int, list[bool]] = {}
    for number, label in enumerate(pictures.labels.tolist()):
        if label != UNKNOWN:
            right.setdefault(label, []).append(int(network(pictures.target(pictures.whole(number))).argmax()) == label)
    shares = [sum(answers) / len(answers) for answers in right.values()]
    return sum(shares) / len(shares) if shares else None


def numbered(labels: Sequence[str | None], classes: Sequence[str]) -> list[int]:
    """The number of each label among `classes`, UNKNOWN for None and for labels that are not among them."""
    return [classes.index(label) if label in classes else UNKNOWN for label in labels]


def load(folder: Path, device: torch.device) -> tuple[Classifier | None, list[str]]:
    """The frozen classifier in `folder` and its classes; None and none where the dataset has no labels to learn."""
    facts = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    classes: list[str] = facts["classes"]
    if not classes:
        return None, []
    network = Classifier(facts["channels"], len(classes))
    network.load_state_dict(load_file(folder / "weights.safetensors"))
    models.placed(network, device).eval().requires_grad_(False)
    return network, classes
