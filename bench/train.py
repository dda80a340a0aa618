"""How much faster a training step is than the usual one, measured in the same run: python bench/train.py [MODEL].

Ours: pixel store resident on the device, crops by one gather, noise drawn there, bf16, channels last, fused AdamW, averaged weights.
Usual: a Dataset that cuts and noises one crop at a time with NumPy, a DataLoader with a worker a core, float32, Adam. Same network, batch
and crop. The cost of augmented crops is that of a batch with them less that of one without. Prints one JSON line; rounds alternate and
the best of each side counts, so that other work on the machine weighs little.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count, islice

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from xraydenoise import models, params
from xraydenoise.device import pick
from xraydenoise.training import batches, loop, objectives

PICTURES, SIZE = 16, 256  # px
ROUNDS, STEPS = 5, 20


class Crops(Dataset[tuple[Tensor, Tensor]]):
    """One crop at a time, mirrored at random, with Gaussian or quantum noise."""

    def __init__(self, pixels: np.ndarray, patch: int, count: int) -> None:
        self.pixels, self.patch, self.count = pixels, patch, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor]:
        rng = np.random.default_rng(number)
        top, left = rng.integers(0, SIZE - self.patch + 1, 2)
        crop = self.pixels[rng.integers(PICTURES), top : top + self.patch, left : left + self.patch].astype(np.float32) / 65535
        clean = np.rot90(crop, rng.integers(4)).copy()
        noisy = clean + rng.normal(0, 0.1, clean.shape) if number % 2 else rng.poisson(30 * clean) / 30
        return torch.from_numpy(noisy.clip(0, 1).astype(np.float32))[None], torch.from_numpy(clean)[None]


def usual(network: nn.Module, loader: DataLoader[tuple[Tensor, Tensor]], device: torch.device, rate: float) -> Iterator[float]:
    optimizer = torch.optim.Adam(network.parameters(), lr=rate)
    for noisy, target in loader:
        loss = nn.functional.mse_loss(network(noisy.to(device)), target.to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield loss.item()


def seconds(steps: Iterator[object], settle: Callable[[], None]) -> float:
    """Of one step, over STEPS of them."""
    started = time.perf_counter()
    for _ in islice(steps, STEPS):
        pass
    settle()
    return (time.perf_counter() - started) / STEPS


def main(name: str) -> None:
    checked = params.load()
    torch.set_num_threads(checked.machine.threads)
    device, model = pick(checked.machine.device), checked.models[name]
    settle = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    pixels = np.random.default_rng(0).integers(0, 65536, (PICTURES, SIZE, SIZE), dtype=np.uint16)
    flat = torch.from_numpy(pixels.view(np.int16).ravel()).to(device)
    sizes, unknown = (torch.full((PICTURES,), value, device=device) for value in (SIZE, objectives.UNKNOWN))
    offsets = SIZE**2 * torch.arange(PICTURES, device=device)
    pictures = batches.Pictures([str(number) for number in range(PICTURES)], offsets, sizes, sizes, flat, unknown, enhanced=None)
    total = STEPS * (ROUNDS + 1)
    config = checked.train.model_copy(update={"warmup": 1, "validate_every": total + 1})
    plan = model.plan(config).model_copy(update={"steps": total + 1})
    mixture = checked.mixtures[model.mixture]
    augmented, plain = (
        batches.Batches(pictures, mixture, plan.batch, plan.patch, checked.seed, augment) for augment in (plan.augment, None)
    )
    state = loop.begin(models.initialised(model.network, 0), device, plan)
    ours = loop.fit(state, augmented, [], partial(model.objective.loss, classifier=None), plan, config)

    crops = Crops(pixels, checked.train.patch, total * checked.train.batch)
    loader = DataLoader(crops, checked.train.batch, num_workers=checked.machine.threads)
    theirs = usual(models.initialised(model.network, 0).to(device), loader, device, model.learning_rate)

    sides = {"ours": ours, "usual": theirs, "augmented": map(augmented, count()), "plain": map(plain, count())}
    best = dict.fromkeys(sides, float("inf"))
    for _ in range(ROUNDS + 1):  # the first includes what is done once, and is beaten by the others
        for side, steps in sides.items():
            best[side] = min(best[side], seconds(steps, settle))
    rates = {f"{side}_steps_per_second": round(1 / best[side], 1) for side in ("ours", "usual")}
    cost = 1000 * (best["augmented"] - best["plain"])
    told = {"ratio": round(best["usual"] / best["ours"], 2), "augment_ms_per_step": round(cost, 3)}
    print(json.dumps({"model": name, "device": device.type, **rates, **told}))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "dncnn")
