from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from xraydenoise.noise import Noise, Part, evenly
from xraydenoise.noise.gaussian import Config as Gaussian
from xraydenoise.training.augment import Augment, Gamma
from xraydenoise.training.batches import Batches, Enhanced, Pictures, shared, validation
from xraydenoise.training.objectives import UNKNOWN


def shift(mean: float) -> Gaussian:
    """Noise that only adds `mean`, so that a crop tells which noise it got."""
    return Gaussian(kind="gaussian", mean=mean, sigma=0.0, clip=False)


NONE = evenly([shift(0.0)])


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
    batches = Batches(numbered, NONE, batch=64, patch=8, seed=0)
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
    batches = Batches(numbered, NONE, batch=64, patch=15, seed=0)
    seen = np.concatenate([places(batches(step).target).ravel() for step in range(20)])
    assert set(seen) == set(range(numbered.targets.numel()))


@pytest.mark.parametrize(("position", "added"), [("before", 0.2), ("after", 0.1), ("both", 0.3)])
def test_on_track_enhanced_noise_is_amplified_where_it_joins_before_the_enhancement(
    numbered: Pictures, position: str, added: float
) -> None:
    batch = Batches(enhanced(numbered, position), evenly([shift(0.1)]), batch=16, patch=8, seed=0)(0)
    torch.testing.assert_close(batch.noisy, torch.full_like(batch.noisy, 15000 / 65535 + added), atol=1e-4, rtol=0)
    assert torch.equal(batch.target, Batches(numbered, NONE, batch=16, patch=8, seed=0)(0).target)


def test_on_track_enhanced_the_plain_crop_is_of_the_same_place_as_the_target(numbered: Pictures) -> None:
    """A noise that multiplies, on plain pictures whose pixels are those of the targets, shows which pixels it was given."""
    paired = enhanced(numbered, "before")
    order = torch.cat([numbered.whole(number).flatten() for number in (2, 1, 0)])
    paired = replace(paired, enhanced=replace(paired.enhanced, plain=numbered.targets[order], linear=torch.zeros(len(order))))
    batch = Batches(paired, evenly([Doubled(kind="doubled", clip=False)]), batch=16, patch=8, seed=0)(0)
    torch.testing.assert_close(batch.noisy, 2 * batch.target, atol=1e-5, rtol=0)


def test_each_crop_has_the_label_of_its_picture(numbered: Pictures) -> None:
    batch = Batches(numbered, NONE, batch=64, patch=8, seed=0)(0)
    found = np.searchsorted(numbered.offset.numpy(), places(batch.target).min(axis=(1, 2)), side="right") - 1
    assert batch.label.tolist() == numbered.labels[found].tolist()
    assert set(batch.label.tolist()) == {7, UNKNOWN, 9}


def test_an_empty_mixture_adds_no_noise(numbered: Pictures) -> None:
    batch = Batches(numbered, [], batch=4, patch=8, seed=0)(0)
    assert torch.equal(batch.noisy, batch.target)


def test_a_batch_depends_on_seed_and_step_alone(numbered: Pictures) -> None:
    noise = Gaussian(kind="gaussian", mean=0.0, sigma=0.1, clip=False)
    batches = Batches(numbered, evenly([noise]), batch=4, patch=8, seed=0)
    earlier = batches(3)
    later = batches(4)
    drawn = torch.rand(3, generator=later.generator)  # as an objective draws
    again = Batches(numbered, evenly([noise]), batch=4, patch=8, seed=0)(4)
    other = Batches(numbered, evenly([noise]), batch=4, patch=8, seed=1)(4)
    assert all(torch.equal(one, two) for one, two in zip(later[:3], again[:3], strict=True))
    assert torch.equal(drawn, torch.rand(3, generator=again.generator))
    assert not torch.equal(earlier.target, later.target)
    assert not torch.equal(other.target, later.target)


