from pathlib import Path

import numpy as np
import pytest

from xraydenoise import contracts
from xraydenoise.data.decode import decode
from xraydenoise.data.sources import phantom


@pytest.fixture
def config() -> phantom.Config:
    return phantom.Config(kind="phantom", path=Path("a"), patients=3, images_per_patient=2, size=64, seed=5)


def test_every_patient_gets_his_pictures_at_full_depth(config: phantom.Config, tmp_path: Path) -> None:
    files = contracts.Downloads.validate(config.fetch(tmp_path))
    assert list(files["patient"]) == ["p0000", "p0000", "p0001", "p0001", "p0002", "p0002"]
    for path in files["path"]:
        picture = decode(tmp_path / path, 1, voi=False)
        assert (picture.bits, picture.pixels.shape) == (16, (64, 64))


def test_the_same_seed_gives_the_same_files_and_another_seed_others(config: phantom.Config, tmp_path: Path) -> None:
    for folder, seed in (("a", 5), ("b", 5), ("c", 6)):
        config.model_copy(update={"seed": seed}).fetch(tmp_path / folder)
    name = "files/p0001_001.png"
    first, second, other = ((tmp_path / folder / name).read_bytes() for folder in "abc")
    assert first == second != other


def test_every_second_patient_has_an_opacity_and_all_his_pictures_say_so(config: phantom.Config, tmp_path: Path) -> None:
    files = config.fetch(tmp_path)
    assert list(files["label"]) == ["clear", "clear", "opacity", "opacity", "clear", "clear"]


def test_an_opacity_is_brighter_lung_on_one_side_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    opaque = phantom.draw(128, 5, 1, 0)
    monkeypatch.setattr(phantom, "opaque", lambda _: False)
    added = opaque - phantom.draw(128, 5, 1, 0)
    assert added.min() >= 0
    assert added.max() > 0.05
    assert np.abs(added[:, :64]).max() == 0
    assert 0.01 < (added > 0).mean() < 0.05  # an ellipse of half axes 0.16 and 0.2: 2.5 % of the square


def test_pictures_of_one_patient_look_more_alike_than_those_of_two() -> None:
    one, again, other = (phantom.draw(64, 5, patient, image) for patient, image in ((0, 0), (0, 0), (1, 0)))
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - other).mean() > 0.005


def test_bone_is_bright_air_is_black_and_lungs_lie_between() -> None:
    pixels = phantom.draw(128, 5, 0, 0)
    assert pixels.min() == 0
    assert pixels.max() < 1
    spine, lung, corner = pixels[40:90, 62:67].mean(), pixels[50:70, 36:44].mean(), pixels[:4, :4].mean()
    assert spine > lung + 0.2 > corner + 0.2


def test_there_is_no_noise_between_neighbours() -> None:
    coarse, fine = phantom.draw(128, 5, 0, 0), phantom.draw(512, 5, 0, 0)
    means = fine.reshape(128, 4, 128, 4).mean(axis=(1, 3))
    assert np.abs(coarse - means).mean() < 0.003  # the same scene, sampled four times as finely


def test_thickness_is_that_of_the_solid() -> None:
    axis = np.linspace(-1, 1, 1001)
    x, y = axis[None, :], axis[:, None]
    cell = (axis[1] - axis[0]) ** 2
    assert phantom.ellipsoid(x, y, 0, 0, 0.5, 0.4, 0.3).sum() * cell == pytest.approx(4 / 3 * np.pi * 0.5 * 0.4 * 0.3, rel=1e-3)
    assert phantom.tube(np.abs(axis), 0.5, hollow=0.6).sum() * (axis[1] - axis[0]) == pytest.approx(np.pi * (0.25 - 0.09), rel=1e-3)
