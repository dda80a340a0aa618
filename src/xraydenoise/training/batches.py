"""Training batches made on the device: crops gathered from the resident pixel store, noise drawn live. No decoding, no loop over images."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor

from xraydenoise.data.store import scale
from xraydenoise.noise import Noise, draw_seed
from xraydenoise.training.objectives import Batch

Pair = tuple[Tensor, Tensor]  # noisy and target, float32 (B, 1, H, W) each


@dataclass(frozen=True, eq=False)
class Pictures:
    """Where pictures lie in two resident stores, which share offsets; in track `noise` both are the same tensor."""

    images: Sequence[str]  # ids
    offset: Sequence[int]  # first pixel
    height: Sequence[int]  # px
    width: Sequence[int]
    inputs: Tensor  # flat int16 on the device: what noise is added to
    targets: Tensor
    labels: Sequence[int]  # number of each picture's class, or UNKNOWN

    def whole(self, number: int) -> Pair:
        """One picture without noise, (1, 1, H, W): input and target."""
        start, height, width = self.offset[number], self.height[number], self.width[number]
        place = slice(start, start + height * width)
        return scale(self.inputs[place]).view(1, 1, height, width), scale(self.targets[place]).view(1, 1, height, width)


class Batches:
    """The batch of each step: random crops, each turned or mirrored into one of the square's eight symmetries, each with one noise.

    An empty mixture adds none.
    """

    def __init__(self, pictures: Pictures, mixture: Sequence[Noise], batch: int, patch: int, seed: int) -> None:
        """Raises ValueError where there is no picture, or where some are smaller than the patch, naming them."""
        if not pictures.images:
            raise ValueError("no training picture; give train a share in ingest.split (and in enhance.images)")
        sizes = zip(pictures.images, pictures.height, pictures.width, strict=True)
        if small := [f"{image} ({height}x{width})" for image, height, width in sizes if min(height, width) < patch]:
            named = ", ".join(small[:5]) + (f" and {len(small) - 5} more" if len(small) > 5 else "")
            raise ValueError(f"train.patch: {patch} px is larger than training pictures {named} (px); use a smaller patch")
        self.pictures, self.mixture, self.patch, self.seed = pictures, mixture, patch, seed
        device = pictures.targets.device
        self.generator = torch.Generator(device)
        self.random = torch.empty(4, batch, dtype=torch.int64, device=device)
        self.offset, self.height, self.width, self.labels = (
            torch.tensor(column, dtype=torch.int64, device=device)
            for column in (pictures.offset, pictures.height, pictures.width, pictures.labels)
        )
        self.axis = torch.arange(patch, device=device)

    def __call__(self, step: int) -> Batch:
        """The batch of `step`: of the seed and the step alone, so that a resumed run needs no generator's state."""
        self.generator.manual_seed(draw_seed(self.seed, "crops", str(step)))
        self.random.random_(generator=self.generator)  # (4, B), 0 to 2**63 - 1: their remainders are uniform to 1 in 2**40
        image = self.random[0] % len(self.offset)
        index = self.index(image)
        target = scale(self.pictures.targets[index])[:, None]  # (B, 1, P, P)
        same = self.pictures.inputs is self.pictures.targets
        clean = target if same else scale(self.pictures.inputs[index])[:, None]
        return Batch(self.degraded(clean, step), target, self.labels[image], self.generator)

    def index(self, image: Tensor) -> Tensor:
        """(B, P, P): the place in the flat store of the pixels of one crop of each `image` (B,).

        A crop is a corner and two strides; mirroring starts at the other end and walks back, transposing swaps the strides.
        """
        width, last = self.width[image], self.patch - 1
        top = self.random[1] % (self.height[image] - last)
        left = self.random[2] % (width - last)
        flip, mirror, transpose = ((self.random[3] >> bit) & 1 for bit in (0, 1, 2))
        corner = self.offset[image] + (top + flip * last) * width + left + mirror * last
        down, right = width * (1 - 2 * flip), 1 - 2 * mirror
        strides = torch.where(transpose.bool(), torch.stack([right, down]), torch.stack([down, right]))[..., None, None]  # (2, B, 1, 1)
        return corner[:, None, None] + strides[0] * self.axis[:, None] + strides[1] * self.axis

    def degraded(self, clean: Tensor, step: int) -> Tensor:
        """Each noise of the mixture on its share of the crops; crops are in random order, and shares that do not divide take turns."""
        count, kinds = len(clean), len(self.mixture)
        if not kinds:
            return clean
        bounds = [(number * count + step % kinds) // kinds for number in range(kinds + 1)]
        parts = zip(self.mixture, bounds, bounds[1:], strict=False)
        return torch.cat([noise(clean[start:end], self.generator) for noise, start, end in parts if end > start])


def validation(pictures: Pictures, mixture: Sequence[Noise], seed: int, limit: int) -> list[Pair]:
    """Whole pictures with noise drawn once: at most `limit`, every picture once before one comes with a second noise of the mixture.

    The noise comes from (seed, image, "validation"), drawn on the CPU, so that it is the same on every device. It is not the stored noise
    of the test conditions: those may change without a model being trained anew.
    """
    if not pictures.images:
        raise ValueError("no val picture to choose the best weights by; give val a share in ingest.split (and in enhance.images)")
    turns = ((number, turn) for turn in range(len(mixture)) for number in range(len(pictures.images)))
    pairs = []
    for number, turn in islice(turns, limit):
        clean, target = pictures.whole(number)
        noise = mixture[(number + turn) % len(mixture)]
        generator = torch.Generator().manual_seed(draw_seed(seed, pictures.images[number], f"validation {turn}"))
        pairs.append((noise(clean.cpu(), generator).to(target.device), target))
    return pairs
