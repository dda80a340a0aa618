import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from xraydenoise import weights
from xraydenoise.models import tiles


@given(length=st.integers(1, 6000), steps=st.integers(1, 30))
def test_the_weights_of_tiles_add_up_to_1_and_no_tile_is_too_long_or_off_the_grid(length: int, steps: int) -> None:
    side = tiles.OVERLAP + steps * tiles.GRID
    total = np.zeros(length)
    for place, weight in tiles.places(length, side):
        assert place.stop - place.start <= side
        assert place.start % tiles.GRID == 0
        total[place] += weight
    np.testing.assert_allclose(total, 1, atol=1e-6)


def test_a_large_picture_takes_as_few_tiles_as_there_can_be() -> None:
    assert [(place.start, place.stop) for place, _ in tiles.places(3000, 1536)] == [(0, 1216), (960, 2176), (1920, 3000)]


def test_tiles_give_what_the_whole_picture_would_to_a_thousandth() -> None:
    network = weights.load("best", torch.device("cpu"))
    sides = []

    @torch.inference_mode()
    def run(picture: np.ndarray) -> np.ndarray:
        sides.append(max(picture.shape))
        return network(torch.from_numpy(np.ascontiguousarray(picture))[None, None])[0, 0].numpy()

    random = np.random.default_rng(0)
    down, across = np.mgrid[:300, :700] / 40
    noisy = (0.5 + 0.3 * np.sin(down) * np.cos(across * down / 4) + random.normal(0, 0.2, down.shape)).clip(0, 1).astype(np.float32)
    whole = run(noisy)
    cut = tiles.tiled(run, noisy, side=tiles.OVERLAP + 4 * tiles.GRID)
    assert sides == [700, 512, 444]
    assert np.abs(whole - noisy).max() > 0.5
    np.testing.assert_allclose(cut, whole, rtol=0, atol=1e-3)
