"""The report in a browser, wide as on a desk and narrow as on a telephone: all of it can be reached."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

from bench.report.summary import anchor, collect
from bench.report.write import derive
from bench.results.rows import Row, load_all, save
from support.evidence import grid, keep_sample, row
from support.rows import keyed

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="needs a browser; of Debian: apt-get install chromium chromium-driver"
)
QUIET = ("headless=new", "no-sandbox", "disable-gpu", "disable-background-networking", "no-first-run")
QUIET += ("disable-component-update", "disable-sync")
LOOK = (Path(__file__).parent / "look.js").read_text(encoding="utf-8")
WIDTHS = (1280, 400)
QUICK = Path(__file__).parents[2] / "results" / "quick"


def wide() -> list[Row]:
    """More defenses than a page is wide, a long name, two settings, and a victim that learned nothing."""
    defenses = ["none", "adversarial-training", *(f"iss-jpeg{q}" for q in range(10, 100, 5)), "cutout"]
    methods = ("clean", "em", "mi-ue", "a-method-whose-name-is-longer-than-others")
    rows = [row(m, d, control=m == "clean") for m in methods for d in defenses]
    return [*rows, *(row(m, setting="e" * 64) for m in methods), row("tap", acc=0.1, train_acc=0.1)]


@pytest.fixture(scope="module", params=["grid", "wide", "quick", "reference"])
def page(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if request.param == "reference":  # as it is stored, and a page of the documentation
        return QUICK.parent / "reference" / "report" / "report.html"
    run = tmp_path_factory.mktemp(request.param)
    rows = (
        load_all(QUICK / "seed0" / "rows")
        if request.param == "quick"
        else {"grid": grid, "wide": wide}[request.param]()
    )
    for each in rows:
        save(each if request.param == "quick" else keyed(each), run / "rows")
    if request.param == "grid":
        keep_sample(run, "em")
    derive(run, Console(file=io.StringIO()))
    return run / "report" / "report.html"


@pytest.fixture(scope="module")
def browser() -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for word in QUIET:
        options.add_argument(f"--{word}")
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield driver
    driver.quit()


def opened(browser: webdriver.Chrome, page: Path, width: int) -> webdriver.Chrome:
    screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    browser.get("about:blank")  # so that nothing is left of the page before
    browser.get(page.as_uri())
    assert browser.execute_script("return innerWidth") == width
    return browser


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_cut_or_overlaps_or_is_empty(browser: webdriver.Chrome, page: Path, width: int) -> None:
    opened(browser, page, width)
    assert browser.execute_script(LOOK) == []
    browser.execute_script("document.querySelectorAll('details').forEach((box) => (box.open = true))")
    assert browser.execute_script(LOOK) == []


def test_what_is_wrong_is_seen(browser: webdriver.Chrome, page: Path) -> None:
    """Each of these would be a fault; the look finds it."""
    faults = {
        "cut": "document.querySelector('h1').style.width = '3000px'",
        "out of reach": "document.querySelector('table').style.marginLeft = '-50px'",
        "first column": "document.querySelectorAll('th').forEach((cell) => (cell.style.position = 'static'))",
        "overlap": "document.querySelector('h2').style.marginBottom = '-90px'",
        "nothing in": "document.querySelectorAll('td').forEach((cell) => (cell.textContent = '-'))",
        "empty": "document.querySelectorAll('figcaption').forEach((text) => (text.textContent = ''))",
    }
    for fault, script in faults.items():
        opened(browser, page, 400)
        browser.execute_script(script)
        assert any(fault in found for found in browser.execute_script(LOOK)), fault


@pytest.mark.parametrize("width", WIDTHS)
def test_a_click_on_a_heading_sorts(browser: webdriver.Chrome, page: Path, width: int) -> None:
    opened(browser, page, width)
    table = browser.find_element(By.CSS_SELECTOR, "table.heat")

    def numbers() -> list[float]:
        cells = [
            line.find_elements(By.TAG_NAME, "td")[0]
            for line in table.find_elements(By.CSS_SELECTOR, "tbody tr")
        ]
        return [float(cell.get_dom_attribute("data-key") or "inf") for cell in cells]

    before = numbers()
    heading = table.find_elements(By.TAG_NAME, "th")[1]
    for order in ("ascending", "descending"):
        heading.find_element(By.TAG_NAME, "button").click()
        known = [number for number in numbers() if number < float("inf")]
        assert heading.get_dom_attribute("aria-sort") == order
        assert known == sorted(known, reverse=order == "descending") and {*numbers()} == {*before}


@pytest.mark.parametrize("width", WIDTHS)
def test_a_number_leads_to_its_cell_and_on_to_its_curve(
    browser: webdriver.Chrome, page: Path, width: int
) -> None:
    opened(browser, page, width)
    summary = collect(load_all(page.parents[1] / "rows"))[0]
    method, defense = next(pair for pair in summary.accuracy.cells if summary.curve(*pair))
    ids = {kind: anchor(kind, summary.accuracy.setting, method, defense) for kind in ("cell", "curve")}

    def follow(kind: str, within: str) -> None:
        browser.find_element(By.CSS_SELECTOR, f"{within} a[href='#{ids[kind]}']").click()
        assert browser.execute_script("return location.hash") == f"#{ids[kind]}"
        target = browser.find_element(By.ID, ids[kind])
        box = browser.execute_script("return arguments[0].getBoundingClientRect().toJSON()", target)
        assert box["width"] > 0 and box["top"] < 900 and box["bottom"] > 0, kind

    follow("cell", "table.heat")
    follow("curve", f"[id='{ids['cell']}']")
