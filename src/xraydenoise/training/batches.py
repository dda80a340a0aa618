"""Training batches made on the device: crops gathered from the resident pixel store, noise drawn live. No decoding, no loop over images."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate, islice, pairwise

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from xraydenoise.data.store import scale
from xraydenoise.enhancement import Position
from xraydenoise.noise import Noise, Part, draw_seed
from xraydenoise.training import enhanced
from xraydenoise.training.augment import Augment, brightened
from xraydenoise.training.objectives import Batch

Pair = tuple[Tensor, Tensor]  # noisy and target, float32 (B, 1, H, W) each
GOLDEN = (math.sqrt(5) - 1) / 2


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

    def noisy(
        self, image: Tensor, index: Tensor, clean: Tensor, noise: Callable[[Tensor], Tensor]
    ) -> Tensor:  # (B,), (B, P, Q), (B, 1, P, Q) -> (B, 1, P, Q)
        """The input, with noise, at the same places; `image` are the numbers of the pictures that these lie in, `clean` the targets."""
        if self.enhanced is None:
            return noise(clean)
        found = self.enhanced
        plain = scale(found.plain[index + (found.offset - self.offset)[image, None, None]])[:, None]
        linear = found.linear[index][:, None]
        return enhanced.noisy(noise, plain, linear, found.gains[image], found.curves[image], found.position)


class Batches:
    """The batch of each step: random crops, each turned or mirrored into one of the square's eight symmetries, each with one noise.

    A picture that is narrower than a crop is continued by reflection, so it costs no other picture anything. An empty mixture adds no
    noise. With `augment`, which is for track noise alone, crops are made unlike their pictures first.
    """

    def __init__(
        self, pictures: Pictures, mixture: Sequence[Part], batch: int, patch: int, seed: int, augment: Augment | None = None
    ) -> None:
        """Raises ValueError where there is no picture."""
        if not pictures.images:
            raise ValueError("no training picture; give train a share in ingest.split (and in enhance.images)")
        self.pictures, self.mixture, self.patch, self.seed, self.augment = pictures, mixture, patch, seed, augment
        device = pictures.targets.device
        self.generator = torch.Generator(device)
        self.random = torch.empty(4, batch, dtype=torch.int64, device=device)
        self.all = torch.arange(len(pictures.images), device=device)
        self.large = self.all[torch.minimum(pictures.height, pictures.width) >= 2 * patch]  # for crops of half the resolution

    def __call__(self, step: int) -> Batch:
        """The batch of `step`: of the seed and the step alone, so that a resumed run needs no generator's state."""
        self.generator.manual_seed(draw_seed(self.seed, "crops", str(step)))
        self.random.random_(generator=self.generator)  # (4, B), 0 to 2**63 - 1: their remainders are uniform to 1 in 2**40
        half = self.half(step)
        among = self.large if half else self.all
        image = among[self.random[0] % len(among)]
        index = self.index(image, 2 * self.patch if half else self.patch)
        clean = self.pictures.target(index)
        if half:
            clean = F.avg_pool2d(clean, 2)
        if self.augment is not None:
            clean = brightened(clean, self.augment, self.generator)
        return Batch(self.noisy(image, index, clean, step), clean, self.pictures.labels[image], self.generator)

    def half(self, step: int) -> bool:
        """Whether the crops of `step` have half the resolution. A hash decides: a random number on a GPU would stall the loop."""
        if self.augment is None or not len(self.large):
            return False
        return draw_seed(self.seed, "half", str(step)) < self.augment.half * 2**63

    def index(self, image: Tensor, side: int) -> Tensor:
        """(B, side, side): the place in the flat store of the pixels of one crop of each `image` (B,).

        Flipping walks the rows from the other end, mirroring the columns; transposing lets columns go down and rows across.
        """
        height, width = self.pictures.height[image, None], self.pictures.width[image, None]  # (B, 1) each
        flip, mirror, transpose = ((self.random[3, :, None] >> bit) & 1 for bit in (0, 1, 2))
        last = side - 1
        axis = torch.arange(side, device=image.device)
        top = self.random[1, :, None] % (height - last).clamp_min(1)
        left = self.random[2, :, None] % (width - last).clamp_min(1)
        rows = reflected(top + (axis - flip * last).abs(), height) * width  # (B, side)
        columns = reflected(left + (axis - mirror * last).abs(), width)
        down, across = torch.where(transpose.bool(), columns, rows), torch.where(transpose.bool(), rows, columns)
        return self.pictures.offset[image, None, None] + down[:, :, None] + across[:, None, :]

    def noisy(self, image: Tensor, index: Tensor, clean: Tensor, step: int) -> Tensor:
        """Each noise of the mixture on its share of the crops, which are in random order."""
        if not self.mixture:
            return self.pictures.noisy(image, index, clean, lambda found: found)
        parts = shared(self.mixture, len(image), step)
        return torch.cat(
            [self.pictures.noisy(image[part], index[part], clean[part], partial(noise, generator=self.generator)) for noise, part in parts]
        )


