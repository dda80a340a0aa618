import copy
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from safetensors.torch import save_file
from torch import Tensor, nn

from xraydenoise.training import classifier
from xraydenoise.training.batches import Batches, Pictures
from xraydenoise.training.classifier import Classifier, ClassifierConfig
from xraydenoise.training.objectives import UNKNOWN, Batch

CPU = torch.device("cpu")
CONFIG = ClassifierConfig(channels=4, steps=80, learning_rate=0.01)
EQUAL = torch.ones(2)


@pytest.fixture
def striped(pictures_of: Callable[..., Pictures]) -> Callable[..., Pictures]:
    """Pictures of 24x24 px, one a label: class 0 is smooth, class 1 has stripes; both are as bright."""

    def striped(labels: list[int], seed: int = 0) -> Pictures:
        rng = np.random.default_rng(seed)
        stripes = np.indices((24, 24)).sum(axis=0) % 2 - 0.5
        drawn = [0.5 + (0.4 * stripes if abs(label) == 1 else 0) + 0.05 * rng.standard_normal((24, 24)) for label in labels]
        store = torch.from_numpy(np.rint(np.stack(drawn) * 65535).astype(np.uint16).view(np.int16).ravel())
        return pictures_of([str(number) for number in range(len(labels))], [(24, 24)] * len(labels), store, labels)

    return striped


@pytest.fixture
def fresh() -> Classifier:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Classifier(CONFIG.channels, classes=2)


class Brightness(nn.Module):
    """Tells bright pictures, class 1, from dark ones, class 0."""

    def forward(self, pictures: Tensor) -> Tensor:
        mean = pictures.mean(dim=(1, 2, 3))
        return torch.stack([0.5 - mean, mean - 0.5], dim=1)


@pytest.fixture
def shades(pictures_of: Callable[..., Pictures]) -> Callable[..., Pictures]:
    """Flat pictures of 8x8 px."""

    def shades(values: list[float], labels: list[int]) -> Pictures:
        store = torch.from_numpy(np.repeat(np.rint(np.array(values) * 65535), 64).astype(np.uint16).view(np.int16))
        return pictures_of([str(value) for value in values], [(8, 8)] * len(values), store, labels)

    return shades


def test_it_learns_two_kinds_of_pictures_and_tells_them_in_pictures_it_has_not_seen(fresh, striped) -> None:
    unseen = striped([0, 1, 0, 1, 0, 1], seed=1)
    losses = list(classifier.fit(fresh, Batches(striped([0, 0, 1, 1]), [], batch=8, patch=16, seed=0), EQUAL, CONFIG))
    assert len(losses) == CONFIG.steps
    assert losses[-1] < 0.3 < losses[0]
    assert classifier.accuracy(fresh, unseen) == 1


def test_it_learns_from_clean_pictures_alone(fresh, striped) -> None:
    batches = Batches(striped([0, 1]), [], batch=4, patch=16, seed=0)

    def blind(step: int) -> Batch:
        return batches(step)._replace(noisy=torch.full((4, 1, 16, 16), torch.nan))

    assert all(loss.isfinite() for loss in classifier.fit(fresh, blind, EQUAL, CONFIG.model_copy(update={"steps": 3})))


def test_crops_without_a_label_are_skipped_and_classes_are_weighed(fresh, striped) -> None:
    labels, weights = torch.tensor([0, UNKNOWN, 1, UNKNOWN]), torch.tensor([0.5, 2.0])
    batch = Batches(striped([0, 1]), [], batch=4, patch=16, seed=0)(0)._replace(label=labels)
    chances = copy.deepcopy(fresh).train()(batch.target).log_softmax(dim=1)
    (loss,) = classifier.fit(fresh, lambda _: batch, weights, CONFIG.model_copy(update={"steps": 1}))
    torch.testing.assert_close(loss, -(0.5 * chances[0, 0] + 2.0 * chances[2, 1]).detach() / 2)


def test_a_batch_without_any_label_teaches_nothing(fresh, striped) -> None:
    batch = Batches(striped([UNKNOWN, UNKNOWN]), [], batch=4, patch=16, seed=0)(0)
    steps = classifier.fit(fresh, lambda _: batch, EQUAL, CONFIG)
    assert next(steps) == 0
    assert all(parameter.isfinite().all() for parameter in fresh.parameters())


def test_accuracy_is_the_mean_over_classes_of_whole_pictures_with_a_label(shades) -> None:
    pictures = shades([0.1, 0.2, 0.3, 0.4, 0.9], [0, 0, 0, 1, UNKNOWN])  # three right, the only one of class 1 wrong
    assert classifier.accuracy(Brightness(), pictures) == 0.5
    assert classifier.accuracy(Brightness(), replace(pictures, labels=torch.tensor([0, 0, 0, UNKNOWN, 1]))) == 1


def test_without_a_label_there_is_no_accuracy(shades) -> None:
    assert classifier.accuracy(Brightness(), shades([0.1, 0.9], [UNKNOWN, UNKNOWN])) is None


def test_labels_are_numbered_by_class_and_those_that_are_none_are_unknown() -> None:
    assert classifier.numbered(["b", None, "a", "c"], ["a", "b"]) == [1, UNKNOWN, 0, UNKNOWN]


@pytest.mark.parametrize(("height", "width"), [(16, 16), (17, 33), (64, 40)])
def test_it_takes_pictures_of_any_size_and_tells_what_its_four_blocks_see(height, width, fresh) -> None:
    pictures = torch.rand(2, 1, height, width)
    assert fresh.eval()(pictures).shape == (2, 2)
    shapes = [(2, 4 * 2**place, -(-height // 2 ** (place + 1)), -(-width // 2 ** (place + 1))) for place in range(4)]
    assert [tuple(block.shape) for block in fresh.features(pictures)] == shapes


def store(network: Classifier, folder: Path) -> None:
    save_file(network.state_dict(), folder / "weights.safetensors")
    (folder / "config.json").write_text(json.dumps({"classes": ["clear", "opacity"], "channels": CONFIG.channels}))


def test_it_loads_frozen_and_as_it_was_stored(fresh, tmp_path: Path) -> None:
    store(fresh, tmp_path)
    loaded, classes = classifier.load(tmp_path, CPU)
    assert classes == ["clear", "opacity"]
    assert not loaded.training
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    pictures = torch.rand(2, 1, 16, 16)
    torch.testing.assert_close(loaded(pictures), fresh.eval()(pictures))


def test_what_goes_through_a_frozen_one_still_hands_a_gradient_back(fresh, tmp_path: Path) -> None:
    store(fresh, tmp_path)
    loaded, _ = classifier.load(tmp_path, CPU)
    pictures = torch.rand(2, 1, 16, 16, requires_grad=True)
    F.cross_entropy(loaded(pictures), torch.tensor([0, 1])).backward()
    assert pictures.grad.any()


def test_of_a_dataset_without_labels_none_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"classes": [], "channels": 4, "reason": "none"}))
    assert classifier.load(tmp_path, CPU) == (None, [])
