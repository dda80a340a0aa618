import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from xraydenoise.models.patches import cut, patchwise, pyramid

CPU = torch.device("cpu")
SIZES = st.integers(8, 70)


def same(patches: Tensor) -> Tensor:
    return patches


@settings(max_examples=60, deadline=None)
@given(height=SIZES, width=SIZES, side=st.sampled_from([4, 8, 16, 32]), count=st.integers(1, 3))
def test_a_network_that_changes_nothing_gives_the_picture_back_at_any_size(height: int, width: int, side: int, count: int) -> None:
    pictures = torch.rand(count, 1, height, width, generator=torch.Generator().manual_seed(height * 100 + width))
    torch.testing.assert_close(patchwise(same, pictures, side), pictures)


@settings(max_examples=30, deadline=None)
@given(height=SIZES, width=SIZES)
def test_every_patch_that_a_network_sees_has_its_side_and_lies_in_the_picture(height: int, width: int) -> None:
    pictures = torch.arange(height * width).view(1, 1, height, width).float()
    seen = []
    patchwise(lambda patches: (seen.append(patches), patches)[1], pictures, 16)
    (patches,) = seen
    assert patches.shape[1:] == (1, 16, 16)
    assert set(patches.flatten().tolist()) == set(pictures.flatten().tolist())


def test_a_picture_that_is_one_patch_passes_once_and_as_it_is() -> None:
    pictures, seen = torch.rand(3, 1, 16, 16), []

    def network(patches: Tensor) -> Tensor:
        seen.append(patches)
        return patches * 2

    assert torch.equal(patchwise(network, pictures, 16), pictures * 2)
    (patches,) = seen
    assert torch.equal(patches, pictures)


def test_a_smaller_picture_is_continued_by_reflection_to_one_patch() -> None:
    picture, seen = torch.rand(1, 1, 10, 16), []
    clean = patchwise(lambda patches: (seen.append(patches), patches)[1], picture, 16)
    assert torch.equal(clean, picture)
    assert seen[0].shape == (1, 1, 16, 16)
    assert torch.equal(seen[0][0, 0, 10:], picture[0, 0, [8, 7, 6, 5, 4, 3]])


def test_pictures_of_one_batch_do_not_mix() -> None:
    pictures = torch.rand(3, 1, 20, 28)
    alone = [patchwise(torch.square, picture[None], 8) for picture in pictures]
    torch.testing.assert_close(patchwise(torch.square, pictures, 8), torch.cat(alone))


def test_where_patches_overlap_each_counts_most_in_its_middle_so_that_no_seam_shows() -> None:
    """A network that makes the first patch 0 and the second 1: the blend rises evenly from one to the other."""
    clean = patchwise(lambda patches: torch.arange(2.0).view(2, 1, 1, 1).expand_as(patches), torch.zeros(1, 1, 16, 24), 16)[0, 0]
    assert torch.equal(clean[:, :8], torch.zeros(16, 8))
    assert torch.equal(clean[:, 16:], torch.ones(16, 8))
    steps = clean[:, 8:16].diff(dim=1)
    torch.testing.assert_close(steps, torch.full_like(steps, 1 / 8))


@pytest.mark.parametrize("side", [2, 4, 8, 64])
def test_weights_are_positive_symmetric_and_largest_in_the_middle(side: int) -> None:
    weights = pyramid(side, CPU)
    assert weights.shape == (side, side)
    assert weights.min() > 0
    assert weights.max() == weights[side // 2, side // 2] <= 1
    for turned in (weights.T, weights.flip(0), weights.flip(1)):
        torch.testing.assert_close(turned, weights)


@settings(max_examples=30, deadline=None)
@given(height=SIZES, width=SIZES)
def test_cut_gives_the_patches_in_order_and_drops_the_rest(height: int, width: int) -> None:
    pictures = torch.rand(2, 1, height, width)
    places = [(top, left) for top in range(0, height - 7, 8) for left in range(0, width - 7, 8)]
    expected = [picture[:, top : top + 8, left : left + 8] for picture in pictures for top, left in places]
    assert torch.equal(cut(pictures, 8), torch.stack(expected))


def test_cut_continues_a_smaller_picture_by_reflection_as_patchwise_does() -> None:
    picture, seen = torch.rand(2, 1, 10, 16), []
    patchwise(lambda patches: (seen.append(patches), patches)[1], picture, 16)
    assert torch.equal(cut(picture, 16), seen[0])
