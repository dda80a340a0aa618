import base64
import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from xraydenoise.evaluation import page
from xraydenoise.evaluation.page import pictures

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed, so no browser can be driven")
from selenium.webdriver.common.action_chains import ActionChains  # noqa: E402  only where there is a selenium
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import Select, WebDriverWait  # noqa: E402

Driver = webdriver.Chrome
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update "
    "--disable-sync --force-device-scale-factor=1 --window-size=1280,1000"
)
METHODS = {"unet": 3.0, "dncnn": 2.5, "median": 0.0, "bilateral": -0.5, "noisy": -8.0}  # dB over the median filter
NASTY = '<img src=x onerror="window.hacked=1">\'&amp;\n\u202e</script>.png'
SHOWN = '<img src=x onerror="window.hacked=1">\'&amp;\\n\\u202e</script>.png'
HEIGHT, WIDTH = 48, 64


def layers(seed: int) -> dict[str, np.ndarray]:
    """A bright disc on a ramp, noise on it, and two ways to take some of it away."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    truth = (0.2 + 0.4 * columns / WIDTH + 0.3 * ((rows - 24) ** 2 + (columns - 20) ** 2 < 100)).astype(np.float32)
    noise = 0.1 * rng.standard_normal(truth.shape).astype(np.float32)
    steps = {"noisy": noise, "median": 0.5 * noise, "unet": 0.2 * noise, "dncnn": 0.3 * noise}
    return {name: np.clip(truth + step, 0, 1) for name, step in steps.items()} | {"truth": truth}


def case(kind: str, condition: str = "gaussian_20", image: str = "image-1", seed: int = 0) -> page.Case:
    psnr = {"noisy": 20.0, "median": 26.02, "unet": 33.98, "dncnn": 30.46}
    return page.Case("noise", condition, kind, image, "patient-7", layers(seed), psnr)


def rank() -> pd.DataFrame:
    rows = []
    for split in ("val", "test"):
        for condition, base in (("all", 28.123456), ("gaussian_20", 26.0), ("quantum_30", 30.2)):
            for place, (method, gain) in enumerate(METHODS.items()):
                row = {"track": "noise", "split": split, "condition": condition, "method": method, "images": 24, "patients": 8}
                row |= {"psnr": base + gain, "ssim": 0.8 + gain / 100, "mse": 10 ** (-(base + gain) / 10), "group": "aabcd"[place]}
                for name, value in (("gain_psnr", gain), ("gain_ssim", gain / 100)):
                    row |= {name: value, f"{name}_low": value * 0.9, f"{name}_high": value * 1.1}
                rows.append(row)
    return pd.DataFrame(rows)


def sweep() -> pd.DataFrame:
    levels = {"gaussian": (0.05, 0.1, 0.2), "quantum": (10.0, 50.0, 100.0)}
    rows = [(family, method, level, 28 + gain) for family, own in levels.items() for method, gain in METHODS.items() for level in own]
    frame = pd.DataFrame(rows, columns=["family", "method", "level", "psnr"])
    return frame.assign(psnr_low=frame["psnr"] - 1, psnr_high=frame["psnr"] + 1)


@pytest.fixture
def content() -> page.Content:
    return page.Content(
        seed=3,
        test_set="0123abcd",
        confidence=0.95,
        resamples=10000,
        warnings=["test has 8 patients <few>"],
        ranking=rank(),
        chosen={"noise": "unet"},
        baselines=["noisy", "median", "bilateral"],
        curves=sweep(),
        cases=[case("best"), case("worst", seed=1), case("median", "quantum_30", NASTY + "\udcff", seed=2)],
        audit=pd.DataFrame({"image": ["r1", "r2", "r3"], "preset": "dark", "shift": [0.01, -0.2, 0.0], "vetoed": [False, True, False]}),
        worst_labels=[page.LabelPair("r2", "shift -0.2", layers(3)["noisy"], layers(3)["truth"])],
        leakage={
            "leaks": [],
            "splits": {
                "train": {"pictures": 9, "patients": 3, "identity": "f00"},
                "test": {"pictures": 24, "patients": 8, "identity": "ba5"},
            },
            "threshold": 0.95,
            "nearest_across_splits": [{"similarity": 0.81, "first": "a/1", "second": "b/2", "splits": "train, test"}],
            "joined": [],
            "pairs": [],
        },
        card={
            "identity": "feed",
            "pictures": 33,
            "patients": 11,
            "datasets": {"inbox": {"kind": "folder", "bits": {"8": 33}, "spacing": []}},
        },
        quarantine=pd.DataFrame({"source": ["inbox"], "file": [NASTY], "reason": ["truncated"], "detail": ["the file ends early"]}),
    )


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    binary = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    driver = shutil.which("chromedriver")
    if not binary or not driver:
        pytest.skip("no Chromium with its chromedriver is installed")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for flag in [*FLAGS.split(), f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    started = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield started
    started.quit()


Open = Callable[[page.Content], Driver]


@pytest.fixture
def show(browser: Driver, tmp_path: Path) -> Iterator[Open]:
    """Open the page of some content; at the end, nothing may have been reported or asked of a network."""

    def show(content: page.Content) -> Driver:
        page.write(tmp_path / "report.html", content)
        for kind in ("browser", "performance"):
            browser.get_log(kind)
        browser.get((tmp_path / "report.html").as_uri())
        WebDriverWait(browser, 10).until(lambda driver: driver.find_element(By.ID, "scale").text or not content.cases)
        return browser

    yield show
    assert browser.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = {event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"}
    assert {url.split(":")[0] for url in asked} <= {"file", "data", "chrome"}  # chrome: the browser's own first page
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def canvas(browser: Driver) -> np.ndarray:
    """What the viewer shows, gray (H, W)."""
    uri = browser.execute_script("return document.getElementById('canvas').toDataURL()")
    shown = cv2.imdecode(np.frombuffer(base64.b64decode(uri.split(",")[1]), np.uint8), cv2.IMREAD_COLOR)
    assert (shown == shown[..., :1]).all()
    return np.asarray(shown[..., 0])


def pixels(browser: Driver) -> np.ndarray:
    """One shown gray for each of the picture's pixels, while it fits the stage."""
    shown = canvas(browser)
    scale = min(shown.shape[0] / HEIGHT, shown.shape[1] / WIDTH)
    rows, columns = (
        np.floor(length / 2 + (np.arange(count) + 0.5 - count / 2) * scale).astype(int)
        for length, count in zip(shown.shape, (HEIGHT, WIDTH), strict=True)
    )
    return shown[np.ix_(rows, columns)]


