"""The page Model: try a bundle, see what it would do, promote it, roll back."""

import time

import pytest
from bundles import build
from servers import running
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