@pytest.mark.parametrize("batch", [1, 3, 16])
def test_each_noise_of_a_mixture_gets_its_share_of_the_crops(numbered: Pictures, batch: int) -> None:
    shares = {0.25: 5.0, 0.5: 2.5, 0.75: 2.0, 1.0: 0.5}  # of 10, by the mean that each noise adds
    batches = Batches(numbered, [Part(share=share, noise=shift(mean)) for mean, share in shares.items()], batch=batch, patch=8, seed=0)
    added = torch.stack([(drawn.noisy - drawn.target).mean(dim=(1, 2, 3)) for drawn in (batches(step) for step in range(400))])
    for mean, share in shares.items():
        counts = (added - mean).abs().lt(0.01).sum(dim=1)  # crops of each step
        assert int(counts.sum()) == pytest.approx(share / 10 * batch * 400, abs=4)
        assert (counts - share / 10 * batch).abs().max() < 1


def test_which_noise_has_how_many_crops_depends_on_the_step_alone() -> None:
    mixture = [Part(share=share, noise=shift(share)) for share in (0.7, 0.2, 0.1)]
    assert shared(mixture, 5, 17) == shared(mixture, 5, 17)
    assert len({str(shared(mixture, 5, step)) for step in range(20)}) > 1


@pytest.fixture
def augmented(numbered: Pictures) -> Callable[..., Batches]:
    """Crops of 8 px without noise, augmented as the keywords say; all pictures have the 16 px a side that half the resolution needs."""

    def augmented(share: float = 0.0, inverted: float = 0.0, half: float = 0.0, batch: int = 64) -> Batches:
        augment = Augment(gamma=Gamma(share=share, range=0.6), inverted=inverted, half=half)
        return Batches(numbered, NONE, batch=batch, patch=8, seed=0, augment=augment)

    return augmented


def test_a_share_of_the_crops_is_inverted(numbered: Pictures, augmented: Callable[..., Batches]) -> None:
    plain, changed = Batches(numbered, NONE, batch=64, patch=8, seed=0), augmented(inverted=0.25)
    kept = 0
    for step in range(20):
        before, after = plain(step).target, changed(step).target
        same = (after - before).abs().amax(dim=(1, 2, 3)) < 1e-6
        torch.testing.assert_close(after[~same], 1 - before[~same])
        kept += int(same.sum())
    assert kept / (64 * 20) == pytest.approx(0.75, abs=0.05)


def test_a_share_of_the_crops_has_a_gamma_within_its_range(pictures: Pictures) -> None:
    augment = Augment(gamma=Gamma(share=0.25, range=0.6), inverted=0.0, half=0.0)
    plain, changed = (Batches(pictures, NONE, 64, 8, seed=0, augment=given) for given in (None, augment))
    before, after = (torch.cat([batches(step).target for step in range(20)]).flatten(1) for batches in (plain, changed))
    exponents = after.log() / before.log()  # (crops, pixels): the same for all pixels of a crop
    torch.testing.assert_close(exponents, exponents.mean(dim=1, keepdim=True).expand_as(exponents), atol=1e-3, rtol=0)
    powers = exponents.mean(dim=1).log()
    changed_share = (powers.abs() > 1e-4).float().mean()
    assert float(changed_share) == pytest.approx(0.25, abs=0.04)
    assert 0.5 < float(powers.abs().max()) < 0.601
    assert float(powers.mean()) == pytest.approx(0, abs=0.03)


def test_a_share_of_the_batches_is_of_half_the_resolution(numbered: Pictures, augmented: Callable[..., Batches]) -> None:
    batches, flat = augmented(half=0.12), numbered.targets.float() / 65535
    halves = 0
    for step in range(200):
        crops = batches(step).target
        assert crops.shape == (64, 1, 8, 8)
        apart = np.abs(places(crops)[:, 0, 1] - places(crops)[:, 0, 0])
        halves += bool(apart.min() > 1 and 2 in apart)  # a neighbour in the row is two pixels of the picture away
        assert crops.min() >= flat.min()
        assert crops.max() <= flat.max()
    assert halves / 200 == pytest.approx(0.12, abs=0.06)


def test_a_crop_of_half_the_resolution_is_the_mean_of_each_2x2_px_of_one_twice_as_large(
    numbered: Pictures, augmented: Callable[..., Batches]
) -> None:
    halved, whole = augmented(half=1.0)(0).target, Batches(numbered, NONE, batch=64, patch=16, seed=0)(0).target
    torch.testing.assert_close(halved, whole.unfold(2, 2, 2).unfold(3, 2, 2).mean(dim=(-2, -1)))


