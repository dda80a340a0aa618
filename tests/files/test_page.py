import base64
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from xraydenoise.files import page
from xraydenoise.files.page import Page
from xraydenoise.files.shown import Shown

Visit = Callable[[Path], Any]
NASTY = '<img src=x onerror="window.hacked=1">.png'


def pair(seed: int = 0, high: int = 4095, inverted: bool = False, shape: tuple[int, int] = (48, 64)) -> tuple[Shown, Shown]:
    """Before, with every value up to `high`, and after, which is flatter."""
    values = np.random.default_rng(seed).permutation(np.linspace(0, high, shape[0] * shape[1]).astype(np.uint16)).reshape(shape)
    return Shown(values, None, inverted, 1), Shown(values // 2 + high // 4, None, inverted, 1)


def data(made: Page) -> Any:
    (found,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', made.html("told"), re.DOTALL)
    return json.loads(found)


def grays(uri: str) -> np.ndarray:
    """What viewer.js reads from a picture of more than 8 bits."""
    _, green, red = cv2.split(cv2.imdecode(np.frombuffer(base64.b64decode(uri.split(",")[1]), np.uint8), cv2.IMREAD_COLOR).astype(int))
    return np.asarray(red * 256 + green)


@pytest.mark.parametrize("inverted", [False, True])
def test_every_value_is_on_the_page_and_the_first_window_is_that_of_nearly_all(inverted: bool) -> None:
    made, (before, after) = Page(1), pair(inverted=inverted)
    made.add("a.dcm", before, after)
    embedded = data(made)
    (case,) = embedded["cases"]
    assert (case["full"], case["note"]) == (4095, "values 0 to 4095")
    for uri, picture in zip(embedded["pictures"], (before, after), strict=True):
        np.testing.assert_array_equal(grays(uri), 4095 - picture.values.astype(int) if inverted else picture.values)
    assert case["window"]["width"] == pytest.approx(0.99, abs=0.001)
    assert case["window"]["level"] == pytest.approx(0.5, abs=0.001)


def test_signed_and_real_values_keep_their_order_and_padding_is_black() -> None:
    made = Page(2)
    signed = np.linspace(-2000, 1000, 900).reshape(30, 30).astype(np.int16)
    padding = np.zeros((30, 30), bool)
    padding[:, :3] = True
    made.add("a", *[Shown(signed, padding, False, 1)] * 2)
    made.add("b", *[Shown(signed / 7.0, None, False, 3)] * 2)
    embedded = data(made)
    notes = [case["note"] for case in embedded["cases"]]
    assert notes[0] == f"values {signed[:, 3:].min()} to 1000"
    assert notes[1] == "first of 3, values -285.714 to 142.857 in 65536 grays"
    found = grays(embedded["pictures"][0])
    assert not found[padding].any()
    np.testing.assert_array_equal(found[~padding], signed[~padding].astype(int) - signed[~padding].min())
    assert (np.diff(grays(embedded["pictures"][2]).ravel()) > 0).all()


def test_a_picture_within_few_values_of_its_range_has_a_window_that_shows_them() -> None:
    values = np.random.default_rng(0).integers(7, 9, (60, 60), np.uint16)
    values[0, 0] = 65535
    made = Page(1)
    made.add("a", *[Shown(values, None, False, 1)] * 2)
    (case,) = data(made)["cases"]
    assert case["window"]["width"] == pytest.approx(1 / 65528)
    assert case["window"]["level"] == pytest.approx(0.5 / 65528)


def test_after_the_first_50_pictures_are_counted_and_not_shown() -> None:
    made = Page(53)
    for place in range(53):
        made.add(f"{place}.png", *pair(shape=(8, 8)))
    assert len(data(made)["cases"]) == 50
    assert "The first 50 of 53 files; 3 are left out." in made.html("told")


def test_of_a_picture_that_is_longer_than_webp_holds_the_middle_is_shown() -> None:
    made = Page(1)
    made.add("a", *pair(shape=(16, 17000)))
    assert data(made)["cases"][0]["width"] == 17000
    assert grays(data(made)["pictures"][0]).shape == (16, 16383)


def test_large_pictures_share_the_room_of_the_page_and_it_says_that_their_middle_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "AREA", 20_000)
    made = Page(2)
    before, after = pair(shape=(300, 200))
    made.add("a", before, after)
    assert "Of pictures of more than 0.01 megapixels or 16383 px a side the middle is shown" in made.html("told")
    embedded = data(made)
    shown = grays(embedded["pictures"][0])
    assert shown.shape == (100, 100)
    np.testing.assert_array_equal(shown, before.values[100:200, 50:150].astype(int) - before.values[100:200, 50:150].min())
    assert (embedded["cases"][0]["height"], embedded["cases"][0]["width"]) == (300, 200)
    small = Page(2)
    small.add("a", *pair(shape=(100, 100)))
    assert "the middle is shown" not in small.html("told")


def test_a_page_of_nothing_says_so_and_what_it_was_told() -> None:
    assert "No file was denoised." in Page(3).html("told")
    assert "weights &lt;best&gt;" in Page(3).html("weights <best>")


def canvas(browser: Any) -> np.ndarray:
    uri = browser.execute_script("return document.getElementById('canvas').toDataURL()")
    return cv2.imdecode(np.frombuffer(base64.b64decode(uri.split(",")[1]), np.uint8), cv2.IMREAD_COLOR)[..., 0]


def whole(browser: Any, side: str) -> np.ndarray:
    """One shown gray for each pixel (48, 64) of a side, over all of the stage."""
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    browser.find_element(By.ID, "divider").send_keys(Keys.END if side == "left" else Keys.HOME)
    shown = canvas(browser)
    scale = min(shown.shape[0] / 48, shown.shape[1] / 64)
    places = [
        np.floor(length / 2 + (np.arange(n) + 0.5 - n / 2) * scale).astype(int) for length, n in zip(shown.shape, (48, 64), strict=True)
    ]
    return shown[np.ix_(*places)].astype(int)


def windowed(fraction: np.ndarray, width: float, level: float) -> np.ndarray:
    return np.floor(255 * np.clip((fraction - level) / width + 0.5, 0, 1) + 0.5)


def test_the_browser_shows_12_bit_through_a_narrow_window_and_what_was_taken_away(visit: Visit, tmp_path: Path) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import Select, WebDriverWait

    made, (before, after) = Page(2), pair()
    made.add(NASTY, before, after)
    made.add("b.dcm", *pair(seed=1, high=900, inverted=True))
    (tmp_path / "page.html").write_bytes(made.html("told").encode())
    browser = visit(tmp_path / "page.html")
    case = data(made)["cases"][0]
    for side, picture in (("left", before), ("right", after)):
        np.testing.assert_array_equal(whole(browser, side), windowed(picture.values / 4095, **case["window"]))
    assert browser.find_element(By.ID, "about").text == f"{NASTY}, 64 x 48 px, values 0 to 4095"
    assert [browser.find_element(By.ID, name).is_displayed() for name in ("track", "condition", "case")] == [False, False, True]
    script = "const it = document.getElementById(arguments[0]); it.value = arguments[1]; it.dispatchEvent(new Event('input'))"
    browser.execute_script(script, "window", 0.02)
    narrow = whole(browser, "left")
    np.testing.assert_array_equal(narrow, windowed(before.values / 4095, 0.02, float(case["window"]["level"])))
    assert len(np.unique(narrow)) > 60, "of 256 grays over the whole range, 6 would be left"
    browser.find_element(By.ID, "residual").click()
    difference = (before.values.astype(float) - after.values) / 4095
    for side in ("left", "right"):
        np.testing.assert_array_equal(whole(browser, side), windowed(difference, 0.2 * case["window"]["width"], 0))
        assert browser.find_element(By.ID, f"{side}-name").text == "before \N{MINUS SIGN} after"
    browser.find_element(By.ID, "residual").click()
    Select(browser.find_element(By.ID, "case")).select_by_index(1)
    WebDriverWait(browser, 5).until(lambda driver: "b.dcm" in driver.find_element(By.ID, "about").text)
    other = 1 - pair(seed=1, high=900, inverted=True)[0].values / 900
    np.testing.assert_array_equal(whole(browser, "left"), windowed(other, **data(made)["cases"][1]["window"]))
