"""Pictures of compared runs: the same files of the same region under every method, logged once an outcome."""

from pathlib import Path

import cv2
import numpy as np

from xraydenoise.registry import images, mirror, store

NAMES = {"gaussian_10 0 noise.png", "gaussian_10 1 noise.png"}


def shown(opened: store.Store, project, place: int) -> dict[str, np.ndarray]:
    """What MLflow's page of compared runs shows of a method: the pictures at the top of its artifacts, by name."""
    run = mirror.of(opened, project.methods[place]).info.run_id
    files = [file.path for file in opened.client.list_artifacts(run)]
    return {file: cv2.imread(opened.client.download_artifacts(run, file), cv2.IMREAD_UNCHANGED) for file in files}


def test_every_method_shows_the_same_regions_under_the_same_names(project):
    with store.opened("x") as opened:
        assert "dncnn: 2 pictures" in project.mirror(opened, project.shown())
        learnt, classical = shown(opened, project, 0), shown(opened, project, 1)
    assert learnt.keys() == classical.keys() == NAMES
    small, large = (learnt[name] for name in sorted(NAMES))
    assert small.shape == (3 * (24 + images.LABEL), 2 * 32)
    assert large.shape == (3 * (256 + images.LABEL), 2 * 256)
    layers, row = project.shown()["dncnn"][1].layers, 256 + images.LABEL
    for name, down, right in (("noisy", 0, 0), ("median", 0, 1), ("denoised", 1, 0), ("truth", 1, 1), ("residual", 2, 0)):
        panel = large[down * row :, right * 256 :][images.LABEL : row, :256]
        np.testing.assert_array_equal(panel, np.rint(np.clip(layers[name][22:278, 12:268], 0, 1) * 255).astype(np.uint8))


def test_each_layer_stands_below_its_name_and_an_odd_one_beside_nothing():
    grays = {name: np.full((40, 60), level) for name, level in (("noisy", 0.2), ("denoised", 0.4), ("truth", 1.0))}
    found = images.sheet(grays)
    rows = 40 + images.LABEL
    assert found.shape == (2 * rows, 120)
    for place, level in enumerate((51, 102, 255)):
        panel = found[place // 2 * rows :, place % 2 * 60 :][:rows, :60]
        assert panel[: images.LABEL].max() > 100
        assert (panel[images.LABEL :] == level).all()
    assert not found[rows:, 60:].any()


def test_the_residual_is_middle_gray_where_there_is_none_and_black_and_white_at_its_ends():
    truth = np.full((1, 4), 0.5)
    residual = images.layers(truth, truth, truth + np.array([[-0.2, -0.1, 0, 0.1]]), truth)["residual"]
    np.testing.assert_allclose(residual, [[-0.5, 0, 0.5, 1]], atol=1e-12)


def test_pictures_of_another_evaluation_replace_the_first_ones(project):
    later = {title: pictures[1:] for title, pictures in project.shown(seed=1).items()}
    with store.opened("x") as opened:
        project.mirror(opened, project.shown())
        first = shown(opened, project, 0)
        project.mirror(opened, later)
        second = shown(opened, project, 0)
    assert set(second) == {"gaussian_10 1 noise.png"}
    assert not np.array_equal(first["gaussian_10 1 noise.png"], second["gaussian_10 1 noise.png"])


def test_pictures_are_written_once(project):
    with store.opened("x") as opened:
        project.mirror(opened, project.shown())
        written = {path: path.stat().st_mtime_ns for path in Path("mlruns/artifacts").rglob("*.png")}
        project.mirror(opened, project.shown())
    assert len(written) == 4
    assert {path: path.stat().st_mtime_ns for path in written} == written
