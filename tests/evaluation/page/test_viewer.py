import base64
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest

from xraydenoise.evaluation import page

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed, so no browser can be driven")
from selenium.webdriver.common.action_chains import ActionChains  # noqa: E402  only where there is a selenium
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import Select, WebDriverWait  # noqa: E402

Open = Callable[[page.Content], Any]
Layers = Callable[[int], dict[str, np.ndarray]]


def canvas(browser: Any) -> np.ndarray:
    """What the viewer shows, gray (H, W)."""
    uri = browser.execute_script("return document.getElementById('canvas').toDataURL()")
    shown = cv2.imdecode(np.frombuffer(base64.b64decode(uri.split(",")[1]), np.uint8), cv2.IMREAD_COLOR)
    assert (shown == shown[..., :1]).all()
    return np.asarray(shown[..., 0])


def pixels(browser: Any, height: int = 48, width: int = 64) -> np.ndarray:
    """One shown gray for each of the picture's pixels, while it fits the stage."""
    shown = canvas(browser)
    scale = min(shown.shape[0] / height, shown.shape[1] / width)
    rows, columns = (
        np.floor(length / 2 + (np.arange(count) + 0.5 - count / 2) * scale).astype(int)
        for length, count in zip(shown.shape, (height, width), strict=True)
    )
    return shown[np.ix_(rows, columns)]


def gray(layer: np.ndarray) -> np.ndarray:
    return np.floor(np.clip(layer, 0, 1) * 255 + 0.5).astype(np.float64)


def windowed(values: np.ndarray, width: float, level: float) -> np.ndarray:
    """The linear window of DICOM PS3.3 C.11.2.1.3, in fractions of full scale."""
    return np.floor(255 * np.clip((values / 255 - level) / width + 0.5, 0, 1) + 0.5)


def put(browser: Any, name: str, value: float) -> None:
    script = "const it = document.getElementById(arguments[0]); it.value = arguments[1]; it.dispatchEvent(new Event('input'))"
    browser.execute_script(script, name, value)


def whole(browser: Any, side: str) -> np.ndarray:
    """The picture of one side over all of the stage."""
    browser.find_element(By.ID, "divider").send_keys(Keys.END if side == "left" else Keys.HOME)
    return pixels(browser)


def test_the_viewer_shows_both_layers_to_the_pixel_and_their_psnr(show: Open, content: page.Content, layers: Layers) -> None:
    browser = show(content)
    made = layers(0)
    assert (pixels(browser)[:, :31] == gray(made["noisy"])[:, :31]).all()
    assert (pixels(browser)[:, 33:] == gray(made["unet"])[:, 33:]).all()
    assert (whole(browser, "left") == gray(made["noisy"])).all()
    assert browser.find_element(By.ID, "left-name").text == "noisy  20.00 dB"
    assert browser.find_element(By.ID, "right-name").text == "unet  33.98 dB"
    Select(browser.find_element(By.ID, "right")).select_by_value("truth")
    WebDriverWait(browser, 5).until(lambda driver: (whole(driver, "right") == gray(made["truth"])).all())
    Select(browser.find_element(By.ID, "case")).select_by_index(1)
    WebDriverWait(browser, 5).until(lambda driver: (whole(driver, "left") == gray(layers(1)["noisy"])).all())
    assert browser.find_element(By.ID, "right-name").text == "truth", "the layers stay chosen from case to case"


def test_the_border_follows_the_mouse_and_the_keys(show: Open, content: page.Content) -> None:
    browser = show(content)
    divider = browser.find_element(By.ID, "divider")
    width = browser.find_element(By.ID, "stage").size["width"]
    before = canvas(browser)
    ActionChains(browser).click_and_hold(divider).move_by_offset(200, 0).release().perform()
    after = canvas(browser)
    assert int(divider.get_attribute("aria-valuenow")) == pytest.approx(50 + 100 * 200 / width, abs=1)
    changed = np.flatnonzero((before != after).any(axis=0))
    assert changed.min() >= width // 2 - 1
    assert changed.max() <= width // 2 + 201
    divider.send_keys(Keys.HOME)
    assert divider.get_attribute("aria-valuenow") == "0"
    divider.send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.PAGE_UP)
    assert divider.get_attribute("aria-valuenow") == "12"
    assert divider.get_attribute("aria-valuetext") == "12 % noisy"


