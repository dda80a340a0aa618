import pytest
import torch

from xraydenoise.models.dncnn import Config as DnCNN
from xraydenoise.noise.additive_poisson import Config as AdditivePoisson
from xraydenoise.noise.gaussian import Config as Gaussian
from xraydenoise.noise.jpeg import Config as Jpeg
from xraydenoise.noise.masking import Config as Masking
from xraydenoise.noise.salt_and_pepper import Config as SaltAndPepper
from xraydenoise.noise.system_a import Config as SystemA
from xraydenoise.training.objectives import neighbor2neighbor
from xraydenoise.training.objectives.neighbor2neighbor import NEIGHBOURS, neighbours

OBJECTIVE = neighbor2neighbor.Config(kind="neighbor2neighbor", weight=2.0)
NETWORK = DnCNN(kind="dncnn", channels=4, depth=3, unshuffle=1, batch_norm=True)
WHITE = Gaussian(kind="gaussian", mean=0.0, sigma=0.1, clip=False)


def test_two_adjacent_different_pixels_of_each_cell_are_picked() -> None:
    height, width = 6, 8
    pictures = torch.arange(3 * height * width).view(3, 1, height, width).float()
    drawn = torch.randint(len(NEIGHBOURS), (3, height // 2, width // 2), generator=torch.Generator().manual_seed(0))
    one, other = neighbours(pictures, NEIGHBOURS[drawn].movedim(-1, 1))
    assert one.shape == other.shape == (3, 1, height // 2, width // 2)
    picture, across = torch.arange(3).view(3, 1, 1, 1), torch.arange(width // 2)
    places = []
    for picked in (one, other):
        inside = picked.long() - picture * height * width
        row, column = inside // width, inside % width
        assert torch.equal(row // 2, torch.arange(height // 2).view(1, 1, -1, 1).expand_as(row))
        assert torch.equal(column // 2, across.expand_as(column))
        places.append((row, column))
    distance = sum((first - second).abs() for first, second in zip(*places, strict=True))
    assert (distance == 1).all()


def test_every_ordered_pair_of_neighbours_in_a_cell_may_be_drawn() -> None:
    places = [(0, 0), (0, 1), (1, 0), (1, 1)]
    pairs = {
        (one, other)
        for one, first in enumerate(places)
        for other, second in enumerate(places)
        if abs(first[0] - second[0]) + abs(first[1] - second[1]) == 1
    }
    assert sorted(map(tuple, NEIGHBOURS.tolist())) == sorted(pairs)


@pytest.mark.parametrize("done", [0.0, 0.5, 1.0])
def test_the_second_term_grows_to_its_weight(done, scaled, drawn) -> None:
    """Of a gray picture g, h(y) = a y: the first term is (a g - g)^2, and the second the same, as the neighbours are alike."""
    batch = drawn()._replace(noisy=torch.full((2, 1, 16, 16), 0.5))
    assert OBJECTIVE.loss(scaled(0.8), batch, done, None).item() == pytest.approx(0.1**2 * (1 + 2 * done))


def test_the_second_term_takes_out_that_neighbours_differ_in_the_clean_picture(scaled, drawn) -> None:
    """A network that changes nothing errs by how neighbours differ, which the second term knows of and does not count."""
    losses = [OBJECTIVE.loss(scaled(1.0), drawn(), done, None).item() for done in (0.0, 1.0)]
    assert losses[0] > 0.05  # neighbours of uniform noise: variance 1/12 each
    assert losses[0] == pytest.approx(losses[1])


def test_the_network_sees_half_the_size_with_a_gradient_and_the_whole_without(drawn) -> None:
    seen = []

    def network(noisy: torch.Tensor) -> torch.Tensor:
        seen.append((tuple(noisy.shape), torch.is_grad_enabled()))
        return noisy

    OBJECTIVE.loss(network, drawn(16), 0.5, None)
    assert sorted(seen) == [((2, 1, 8, 8), True), ((2, 1, 16, 16), False)]


@pytest.mark.parametrize(("height", "width"), [(15, 17), (16, 17), (15, 16)])
def test_of_an_odd_size_the_last_row_and_column_are_left_out(height, width, scaled, drawn) -> None:
    batch = drawn(17)
    odd, even = batch.noisy[..., :height, :width], batch.noisy[..., : height // 2 * 2, : width // 2 * 2]
    found, expected = (OBJECTIVE.loss(scaled(0.8), drawn(17)._replace(noisy=noisy), 0.5, None) for noisy in (odd, even))
    assert found == expected


def test_the_target_is_not_looked_at(scaled, drawn) -> None:
    batch = drawn()
    blind = drawn()._replace(target=torch.full_like(batch.target, torch.nan))
    assert OBJECTIVE.loss(scaled(0.8), blind, 0.5, None) == OBJECTIVE.loss(scaled(0.8), batch, 0.5, None)


@pytest.mark.parametrize(
    "noise",
    [
        Jpeg(kind="jpeg", quality=10),
        SystemA(kind="system_a", peak=256.0, blur=0.5, gaussian=0.5, sigma=0.1),
        SaltAndPepper(kind="salt_and_pepper", density=0.1, salt=0.5),
        AdditivePoisson(kind="additive_poisson", factor=0.2, rate=5.0, clip=False),
        Masking(kind="masking", share=0.1),
        Gaussian(kind="gaussian", mean=0.1, sigma=0.1, clip=False),
    ],
    ids=lambda noise: noise.kind,
)
def test_noise_that_neighbours_cannot_average_away_is_refused_by_name(noise) -> None:
    OBJECTIVE.check(NETWORK, [WHITE])
    with pytest.raises(ValueError, match=f"noise of mean 0, independent from pixel to pixel; found .*{noise.kind}"):
        OBJECTIVE.check(NETWORK, [WHITE, noise])
