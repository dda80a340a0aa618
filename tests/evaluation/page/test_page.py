from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from xraydenoise.evaluation import page

pytest.importorskip("selenium", reason="selenium is not installed, so no browser can be driven")
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

SHOWN = '<img src=x onerror="window.hacked=1">\'&amp;\\n\\u202e</script>.png'
Open = Callable[[page.Content], Any]


@pytest.fixture
def methods(content: page.Content) -> list[str]:
    """In the order of the ranking."""
    return list(content.ranking["method"].unique())


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


@pytest.mark.parametrize(("patients", "why"), [(8, ": there are too few patients."), (9, ".")])
def test_the_page_blames_few_patients_only_where_they_are_few(show: Open, content: page.Content, patients: int, why: str) -> None:
    browser = show(replace(content, ranking=content.ranking.assign(group="a", patients=patients)))
    assert f"Nothing on test can be told apart from it{why}" in browser.find_element(By.ID, "summary").text


def test_a_head_sorts_its_column_by_click_and_by_key(show: Open, content: page.Content, methods: list[str]) -> None:
    browser = show(content)
    table = browser.find_element(By.CSS_SELECTOR, "#ranking table")
    heads = {head.text: head for head in table.find_elements(By.CSS_SELECTOR, "thead th button")}
    heads["MSE"].click()
    assert [name.split()[0] for name in column(table, 0)] == list(reversed(methods))
    heads["MSE"].send_keys(Keys.ENTER)
    assert [name.split()[0] for name in column(table, 0)] == list(methods)
    assert table.find_element(By.CSS_SELECTOR, "[aria-sort]").get_attribute("aria-sort") == "ascending"
    heads["method"].send_keys(Keys.SPACE)
    assert [name.split()[0] for name in column(table, 0)] == sorted(methods)


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
    assert [head.tag_name for head in browser.find_elements(By.CSS_SELECTOR, "h1, h2")] == ["h1"] + ["h2"] * 9


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


def test_without_scripts_the_tables_and_curves_are_there(browser: Any, content: page.Content, methods: list[str], tmp_path: Path) -> None:
    page.write(tmp_path / "report.html", content)
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.get((tmp_path / "report.html").as_uri())
        assert column(browser.find_element(By.CSS_SELECTOR, "#ranking table"), 2)[0] == "31.12"
        assert len(browser.find_elements(By.CSS_SELECTOR, ".chart .line")) == 2 * len(methods)
        assert "1 of 3 labels (33.3%) were vetoed" in browser.find_element(By.ID, "audit").text
        assert "No leak found" in browser.find_element(By.ID, "leakage").text
        assert "needs JavaScript" in browser.find_element(By.ID, "pictures").text
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_a_press_on_a_method_leaves_its_curve_alone_in_colour(show: Open, content: page.Content, methods: list[str]) -> None:
    browser = show(content)
    button = browser.find_element(By.CSS_SELECTOR, ".legend button[data-series='1']")
    assert button.text.split()[0] == "dncnn"
    for dim in (2 * (len(methods) - 1), 0):
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


def test_each_published_comparison_shows_its_first_metric_and_folds_the_rest(show: Open, content: page.Content) -> None:
    section = show(content).find_element(By.CSS_SELECTOR, "#protocols section")
    assert section.find_element(By.TAG_NAME, "h3").text == "Protocol <C>"
    assert "Small networks: 1 of 1" in section.text
    shown = [table for table in section.find_elements(By.TAG_NAME, "table") if table.is_displayed()]
    assert [column(table, 0) for table in shown] == [["<b>autoencoder"]]
    assert column(shown[0], 1) == ["0.8200 (0.8825)"]
    assert [one.text for one in section.find_elements(By.TAG_NAME, "summary")] == ["What was trained", "Other metrics"]