def test_window_and_level_shade_each_pixel_as_computed(show: Open, content: page.Content, layers: Layers) -> None:
    browser = show(content)
    put(browser, "window", 0.3)
    put(browser, "level", 0.6)
    for side, name in (("left", "noisy"), ("right", "unet")):
        assert (whole(browser, side) == windowed(gray(layers(0)[name]), 0.3, 0.6)).all()
    browser.find_element(By.ID, "reset").click()
    assert (whole(browser, "left") == gray(layers(0)["noisy"])).all()
    stage = browser.find_element(By.ID, "stage")
    drag = ActionChains(browser).move_to_element_with_offset(stage, -200, 0)
    drag.w3c_actions.pointer_action.pointer_down(button=2).move_by(-stage.size["width"] // 4, 0).pointer_up(button=2)
    drag.perform()
    assert float(browser.find_element(By.ID, "window").get_attribute("value")) == pytest.approx(0.75, abs=0.01)


def test_residuals_are_differences_to_the_truth_around_middle_gray(show: Open, content: page.Content, layers: Layers) -> None:
    browser = show(content)
    browser.find_element(By.ID, "residual").click()
    made = {name: gray(layer) for name, layer in layers(0).items()}
    for side, name in (("left", "noisy"), ("right", "unet")):
        assert (whole(browser, side) == windowed(made[name] - made["truth"], 0.2, 0)).all()
    assert browser.find_element(By.ID, "window-value").text == "\u00b10.10"
    Select(browser.find_element(By.ID, "left")).select_by_value("truth")
    WebDriverWait(browser, 5).until(lambda driver: (whole(driver, "left") == 128).all())


def test_zoom_and_pan_by_keys_wheel_and_buttons_keep_pixels_square(show: Open, content: page.Content, layers: Layers) -> None:
    browser = show(content)
    stage = browser.find_element(By.ID, "stage")

    def zoom() -> float:
        return float(browser.find_element(By.ID, "scale").text.split()[1])

    fitting = zoom()
    origin = webdriver.common.actions.wheel_input.ScrollOrigin.from_element(stage)
    browser.execute_script("arguments[0].scrollIntoView()", stage)
    ActionChains(browser).scroll_from_origin(origin, 0, -30).perform()
    assert zoom() == fitting, "the page scrolls past a viewer that nobody has entered"
    stage.send_keys("+")
    assert zoom() == pytest.approx(1.25 * fitting, rel=0.01)
    ActionChains(browser).scroll_from_origin(origin, 0, -100).perform()
    assert zoom() > 1.5 * fitting
    before = canvas(browser)
    stage.send_keys(Keys.ARROW_RIGHT)
    assert (canvas(browser)[:, :500] == before[:, 40:540]).mean() > 0.99
    ActionChains(browser).move_to_element_with_offset(stage, 150, 0).click_and_hold().move_by_offset(40, 0).release().perform()
    assert (canvas(browser)[:, :500] == before[:, :500]).mean() > 0.99
    stage.send_keys("0")
    assert zoom() == fitting
    browser.find_element(By.ID, "in").click()
    browser.find_element(By.ID, "out").click()
    assert zoom() == pytest.approx(fitting, rel=0.01)
    assert set(np.unique(canvas(browser))) <= set(gray(layers(0)["noisy"]).ravel()) | set(gray(layers(0)["unet"]).ravel()) | {0}


def test_a_phone_shows_the_picture_whole(show: Open, content: page.Content, layers: Layers) -> None:
    browser = show(content)
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": 400, "height": 800, "deviceScaleFactor": 1, "mobile": True})
    WebDriverWait(browser, 5).until(lambda driver: driver.find_element(By.ID, "stage").size["width"] < 400)
    assert (whole(browser, "left") == gray(layers(0)["noisy"])).all()