def gray(layer: np.ndarray) -> np.ndarray:
    return np.floor(np.clip(layer, 0, 1) * 255 + 0.5).astype(np.float64)


def windowed(values: np.ndarray, width: float, level: float) -> np.ndarray:
    """The linear window of DICOM PS3.3 C.11.2.1.3, in fractions of full scale."""
    return np.floor(255 * np.clip((values / 255 - level) / width + 0.5, 0, 1) + 0.5)


def put(browser: Driver, name: str, value: float) -> None:
    script = "const it = document.getElementById(arguments[0]); it.value = arguments[1]; it.dispatchEvent(new Event('input'))"
    browser.execute_script(script, name, value)


def whole(browser: Driver, side: str) -> np.ndarray:
    """The picture of one side over all of the stage."""
    browser.find_element(By.ID, "divider").send_keys(Keys.END if side == "left" else Keys.HOME)
    return pixels(browser)


def column(table: object, place: int) -> list[str]:
    return [row.find_elements(By.CSS_SELECTOR, "th, td")[place].text for row in table.find_elements(By.CSS_SELECTOR, "tbody tr")]


def test_the_ranking_on_the_page_is_the_table_that_came_in(show: Open, content: page.Content) -> None:
    browser = show(content)
    browser.execute_script("document.querySelectorAll('#ranking details').forEach((one) => one.open = true)")
    tables = browser.find_elements(By.CSS_SELECTOR, "#ranking table")
    assert len(tables) == 6
    blocks = [block for _, block in content.ranking.groupby([content.ranking["split"] != "test", "condition"])]
    for table, block in zip(tables, blocks, strict=True):
        assert [cell.split()[0] for cell in column(table, 0)] == list(block["method"])
        script = "return [...arguments[0].tBodies[0].rows].map((row) => [...row.cells].map((cell) => cell.dataset.value))"
        read = pd.DataFrame(browser.execute_script(script, table))
        named = dict(zip((2, 3, 4, 5, 7), ("psnr", "ssim", "mse", "gain_psnr", "gain_ssim"), strict=True))
        for place, name in named.items():
            assert list(read[place].astype(float)) == list(block[name])
    assert column(tables[0], 2)[0] == "31.12"
    assert column(tables[0], 5)[:3] == ["+3.00 [+2.70, +3.30]", "+2.50 [+2.25, +2.75]", "reference"]
    assert column(tables[0], 5)[4].startswith("\N{MINUS SIGN}8.00")
    assert "chosen" in column(tables[0], 0)[0]
    assert "Not told apart on test from: dncnn" in browser.find_element(By.ID, "summary").text
    assert "+3.00 dB [+2.70, +3.30]" in browser.find_element(By.ID, "summary").text


