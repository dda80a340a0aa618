import json
import re
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from markdown_it import MarkdownIt
from skimage.restoration import estimate_sigma

from xraydenoise.data import card


@pytest.fixture
def pixels() -> np.ndarray:
    """Two flat pictures of 64x64 px with noise of sigma .02 and .05."""
    rng = np.random.default_rng(1)
    return np.concatenate([rng.normal(0.5, sigma, 64 * 64) * 65535 for sigma in (0.02, 0.05)]).astype(np.uint16)


@pytest.fixture
def described(pixels: np.ndarray) -> dict:
    shared = {"source": "inbox", "licence": "CC0", "native_height": 64, "height": 64, "width": 64, "burned_in": False, "label": None}
    images = pd.DataFrame(
        [
            shared
            | {
                "image": "i1",
                "patient": "a",
                "split": "train",
                "bits": 8,
                "native_width": 64,
                "spacing": 0.1,
                "view": "chest PA",
                "offset": 0,
            },
            shared
            | {
                "image": "i2",
                "patient": "b",
                "split": "test",
                "bits": 12,
                "native_width": 80,
                "spacing": None,
                "view": None,
                "offset": 4096,
            },
        ]
    ).assign(burned_in=[False, True])
    quarantine = pd.DataFrame({"source": ["inbox"], "file": ["x"], "reason": ["empty"], "detail": ["0 bytes"]})
    origins = pd.DataFrame(
        {"source": ["inbox"] * 3 + ["none"], "kind": "folder", "origin": "folder inbox", "licence": ["CC0", "CC0", "CC BY", "MIT"]}
    )
    return card.describe(images, quarantine, origins, pixels)


def test_a_card_counts_what_came_in_and_what_was_refused(described: dict) -> None:
    inbox = described["datasets"]["inbox"]
    assert (described["pictures"], described["patients"], inbox["files"], inbox["pictures"]) == (2, 2, 3, 2)
    assert inbox["splits"] == {"train": 1, "val": 0, "test": 1}
    assert inbox["bits"] == {"12": 1, "8": 1}
    assert inbox["views"] == {"chest PA": 1, "not stated": 1}
    assert (inbox["native_width"], inbox["spacing"], inbox["burned_in"]) == ([64, 80], [0.1, 0.1], 1)
    assert inbox["quarantine"] == {"empty": 1}
    assert inbox["licences"] == ["CC BY", "CC0"]
    assert json.loads(json.dumps(described)) == described


def test_the_noise_level_is_that_of_the_pictures(described: dict) -> None:
    noise = described["datasets"]["inbox"]["noise"]
    assert noise["largest"] == pytest.approx(0.05, rel=0.1)
    assert noise["median"] == pytest.approx(0.035, rel=0.1)


@pytest.mark.parametrize("border", [0.0, 0.3, 1.0])
def test_a_constant_border_of_any_brightness_leaves_the_noise_level_as_it_is(border: float) -> None:
    noisy = np.random.default_rng(0).normal(0.5, 0.02, (256, 256))
    noisy[:, 100:] = border  # 60 % of the picture
    stored = (np.rint(noisy * 65535) / 65535).astype(np.float32)
    assert card.noise_level(stored) == pytest.approx(0.02, rel=0.05)


def test_the_noise_level_is_that_of_scikit_image_where_nothing_is_constant() -> None:
    noisy = np.random.default_rng(0).normal(0.5, 0.02, (200, 133)).astype(np.float32)
    assert card.noise_level(noisy) == pytest.approx(float(estimate_sigma(noisy)), rel=1e-3)


def test_a_picture_in_which_nothing_varies_has_no_noise() -> None:
    assert card.noise_level(np.full((64, 64), 0.7, np.float32)) == 0


def test_the_page_says_of_how_many_pictures_the_noise_was_measured(described: dict) -> None:
    assert "measured" not in card.readable(described)
    described["datasets"]["inbox"]["pictures"] = 500
    assert re.search(r"\| noise level \| median \S+, largest \S+ of 2 measured \|", card.readable(described))


def test_a_dataset_without_a_picture_is_there_and_empty(described: dict) -> None:
    empty = described["datasets"]["none"]
    assert (empty["files"], empty["pictures"], empty["noise"], empty["native_width"]) == (1, 0, {}, [])


def test_the_page_shows_every_dataset_and_what_is_not_stated(described: dict) -> None:
    page = card.readable(described)
    assert "## inbox" in page
    assert "## none" in page
    assert "| mm a pixel, as stored | 0.1 |" in page
    assert "| mm a pixel, as stored | not stated |" in page
    assert "| in quarantine | empty: 1 |" in page


def test_text_from_outside_is_no_markup_on_the_page(described):
    def counted(text: str) -> Counter[str]:
        entry = next(iter(described["datasets"].values()))
        told = {"kind": text, "origin": [text, text], "licences": [text], "views": {text: 1}, "labels": {text: 2}}
        page = card.readable(described | {"datasets": {text: entry | told | {"quarantine": {text: 1}}}})
        tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(page)
        found = [token.type for token in tokens] + [child.type for token in tokens for child in token.children or []]
        return Counter(kind for kind in found if kind != "text")

    hostile = "<script>x</script>\n\n# x\n| a | ![p](http://x.invalid/p.png) [l](http://x.invalid) *e* ~~s~~ `c` \\"
    assert counted(hostile) == counted("harmless")
