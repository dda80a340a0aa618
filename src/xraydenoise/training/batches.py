"""Training batches made on the device: crops gathered from the resident pixel store, noise drawn live. No decoding, no loop over images."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice, pairwise

import torch
from torch import Tensor

from xraydenoise.data.store import scale
from xraydenoise.enhancement import Position
from xraydenoise.noise import Noise, draw_seed
from xraydenoise.training import enhanced
from xraydenoise.training.objectives import Batch

Pair = tuple[Tensor, Tensor]  # noisy and target, float32 (B, 1, H, W) each


@dataclass(frozen=True, eq=False)
class Enhanced:
    """What the inputs of track enhanced are made of; one entry per picture, in the order of `Pictures`."""

    linear: Tensor  # flat float32 on the device: amplified plain pictures, at the offsets of the targets
    plain: Tensor  # flat int16 on the device: plain pictures
    offset: Tensor  # (N,) int64: of each picture in `plain`
    gains: Tensor  # (N, 8) of the preset's bands
    curves: Tensor  # (N, 4) of the preset's curve
    position: Position  # where noise joins


@dataclass(frozen=True, eq=False)
class Pictures:
    """Where pictures lie in a resident store, and what noise is added to: themselves, or on track enhanced what `enhanced` tells."""

    images: Sequence[str]  # ids
    offset: Tensor  # (N,) int64 on the device: first pixel
    height: Tensor  # px
    width: Tensor
    targets: Tensor  # flat int16 on the device
    labels: Tensor  # number of each picture's class, or UNKNOWN
    enhanced: Enhanced | None

    def whole(self, number: int) -> Tensor:  # (1, H, W)
        """The places of all pixels of one picture."""
        height, width = int(self.height[number]), int(self.width[number])
        return self.offset[number] + torch.arange(height * width, device=self.targets.device).view(1, height, width)

    def target(self, index: Tensor) -> Tensor:  # (B, P, Q) -> (B, 1, P, Q)
        """The pixels at these places of the store."""
        return scale(self.targets[index])[:, None]

    def noisy(self, image: Tensor, index: Tensor, noise: Callable[[Tensor], Tensor]) -> Tensor:  # (B,), (B, P, Q) -> (B, 1, P, Q)
        """The input, with noise, at the same places; `image` are the numbers of the pictures that these lie in."""
        if self.enhanced is None:
            return noise(self.target(index))
        found = self.enhanced
        plain = scale(found.plain[index + (found.offset - self.offset)[image, None, None]])[:, None]
        linear = found.linear[index][:, None]
        return enhanced.noisy(noise, plain, linear, found.gains[image], found.curves[image], found.position)


class Batches:
    """The batch of each step: random crops, each turned or mirrored into one of the square's eight symmetries, each with one noise.

    An empty mixture adds none.
    """

    def __init__(self, pictures: Pictures, mixture: Sequence[Noise], batch: int, patch: int, seed: int) -> None:
        """Raises ValueError where there is no picture, or where some are smaller than the patch, naming them."""
        if not pictures.images:
            raise ValueError("no training picture; give train a share in ingest.split (and in enhance.images)")
        sizes = zip(pictures.images, pictures.height.tolist(), pictures.width.tolist(), strict=True)
        if small := [f"{image} ({height}x{width})" for image, height, width in sizes if min(height, width) < patch]:
            named = ", ".join(small[:5]) + (f" and {len(small) - 5} more" if len(small) > 5 else "")
            raise ValueError(f"train.patch: {patch} px is larger than training pictures {named} (px); use a smaller patch")
        self.pictures, self.mixture, self.patch, self.seed = pictures, mixture, patch, seed
        device = pictures.targets.device
        self.generator = torch.Generator(device)
        self.random = torch.empty(4, batch, dtype=torch.int64, device=device)
        self.axis = torch.arange(patch, device=device)

    def __call__(self, step: int) -> Batch:
        """The batch of `step`: of the seed and the step alone, so that a resumed run needs no generator's state."""
        self.generator.manual_seed(draw_seed(self.seed, "crops", str(step)))
        self.random.random_(generator=self.generator)  # (4, B), 0 to 2**63 - 1: their remainders are uniform to 1 in 2**40
        image = self.random[0] % len(self.pictures.images)
        index = self.index(image)
        return Batch(self.noisy(image, index, step), self.pictures.target(index), self.pictures.labels[image], self.generator)

    def index(self, image: Tensor) -> Tensor:
        """(B, P, P): the place in the flat store of the pixels of one crop of each `image` (B,).

        A crop is a corner and two strides; mirroring starts at the other end and walks back, transposing swaps the strides.
        """
        width, last = self.pictures.width[image], self.patch - 1
        top = self.random[1] % (self.pictures.height[image] - last)
        left = self.random[2] % (width - last)
        flip, mirror, transpose = ((self.random[3] >> bit) & 1 for bit in (0, 1, 2))
        corner = self.pictures.offset[image] + (top + flip * last) * width + left + mirror * last
        down, right = width * (1 - 2 * flip), 1 - 2 * mirror
        strides = torch.where(transpose.bool(), torch.stack([right, down]), torch.stack([down, right]))[..., None, None]  # (2, B, 1, 1)
        return corner[:, None, None] + strides[0] * self.axis[:, None] + strides[1] * self.axis

    def noisy(self, image: Tensor, index: Tensor, step: int) -> Tensor:
        """Each noise of the mixture on its share of the crops; crops are in random order, and shares that do not divide take turns."""
        count, kinds = len(image), len(self.mixture)
        if not kinds:
            return self.pictures.noisy(image, index, lambda clean: clean)
        bounds = [(number * count + step % kinds) // kinds for number in range(kinds + 1)]
        parts = [slice(start, end) for start, end in pairwise(bounds)]
        drawn = zip((partial(noise, generator=self.generator) for noise in self.mixture), parts, strict=True)
        return torch.cat([self.pictures.noisy(image[part], index[part], noise) for noise, part in drawn if part.stop > part.start])


def validation(pictures: Pictures, mixture: Sequence[Noise], seed: int, limit: int) -> list[Pair]:
    """Whole pictures with noise drawn once: at most `limit`, every picture once before one comes with a second noise of the mixture.

    The noise comes from (seed, image, "validation"), drawn on the CPU, so that it is the same on every device. It is not the stored noise
    of the test conditions: those may change without a model being trained anew.
    """
    if not pictures.images:
        raise ValueError("no val picture to choose the best weights by; give val a share in ingest.split (and in enhance.images)")
    turns = ((number, turn) for turn in range(len(mixture)) for number in range(len(pictures.images)))
    device = pictures.targets.device
    pairs = []
    for number, turn in islice(turns, limit):
        index = pictures.whole(number)
        noise = mixture[(number + turn) % len(mixture)]
        generator = torch.Generator().manual_seed(draw_seed(seed, pictures.images[number], f"validation {turn}"))
        drawn = partial(on_cpu, noise, generator)
        pairs.append((pictures.noisy(torch.tensor([number], device=device), index, drawn), pictures.target(index)))
    return pairs


def on_cpu(noise: Noise, generator: torch.Generator, clean: Tensor) -> Tensor:
    """`noise` drawn on the CPU, whose numbers are the same for every device; (B, 1, H, W) -> the same, on the device of `clean`."""
    return noise(clean.cpu(), generator).to(clean.device)
