import base64
import re
from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pandas as pd
import pytest

from xraydenoise.evaluation import page
from xraydenoise.evaluation.page import pictures

Layers = Callable[[int], dict[str, np.ndarray]]
Case = Callable[..., page.Case]


def test_the_same_content_gives_the_same_bytes(content: page.Content) -> None:
    assert page.html(content) == page.html(content)


def test_many_large_noisy_pictures_stay_below_the_limit_and_the_page_says_what_was_cut(content: page.Content, case: Case) -> None:
    rng = np.random.default_rng(0)
    large = [
        replace(
            case("best", image=f"image-{place}"), layers={name: rng.random((600, 700), np.float32) for name in ("noisy", "unet", "truth")}
        )
        for place in range(16)
    ]
    made = page.html(replace(content, cases=large))
    assert 0.8 * page.LIMIT < len(made.encode()) < page.LIMIT == 10_000_000
    assert re.search(r"Only the middle 3\d\d x 3\d\d px of larger ones is shown, as this file stays below 10 MB", made)
    assert all(f'"image": "image-{place}"' in made for place in range(16))


def test_what_does_not_fit_at_all_is_left_out_and_counted(content: page.Content, monkeypatch: pytest.MonkeyPatch) -> None:
    bare = len(page.html(replace(content, cases=[], worst_labels=[])))
    monkeypatch.setattr(page, "LIMIT", bare + 30_000)
    made = page.html(content)
    assert len(made.encode()) < bare + 30_000
    assert "1 of 3 cases are left out" in made
    monkeypatch.setattr(page, "LIMIT", bare - 10_000)
    with pytest.raises(ValueError, match="without a picture"):
        page.html(content)


def test_pictures_are_embedded_without_loss_and_the_same_one_once(content: page.Content, case: Case, layers: Layers) -> None:
    noisy = layers(0)["noisy"]
    side, (first, second) = pictures.fit([noisy, noisy.copy()], 1_000_000)
    assert (side, first) == (pictures.SIDE, second)
    stored = cv2.imdecode(np.frombuffer(base64.b64decode(first.split(",")[1]), np.uint8), cv2.IMREAD_GRAYSCALE)
    assert (stored == np.floor(noisy * 255 + 0.5)).all()
    assert page.html(replace(content, cases=[case("best")] * 2)).count(first) == 1


def test_long_lists_are_cut_and_counted(content: page.Content) -> None:
    many = pd.DataFrame({"source": "inbox", "file": [f"file-{n}" for n in range(10_000)], "reason": "empty", "detail": "x" * 1_000})
    made = page.html(replace(content, quarantine=many))
    assert "The first 200 of 10000 rows." in made
    assert len(made) < 1_000_000


def test_a_picture_that_is_not_finite_or_of_another_shape_is_refused(content: page.Content, layers: Layers) -> None:
    for wrong in (np.full_like(layers(0)["unet"], np.nan), np.zeros((4, 4), np.float32)):
        broken = replace(content.cases[0], layers={**layers(0), "unet": wrong})
        with pytest.raises(ValueError, match=r"case noise, gaussian_20, image-1: unet has the shape"):
            page.html(replace(content, cases=[broken]))
