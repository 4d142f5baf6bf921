"""The page Model: try a bundle, see what it would do, promote it, roll back; with and without a browser."""

import subprocess
import time

import pytest
from browser import browser, complaints
from bundles import build
from people import PASSWORD
from servers import PROGRAM, running
from site_of import Site

from giantkiller.calibration import Calibration
from giantkiller.desk import lineup
from giantkiller.desk.app import compose
from giantkiller.desk.events import events
from giantkiller.serve import shadow, switching
from giantkiller.store import utc_now


@pytest.fixture
def house(tiny_bundle, tmp_path, monkeypatch):
    """A desk of a test's own, where every comment is compared."""
    monkeypatch.setattr(switching, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(shadow, "KEEP_SECONDS", 0.05)
    monkeypatch.setattr(shadow, "PATIENCE", 10)
    settings = {"model": str(tiny_bundle), "state": tmp_path / "state", "shadow": 1}
    with running(compose, **settings) as server:
        site = Site(server)
        site.settings(second_share=0, undo_seconds=0)
        yield site


@pytest.fixture
def milder(tmp_path):
    """What a site's decisions might have made of the tiny bundle: calmer about insults."""
    calm = {"toxicity": Calibration(1.0, -6.0), "insult": Calibration(1.0, -6.0)}
    return build(tmp_path / "site", name="site", calibration=calm)


def add(house, folder):
    service = house.server.service
    return lineup.add(service.store, service.settings, str(folder), "command", now=utc_now())


def until(condition, seconds=20.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)


def model(house):
    return house.server.post("/v1/score", {"text": "You idiot"}).json()["model"]


def kinds(house):
    with house.store.read() as connection:
        return [row.kind for row in connection.execute(events.select().order_by(events.c.seq))]


def test_a_candidate_is_tried_promoted_and_rolled_back(house, milder):
    lead, helper = house.person("lead"), house.person()
    assert helper.get("/desk/model").status_code == 403
    lead.get("/desk/model")
    assert "nothing was promoted" in lead.text
    digest = add(house, milder)
    lead.get("/desk/model")
    assert "On the shelf" in lead.text
    lead.post("/desk/model", {"do": "try", "bundle": digest, "seen": "0"})
    assert "0 comments were scored by both" in lead.text
    until(lambda: house.server.service.shadow.digest == digest)
    sent = house.submit("You idiot")
    house.server.post("/v1/score", {"text": "Thanks"})
    until(lambda: "2 comments were scored by both, 1 of them" in lead.get("/desk/model").text)
    assert lead.page.count('<svg class="chart"') == 2
    assert f"/desk/items/{sent['id']}" in lead.page
    assert "2 comments were scored by both" in lead.get("/desk/model?days=all").text
    assert "Kandidat" in lead.get("/desk/model?lang=de").text

    lead.get("/desk/model")
    lead.post("/desk/model", {"do": "promote", "bundle": digest, "seen": "0"})
    assert f"promoted {utc_now():%Y-%m-%d}" in lead.text
    assert lead.name in lead.text
    until(lambda: model(house).startswith("site"))
    again = lead.post("/desk/model", {"do": "roll-back", "seen": "0"})
    assert again.status_code == 409
    assert "in the meantime" in lead.text
    assert lead.post("/desk/model", {"do": "drop", "bundle": digest}).status_code == 400
    assert lead.post("/desk/model", {"do": "promote", "bundle": "../../etc"}).status_code == 404
    assert lead.post("/desk/model", {"do": "burn"}).status_code == 400
    lead.get("/desk/model")
    lead.post("/desk/model", {"do": "roll-back", "seen": "1"})
    until(lambda: model(house).startswith("tiny"))
    lead.post("/desk/model", {"do": "drop", "bundle": digest})
    assert "On the shelf" not in lead.text
    told = ["model-added", "model-tried", "model-promoted", "model-rolled-back", "model-dropped"]
    assert [kind for kind in kinds(house) if kind.startswith("model-")] == told


def test_a_bundle_that_does_not_load_is_not_promoted(house, milder, tmp_path):
    lead = house.person("lead")
    digest = add(house, milder)
    (tmp_path / "state" / "bundles" / digest / "tokenizer.json").unlink()
    lead.get("/desk/model")
    failed = lead.post("/desk/model", {"do": "promote", "bundle": digest, "seen": "0"})
    assert failed.status_code == 400
    assert "incomplete" in lead.text
    assert model(house).startswith("tiny")
    assert "model-promoted" not in kinds(house)


class Tab:
    """A browser at the desk."""

    def __init__(self, driver, url):
        from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
        from selenium.webdriver.support.ui import WebDriverWait

        passing = (NoSuchElementException, StaleElementReferenceException)
        self.driver, self.url = driver, url
        self.wait = WebDriverWait(driver, 30, ignored_exceptions=passing)

    def go(self, path):
        self.driver.get(self.url + path)

    def find(self, css):
        return self.wait.until(lambda d: d.find_element("css selector", css))

    def type(self, css, text):
        self.find(css).send_keys(text)


@pytest.mark.slow
def test_from_decisions_to_another_model_and_back_in_a_browser(house, milder, tmp_path):
    """The loop whole; the bundle is made by hand, since learning has tests of its own."""
    with browser() as driver:
        tab = Tab(driver, house.url)
        tab.go(f"/desk/join/{house.invite('lead')}")
        for css, text in (("[name=name]", "lea"), ("[name=password]", PASSWORD), ("[name=again]", PASSWORD)):
            tab.type(css, text)
        tab.find("main form button").click()
        house.submit("You stupid idiot", id="c-1")
        tab.go("/desk")
        tab.find("body").send_keys("n")
        tab.find("blockquote.text")
        tab.find("body").send_keys("a")
        until(lambda: tab.find("h1") and "decided" in kinds(house))

        state, decisions = tmp_path / "state", tmp_path / "decisions.jsonl"
        for command in (
            ["desk", "labels", "-o", str(decisions)], ["models", "add", str(milder), "--try"],
        ):  # fmt: skip
            done = subprocess.run([*PROGRAM, *command, "--state", str(state)], capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
        assert "You stupid idiot" in decisions.read_text("utf-8")
        until(lambda: house.server.service.shadow.digest is not None)
        for number in range(3):
            house.submit("You idiot there", id=f"d-{number}")

        def compared():
            tab.go("/desk/model")
            return tab.find("#compared").text.startswith("3 comments were scored by both, 3")

        until(compared)
        tab.find("button[value=promote]").click()
        tab.find("button[value=roll-back]")
        until(lambda: model(house).startswith("site"))
        tab.go("/desk/model")
        assert tab.find("#scoring").text.startswith("site")
        tab.find("button[value=roll-back]").click()
        tab.find("#shelf")
        until(lambda: model(house).startswith("tiny"))
        tab.go("/desk/model")
        assert tab.find("#scoring").text.startswith("tiny")
        assert complaints(driver) == []
