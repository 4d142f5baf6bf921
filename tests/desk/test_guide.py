"""The guide's first steps, played as a stranger would: its own lines, the shipped model, a real browser."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from browser import browser, complaints
from people import PASSWORD
from servers import serving

import giantkiller

pytestmark = pytest.mark.slow

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "desk.md"


def lines_of(guide):
    """The blocks for a shell in the first steps, in their order."""
    steps = guide.read_text("utf-8").split("\n## ")[1]
    return [block.replace("\n   ", "\n") for block in re.findall(r"```sh\n(.*?)```", steps, re.DOTALL)]


def test_the_guide_fits_on_two_pages():
    """Chromium prints 1,269 words of it on two pages of A4 in 10 points, without a picture."""
    text = GUIDE.read_text("utf-8")
    assert len(text.split()) <= 1300
    assert "![" not in text


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl here")
def test_a_stranger_decides_a_first_comment_by_the_guide(tmp_path, monkeypatch):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    start, send, fetch = lines_of(GUIDE)
    assert "giantkiller serve" in start
    monkeypatch.setenv("PYTHONPATH", str(Path(giantkiller.__file__).parents[1]))
    monkeypatch.setenv("GIANTKILLER_LOG_LEVEL", "error")
    with browser() as driver, serving("default", tmp_path / "state") as (process, address, key):
        link = process.stdout.readline().split()[-1]
        assert link.startswith(f"{address}/desk/join/")

        def shell(line):
            line = line.replace("http://127.0.0.1:8080", address).replace("curl ", "curl -sS ")
            done = subprocess.run(
                ["sh", "-c", line], env=os.environ | {"KEY": key}, capture_output=True, text=True
            )
            assert done.stderr == ""
            return json.loads(done.stdout)

        def see(text):
            # In one step: between finding the body and reading it, another page may have come.
            read = "return document.body?.innerText ?? ''"
            WebDriverWait(driver, 30).until(lambda d: text in d.execute_script(read))

        driver.get(link)
        for name in ("name", "password", "again"):
            driver.find_element(By.NAME, name).send_keys("mira" if name == "name" else PASSWORD)
        driver.find_element(By.CSS_SELECTOR, "main button").click()
        see("No comment has come yet")
        shown = driver.find_element(By.CSS_SELECTOR, "main pre").text  # the page's own line works, too
        assert shell(shown.replace('"42"', '"41"'))["state"] == "hidden"
        assert shell(send)["state"] == "hidden"
        driver.get(f"{address}/desk")
        assert "No comment has come yet" not in driver.page_source
        driver.find_element(By.TAG_NAME, "body").send_keys("n")
        see("You are an idiot")
        assert driver.find_element(By.CSS_SELECTOR, "blockquote mark").text == "idiot"
        driver.find_element(By.TAG_NAME, "body").send_keys("r")  # and its copy with it
        see("Nothing waits for you here")
        assert shell(fetch)["messages"] == []  # they can still be taken back
        assert complaints(driver) == []