def test_a_head_sorts_its_column_by_click_and_by_key(show: Open, content: page.Content) -> None:
    browser = show(content)
    table = browser.find_element(By.CSS_SELECTOR, "#ranking table")
    heads = {head.text: head for head in table.find_elements(By.CSS_SELECTOR, "thead th button")}
    heads["MSE"].click()
    assert [name.split()[0] for name in column(table, 0)] == list(reversed(METHODS))
    heads["MSE"].send_keys(Keys.ENTER)
    assert [name.split()[0] for name in column(table, 0)] == list(METHODS)
    assert table.find_element(By.CSS_SELECTOR, "[aria-sort]").get_attribute("aria-sort") == "ascending"
    heads["method"].send_keys(Keys.SPACE)
    assert [name.split()[0] for name in column(table, 0)] == sorted(METHODS)


def test_the_viewer_shows_both_layers_to_the_pixel_and_their_psnr(show: Open, content: page.Content) -> None:
    browser = show(content)
    made = layers(0)
    assert (pixels(browser)[:, :31] == gray(made["noisy"])[:, :31]).all()
    assert (pixels(browser)[:, 33:] == gray(made["unet"])[:, 33:]).all()
    assert (whole(browser, "left") == gray(made["noisy"])).all()
    assert browser.find_element(By.ID, "left-name").text == "noisy  20.00 dB"
    assert browser.find_element(By.ID, "right-name").text == "unet  33.98 dB"
    Select(browser.find_element(By.ID, "right")).select_by_value("truth")
    assert (whole(browser, "right") == gray(made["truth"])).all()
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


def test_window_and_level_shade_each_pixel_as_computed(show: Open, content: page.Content) -> None:
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


def test_residuals_are_differences_to_the_truth_around_middle_gray(show: Open, content: page.Content) -> None:
    browser = show(content)
    browser.find_element(By.ID, "residual").click()
    made = {name: gray(layer) for name, layer in layers(0).items()}
    for side, name in (("left", "noisy"), ("right", "unet")):
        assert (whole(browser, side) == windowed(made[name] - made["truth"], 0.2, 0)).all()
    assert browser.find_element(By.ID, "window-value").text == "\u00b10.10"
    Select(browser.find_element(By.ID, "left")).select_by_value("truth")
    WebDriverWait(browser, 5).until(lambda driver: (whole(driver, "left") == 128).all())


def test_zoom_and_pan_by_keys_wheel_and_buttons_keep_pixels_square(show: Open, content: page.Content) -> None:
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