def test_crops_of_half_the_resolution_come_from_pictures_that_are_large_enough_alone(numbered: Pictures) -> None:
    augment = Augment(gamma=Gamma(share=0.0, range=0.0), inverted=0.0, half=1.0)
    large = Batches(numbered, NONE, batch=64, patch=9, seed=0, augment=augment)(0)  # 18 px are more than b and c have
    assert set(large.label.tolist()) == {7}
    none = Batches(numbered, NONE, batch=64, patch=11, seed=0, augment=augment)(0)  # 22 px: none is
    assert torch.equal(none.target, Batches(numbered, NONE, batch=64, patch=11, seed=0)(0).target)


def test_noise_is_added_to_the_augmented_crop_and_the_same_step_gives_the_same_one(augmented: Callable[..., Batches]) -> None:
    batches = augmented(share=0.5, inverted=0.5, half=0.5, batch=8)
    for step in range(6):
        batch = batches(step)
        torch.testing.assert_close(batch.noisy, batch.target)
        again = augmented(share=0.5, inverted=0.5, half=0.5, batch=8)(step)
        assert torch.equal(batch.target, again.target)


def test_a_picture_narrower_than_a_crop_is_continued_by_reflection(numbered: Pictures) -> None:
    """Crops of 24 px of 20x31, 16x16 and 40x17 px: NumPy's reflection of the whole picture holds each of them, in some symmetry."""
    batches = Batches(numbered, NONE, batch=64, patch=24, seed=0)
    wide = [
        np.pad(whole, [(0, max(0, 24 - side)) for side in whole.shape], "reflect")
        for whole in (numbered.whole(number)[0].numpy() for number in range(3))
    ]
    seen = set()
    for step in range(4):
        for crop in places(batches(step).target):
            picture = int(np.searchsorted(numbered.offset.numpy(), crop.min(), side="right")) - 1
            squares = np.lib.stride_tricks.sliding_window_view(wide[picture], (24, 24)).reshape(-1, 24, 24)
            turned = [np.rot90(side, turn) for side in (crop, crop.T) for turn in range(4)]
            assert any((squares == one).all(axis=(1, 2)).any() for one in turned)
            seen.add(picture)
    assert seen == {0, 1, 2}


def test_a_reflection_goes_on_as_often_as_it_takes(pictures_of: Callable[..., Pictures]) -> None:
    narrow = pictures_of(["a"], [(1, 3)], torch.tensor([0, 1, 2], dtype=torch.int16), [UNKNOWN])
    lines = {tuple(line) for crop in places(Batches(narrow, NONE, batch=16, patch=7, seed=0)(0).target) for line in (*crop, *crop.T)}
    assert {(0, 1, 2, 1, 0, 1, 2), (2, 1, 0, 1, 2, 1, 0)} <= lines


def test_no_training_picture_is_refused_with_the_way_out(numbered: Pictures) -> None:
    with pytest.raises(ValueError, match=r"ingest\.split"):
        Batches(replace(numbered, images=[]), NONE, batch=4, patch=8, seed=0)


def test_val_takes_every_picture_once_before_one_comes_with_a_second_noise(numbered: Pictures) -> None:
    pairs = validation(numbered, evenly([shift(0.25), shift(0.5)]), seed=0, limit=5)
    sizes = [tuple(noisy.shape[-2:]) for noisy, _ in pairs]
    added = [round(float((noisy - target).mean()), 2) for noisy, target in pairs]
    assert sizes == [(20, 31), (16, 16), (40, 17), (20, 31), (16, 16)]
    assert added == [0.25, 0.5, 0.25, 0.5, 0.25]


def test_val_noise_of_a_picture_does_not_depend_on_the_other_pictures(numbered: Pictures) -> None:
    noise = Gaussian(kind="gaussian", mean=0.0, sigma=0.1, clip=True)
    alone = replace(numbered, images=["c"], offset=numbered.offset[2:], height=numbered.height[2:], width=numbered.width[2:])
    assert torch.equal(validation(numbered, evenly([noise]), 0, 3)[2][0], validation(alone, evenly([noise]), 0, 3)[0][0])


def test_without_val_pictures_the_way_out_is_named(numbered: Pictures) -> None:
    with pytest.raises(ValueError, match="no val picture"):
        validation(replace(numbered, images=[]), NONE, 0, 16)
