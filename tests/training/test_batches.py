from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from xraydenoise.noise import Noise
from xraydenoise.noise.gaussian import Config as Gaussian
from xraydenoise.training.batches import Batches, Enhanced, Pictures, validation
from xraydenoise.training.objectives import UNKNOWN


def shift(mean: float) -> Gaussian:
    """Noise that only adds `mean`, so that a crop tells which noise it got."""
    return Gaussian(kind="gaussian", mean=mean, sigma=0.0, clip=False)


NONE = shift(0.0)


class Doubled(Noise):
    """Not a noise: every pixel is doubled."""

    def degrade(self, clean: Tensor, generator: torch.Generator) -> Tensor:  # noqa: ARG002  the noises' own signature
        return 2 * clean


SIZES = [(20, 31), (16, 16), (40, 17)]


@pytest.fixture
def numbered(pictures_of: Callable[..., Pictures]) -> Pictures:
    """Pictures of several sizes whose every pixel is another number: its place in the store."""
    store = torch.arange(sum(height * width for height, width in SIZES), dtype=torch.int16)
    return pictures_of(["a", "b", "c"], SIZES, store, [7, UNKNOWN, 9])


def enhanced(pictures: Pictures, position: str) -> Pictures:
    """`pictures` on track enhanced: plain pictures of 30000 that lie in their store in another order, and linear ones of half as much.

    The presets double every band, and their curves change nothing.
    """
    sizes = pictures.height * pictures.width
    flat = torch.full((int(sizes.sum()),), 30000, dtype=torch.int16)
    return replace(
        pictures,
        enhanced=Enhanced(
            linear=torch.full(flat.shape, 15000 / 65535),
            plain=flat,
            offset=sizes.flip(0).cumsum(0).flip(0) - sizes,
            gains=torch.full((len(sizes), 8), 2.0),
            curves=torch.tensor([[0.0, 0.5, 1.0, 0.5]]).repeat(len(sizes), 1),
            position=position,
        ),
    )


def places(batch: Tensor) -> np.ndarray:
    return np.rint(batch[:, 0].double().numpy() * 65535).astype(int)  # (B, P, P)


def test_every_crop_is_a_square_of_one_picture_in_one_of_eight_symmetries(numbered: Pictures) -> None:
    batches = Batches(numbered, [NONE], batch=64, patch=8, seed=0)
    seen, pictures = set(), set()
    for step in range(10):
        for crop in places(batches(step).target):
            picture = int(np.searchsorted(numbered.offset.numpy(), crop.min(), side="right")) - 1
            whole = numbered.whole(picture)[0].numpy()
            top, left = divmod(int(crop.min() - whole.min()), whole.shape[1])
            square = whole[top : top + 8, left : left + 8]
            turns = [np.rot90(side, turn) for side in (square, square.T) for turn in range(4)]
            (symmetry,) = (number for number, turned in enumerate(turns) if np.array_equal(turned, crop))
            seen.add(symmetry)
            pictures.add(picture)
    assert seen == set(range(8))
    assert pictures == {0, 1, 2}


def test_crops_reach_every_corner_of_a_picture(numbered: Pictures) -> None:
    batches = Batches(numbered, [NONE], batch=64, patch=15, seed=0)
    seen = np.concatenate([places(batches(step).target).ravel() for step in range(20)])
    assert set(seen) == set(range(numbered.targets.numel()))


@pytest.mark.parametrize(("position", "added"), [("before", 0.2), ("after", 0.1), ("both", 0.3)])
def test_on_track_enhanced_noise_is_amplified_where_it_joins_before_the_enhancement(
    numbered: Pictures, position: str, added: float
) -> None:
    batch = Batches(enhanced(numbered, position), [shift(0.1)], batch=16, patch=8, seed=0)(0)
    torch.testing.assert_close(batch.noisy, torch.full_like(batch.noisy, 15000 / 65535 + added), atol=1e-4, rtol=0)
    assert torch.equal(batch.target, Batches(numbered, [NONE], batch=16, patch=8, seed=0)(0).target)