def test_every_control_is_reached_by_tab_and_has_a_name(show: Open, content: page.Content) -> None:
    browser = show(content)
    names: list[tuple[str, str]] = []
    browser.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB)
    while (active := browser.switch_to.active_element).tag_name != "body":
        names.append((active.get_attribute("id"), active.accessible_name))
        assert names[-1][1], f"{active.get_attribute('outerHTML')[:80]} has no name"
        if names[-1][0] != "divider":  # its own line thickens
            assert active.value_of_css_property("outline-style") == "solid", f"{names[-1]} shows no focus"
        active.send_keys(Keys.TAB)
    assert names[0][1] == "Skip to the summary"
    controls = {
        "track",
        "condition",
        "case",
        "left",
        "right",
        "residual",
        "stage",
        "divider",
        "window",
        "level",
        "reset",
        "in",
        "out",
        "fit",
    }
    assert controls <= {identity for identity, _ in names}
    assert [head.tag_name for head in browser.find_elements(By.CSS_SELECTOR, "h1, h2")] == ["h1"] + ["h2"] * 8


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_is_legible_in_light_and_in_dark(show: Open, content: page.Content, scheme: str) -> None:
    browser = show(content)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
    browser.execute_script("document.querySelectorAll('details').forEach((one) => one.open = true)")
    found = browser.execute_script(
        """
        const parse = (text) => { const all = text.match(/[\\d.]+/g).map(Number); return all.length < 4 ? [...all.slice(0, 3), 1] : all; };
        const back = (one) => { for (; one; one = one.parentElement) {
            const colour = parse(getComputedStyle(one).backgroundColor); if (colour[3] === 1) return colour.slice(0, 3); } return null; };
        return [...document.querySelectorAll("body *")].filter((one) => [...one.childNodes].some((node) => node.nodeType === 3 &&
            node.data.trim()) && !["SCRIPT", "NOSCRIPT", "OPTION"].includes(one.tagName)).map((one) => {
            const style = getComputedStyle(one); const svg = one instanceof SVGElement;
            return [one.textContent.slice(0, 40), parse(svg ? style.fill : style.color).slice(0, 3), back(one)]; });
        """
    )
    assert len(found) > 100
    assert (np.mean([back for _, _, back in found]) > 128) == (scheme == "light")
    for told, *colours in found:
        light = [float(np.dot([0.2126, 0.7152, 0.0722], _linear(np.array(colour) / 255))) for colour in colours]
        ratio = (max(light) + 0.05) / (min(light) + 0.05)
        assert ratio >= 4.5, f"{told!r}: contrast {ratio:.1f} of {colours}"  # WCAG 2.2, AA


def _linear(colour: np.ndarray) -> np.ndarray:
    return np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)


def test_a_phone_scrolls_within_tables_and_never_sideways(show: Open, content: page.Content) -> None:
    browser = show(content)
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": 400, "height": 800, "deviceScaleFactor": 1, "mobile": True})
    browser.execute_script("document.querySelectorAll('details').forEach((one) => one.open = true)")
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 400
    assert (whole(browser, "left") == gray(layers(0)["noisy"])).all()


def test_a_file_name_stays_text(show: Open, content: page.Content) -> None:
    browser = show(content)
    browser.execute_script("document.querySelectorAll('details').forEach((one) => one.open = true)")
    assert SHOWN in browser.find_element(By.ID, "quarantine").text
    Select(browser.find_element(By.ID, "condition")).select_by_value("quantum_30")
    WebDriverWait(browser, 5).until(lambda driver: SHOWN + "\\udcff" in driver.find_element(By.ID, "about").text)
    assert browser.execute_script("return [window.hacked, document.scripts.length, document.querySelectorAll('main img').length]") == [
        None,
        2,
        2,
    ]


