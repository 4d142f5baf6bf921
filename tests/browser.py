"""Debian's chromium, driven by Selenium without any download; skips where there is none."""

import json
import os
import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest

AXE = Path(__file__).parents[1] / "web/node_modules/axe-core/axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


@contextmanager
def browser(width=1200, height=900, dark=False):
    """Start a browser without a window."""
    selenium = pytest.importorskip("selenium.webdriver")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    driver = shutil.which("chromedriver")
    if not (chromium and driver):
        pytest.skip("no chromium here (Debian: apt-get install chromium chromium-driver)")
    options = selenium.ChromeOptions()
    options.binary_location = chromium
    for argument in (
        "--headless=new", "--disable-gpu", "--disable-dev-shm-usage", f"--window-size={width},{height}",
        "--disable-background-networking", "--no-first-run", "--lang=en-US",
    ):  # fmt: skip
        options.add_argument(argument)
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        options.add_argument("--no-sandbox")
    if dark:
        options.add_argument("--blink-settings=preferredColorScheme=0")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    started = selenium.Chrome(options=options, service=selenium.ChromeService(driver))
    started.set_page_load_timeout(60)
    started.implicitly_wait(0)
    try:
        yield started
    finally:
        started.quit()


def complaints(driver):
    """What the browser's console says against a page: CSP violations, errors of scripts, failed requests."""
    return [
        entry["message"] for entry in driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")
    ]


def violations(driver):
    """What axe finds against WCAG 2.2 AA on the page that is open."""
    # By the devtools: the page's own policy would let no script of ours in.
    driver.execute_cdp_cmd("Runtime.evaluate", {"expression": AXE.read_text("utf-8")})
    result = driver.execute_cdp_cmd(
        "Runtime.evaluate",
        {
            "expression": f"axe.run({{runOnly: {RULES}}}).then(r => JSON.stringify(r.violations.map("
            "v => [v.id, v.nodes.slice(0, 3).map(n => n.html)])))",
            "awaitPromise": True,
        },
    )
    return json.loads(result["result"]["value"])