def reflected(place: Tensor, length: Tensor) -> Tensor:  # (B, side), (B, 1) -> (B, side)
    """Places along lines of these lengths, continued by reflection about the last pixel and the first, as often as it takes."""
    period = (2 * (length - 1)).clamp_min(1)
    place = place % period
    return torch.minimum(place, period - place)


def shared(mixture: Sequence[Part], count: int, turn: int) -> list[tuple[Noise, slice]]:
    """Which noise which of `count` crops have; noises that have none are left out.

    The number of crops is less than one from each noise's share. What does not divide takes turns by multiples of the golden ratio, whose
    fractions fill [0, 1) evenly: over many turns each noise has its share, also where that is less than a crop.
    """
    total = sum(part.share for part in mixture)
    ends = [end / total for end in accumulate(part.share for part in mixture)]
    offset = turn * GOLDEN % 1
    bounds = pairwise([0, *(math.ceil(end * count - offset) for end in ends[:-1]), count])
    return [(part.noise, slice(first, end)) for part, (first, end) in zip(mixture, bounds, strict=True) if first < end]


def validation(pictures: Pictures, mixture: Sequence[Part], seed: int, limit: int) -> list[Pair]:
    """Whole pictures with noise drawn once: at most `limit`, every picture once before one comes a second time. Each noise of the mixture
    has its share of them.

    The noise comes from (seed, image, "validation"), drawn on the CPU, so that it is the same on every device. It is not the stored noise
    of the test conditions: those may change without a model being trained anew.
    """
    if not pictures.images:
        raise ValueError("no val picture to choose the best weights by; give val a share in ingest.split (and in enhance.images)")
    turns = list(islice(((number, turn) for turn in range(len(mixture)) for number in range(len(pictures.images))), limit))
    noises = [noise for noise, part in shared(mixture, len(turns), 0) for _ in range(part.start, part.stop)]
    spread = sorted(range(len(turns)), key=lambda place: place * GOLDEN % 1)  # so that each noise meets several pictures
    device = pictures.targets.device
    pairs: dict[int, Pair] = {}
    for place, noise in zip(spread, noises, strict=True):
        number, turn = turns[place]
        index = pictures.whole(number)
        target = pictures.target(index)
        generator = torch.Generator().manual_seed(draw_seed(seed, pictures.images[number], f"validation {turn}"))
        drawn = partial(on_cpu, noise, generator)
        pairs[place] = pictures.noisy(torch.tensor([number], device=device), index, target, drawn), target
    return [pairs[place] for place in range(len(turns))]


def on_cpu(noise: Noise, generator: torch.Generator, clean: Tensor) -> Tensor:
    """`noise` drawn on the CPU, whose numbers are the same for every device; (B, 1, H, W) -> the same, on the device of `clean`."""
    return noise(clean.cpu(), generator).to(clean.device)