def test_without_scripts_the_tables_and_curves_are_there(browser: Driver, content: page.Content, tmp_path: Path) -> None:
    page.write(tmp_path / "report.html", content)
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.get((tmp_path / "report.html").as_uri())
        assert column(browser.find_element(By.CSS_SELECTOR, "#ranking table"), 2)[0] == "31.12"
        assert len(browser.find_elements(By.CSS_SELECTOR, ".chart .line")) == 2 * len(METHODS)
        assert "1 of 3 labels (33.3%) were vetoed" in browser.find_element(By.ID, "audit").text
        assert "No leak found" in browser.find_element(By.ID, "leakage").text
        assert "needs JavaScript" in browser.find_element(By.ID, "pictures").text
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_a_press_on_a_method_leaves_its_curve_alone_in_colour(show: Open, content: page.Content) -> None:
    browser = show(content)
    button = browser.find_element(By.CSS_SELECTOR, ".legend button[data-series='1']")
    assert button.text.split()[0] == "dncnn"
    for dim in (2 * (len(METHODS) - 1), 0):
        button.send_keys(Keys.ENTER)
        assert len(browser.find_elements(By.CSS_SELECTOR, ".chart g.dim")) == dim


def test_folded_tables_are_printed_and_controls_are_not(show: Open, content: page.Content) -> None:
    browser = show(content)
    seen = "return arguments[0].checkVisibility({contentVisibilityAuto: true})"
    parts = [browser.find_element(By.CSS_SELECTOR, name) for name in ("#ranking details table", ".tools", "nav")]
    assert [browser.execute_script(seen, part) for part in parts] == [False, True, True]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    # Chromium shows what it had folded away with its next frame, not with the change of media
    WebDriverWait(browser, 5).until(lambda driver: [driver.execute_script(seen, part) for part in parts] == [True, False, False])


def test_a_page_of_nothing_but_a_ranking_says_what_is_not_there(show: Open, content: page.Content) -> None:
    empty = {name: pd.DataFrame() for name in ("curves", "audit", "quarantine")}
    leak = {**content.leakage, "leaks": ["patient 7 stands in train and test"]}
    browser = show(replace(content, cases=[], worst_labels=[], leakage=leak, **empty))
    text = browser.find_element(By.TAG_NAME, "main").text
    for said in ("No picture was kept.", "No sweep over levels was made.", "No label was made.", "No file was refused.", "1 leaks"):
        assert said in text
    assert not browser.find_element(By.ID, "viewer").is_displayed()


def test_the_same_content_gives_the_same_bytes(content: page.Content) -> None:
    assert page.html(content) == page.html(content)


def test_many_large_noisy_pictures_stay_below_the_limit_and_the_page_says_what_was_cut(content: page.Content) -> None:
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


def test_pictures_are_embedded_without_loss_and_the_same_one_once(content: page.Content) -> None:
    noisy = layers(0)["noisy"]
    side, (first, second) = pictures.fit([noisy, noisy.copy()], 1_000_000)
    assert (side, first) == (pictures.SIDE, second)
    stored = cv2.imdecode(np.frombuffer(base64.b64decode(first.split(",")[1]), np.uint8), cv2.IMREAD_GRAYSCALE)
    assert (stored == gray(noisy)).all()
    assert page.html(replace(content, cases=[case("best")] * 2)).count(first) == 1


def test_long_lists_are_cut_and_counted(content: page.Content) -> None:
    many = pd.DataFrame({"source": "inbox", "file": [f"file-{n}" for n in range(10_000)], "reason": "empty", "detail": "x" * 1_000})
    made = page.html(replace(content, quarantine=many))
    assert "The first 200 of 10000 rows." in made
    assert len(made) < 1_000_000


def test_a_picture_that_is_not_finite_or_of_another_shape_is_refused(content: page.Content) -> None:
    for wrong in (np.full((HEIGHT, WIDTH), np.nan, np.float32), np.zeros((4, 4), np.float32)):
        broken = replace(content.cases[0], layers={**layers(0), "unet": wrong})
        with pytest.raises(ValueError, match=r"case noise, gaussian_20, image-1: unet has the shape"):
            page.html(replace(content, cases=[broken]))
