import math

import torch

from xraydenoise import models
from xraydenoise.models.eudncnn import Config, TrainableSobel

PUBLISHED = Config(kind="eudncnn", channels=32, depth=8)


def test_the_published_shape_has_its_parameters() -> None:
    assert models.parameters(models.initialised(PUBLISHED, 0)) == 151_326


def test_the_blur_adds_up_to_1_and_its_middle_tap_is_a_third_at_first() -> None:
    taps = TrainableSobel(4).blur()
    torch.testing.assert_close(taps.sum(), torch.tensor(1.0))
    torch.testing.assert_close(taps[1, 1], torch.tensor(1 / (1 + 4 * math.exp(-1) + 4 * math.exp(-2))))
    assert round(taps[1, 1].item(), 3) == 0.332


def test_each_tap_is_divided_by_its_number_of_the_grid() -> None:
    sobel = TrainableSobel(4)
    before = sobel.blur()
    with torch.no_grad():
        sobel.grid[1, 1] = 2.0
    after = sobel.blur()
    torch.testing.assert_close(after[1, 1] / after[0, 0], before[1, 1] / before[0, 0] / 2)


def test_maps_are_the_edges_of_the_blurred_picture_in_four_directions_by_turns() -> None:
    ramp = torch.arange(8.0).expand(1, 1, 8, 8)
    maps = TrainableSobel(6)(ramp)[0, :, 3, 3]  # far from the border, where the blur changes no ramp
    torch.testing.assert_close(maps, torch.tensor([8.0, 0.0, 6.0, 6.0, 8.0, 0.0]))


def test_a_bias_of_the_blur_shows_only_at_the_border_as_no_edge_sees_it_inside() -> None:
    sobel, picture = TrainableSobel(4), torch.rand(1, 1, 8, 8)
    before = sobel(picture)
    with torch.no_grad():
        sobel.blur_bias.fill_(1.0)
    changed = (sobel(picture) - before).abs() > 1e-4
    assert changed[0, 0, :, 0].any()
    assert not changed[..., 1:-1, 1:-1].any()