def test_on_track_enhanced_the_plain_crop_is_of_the_same_place_as_the_target(numbered: Pictures) -> None:
    """A noise that multiplies, on plain pictures whose pixels are those of the targets, shows which pixels it was given."""
    paired = enhanced(numbered, "before")
    order = torch.cat([numbered.whole(number).flatten() for number in (2, 1, 0)])
    paired = replace(paired, enhanced=replace(paired.enhanced, plain=numbered.targets[order], linear=torch.zeros(len(order))))
    batch = Batches(paired, [Doubled(kind="doubled", clip=False)], batch=16, patch=8, seed=0)(0)
    torch.testing.assert_close(batch.noisy, 2 * batch.target, atol=1e-5, rtol=0)


def test_each_crop_has_the_label_of_its_picture(numbered: Pictures) -> None:
    batch = Batches(numbered, [NONE], batch=64, patch=8, seed=0)(0)
    found = np.searchsorted(numbered.offset.numpy(), places(batch.target).min(axis=(1, 2)), side="right") - 1
    assert batch.label.tolist() == numbered.labels[found].tolist()
    assert set(batch.label.tolist()) == {7, UNKNOWN, 9}


def test_an_empty_mixture_adds_no_noise(numbered: Pictures) -> None:
    batch = Batches(numbered, [], batch=4, patch=8, seed=0)(0)
    assert torch.equal(batch.noisy, batch.target)


def test_a_batch_depends_on_seed_and_step_alone(numbered: Pictures) -> None:
    noise = Gaussian(kind="gaussian", mean=0.0, sigma=0.1, clip=False)
    batches = Batches(numbered, [noise], batch=4, patch=8, seed=0)
    earlier = batches(3)
    later = batches(4)
    drawn = torch.rand(3, generator=later.generator)  # as an objective draws
    again = Batches(numbered, [noise], batch=4, patch=8, seed=0)(4)
    other = Batches(numbered, [noise], batch=4, patch=8, seed=1)(4)
    assert all(torch.equal(one, two) for one, two in zip(later[:3], again[:3], strict=True))
    assert torch.equal(drawn, torch.rand(3, generator=again.generator))
    assert not torch.equal(earlier.target, later.target)
    assert not torch.equal(other.target, later.target)


@pytest.mark.parametrize("batch", [1, 3, 16])
def test_each_noise_of_a_mixture_gets_its_share_of_the_crops(numbered: Pictures, batch: int) -> None:
    mixture: list[Noise] = [shift(mean) for mean in (0.25, 0.5, 0.75)]
    batches = Batches(numbered, mixture, batch=batch, patch=8, seed=0)
    added = torch.cat([(drawn.noisy - drawn.target).mean(dim=(1, 2, 3)) for drawn in (batches(step) for step in range(12))])
    counts = [int((added - noise.mean).abs().lt(0.01).sum()) for noise in mixture]
    assert counts == [4 * batch] * 3


def test_pictures_smaller_than_a_crop_are_refused_by_name(numbered: Pictures) -> None:
    with pytest.raises(ValueError, match=r"train\.patch: 17 px is larger than training pictures b \(16x16\) \(px\); use a smaller patch"):
        Batches(numbered, [NONE], batch=4, patch=17, seed=0)


def test_no_training_picture_is_refused_with_the_way_out(numbered: Pictures) -> None:
    with pytest.raises(ValueError, match=r"ingest\.split"):
        Batches(replace(numbered, images=[]), [NONE], batch=4, patch=8, seed=0)


def test_val_takes_every_picture_once_before_one_comes_with_a_second_noise(numbered: Pictures) -> None:
    pairs = validation(numbered, [shift(0.25), shift(0.5)], seed=0, limit=5)
    sizes = [tuple(noisy.shape[-2:]) for noisy, _ in pairs]
    added = [round(float((noisy - target).mean()), 2) for noisy, target in pairs]
    assert sizes == [(20, 31), (16, 16), (40, 17), (20, 31), (16, 16)]
    assert added == [0.25, 0.5, 0.25, 0.5, 0.25]


def test_val_noise_of_a_picture_does_not_depend_on_the_other_pictures(numbered: Pictures) -> None:
    noise = Gaussian(kind="gaussian", mean=0.0, sigma=0.1, clip=True)
    alone = replace(numbered, images=["c"], offset=numbered.offset[2:], height=numbered.height[2:], width=numbered.width[2:])
    assert torch.equal(validation(numbered, [noise], 0, 3)[2][0], validation(alone, [noise], 0, 3)[0][0])


def test_without_val_pictures_the_way_out_is_named(numbered: Pictures) -> None:
    with pytest.raises(ValueError, match="no val picture"):
        validation(replace(numbered, images=[]), [NONE], 0, 16)
