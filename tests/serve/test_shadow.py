"""A candidate beside the answers: what is counted, what is kept, and that nobody waits for it."""

import threading
import time

import numpy as np
import pytest
from bundles import POLICY, build
from servers import running

from giantkiller.attributes import ATTRIBUTES
from giantkiller.calibration import Calibration
from giantkiller.desk import lineup
from giantkiller.desk.app import compose
from giantkiller.policy import Policy
from giantkiller.serve import comparison, shadow, switching
from giantkiller.serve.comparison import Pair, compare, keep, tally
from giantkiller.store import open_store, utc_now

RUDE, KIND = "You idiot", "you are"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(switching, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(shadow, "KEEP_SECONDS", 0.05)
    monkeypatch.setattr(shadow, "PATIENCE", 10)


@pytest.fixture
def milder(tmp_path):
    return build(tmp_path / "site", name="site", calibration={"toxicity": Calibration(1.0, -6.0)})


@pytest.fixture
def serve(tiny_bundle, tmp_path):
    settings = {"model": str(tiny_bundle), "state": tmp_path / "state", "shadow": 1}
    return lambda **more: running(compose, **settings | more)


def try_out(server, folder):
    service = server.service
    digest = lineup.add(service.store, service.settings, str(folder), "test", now=utc_now())
    lineup.try_out(service.store, service.settings, digest, "test", now=utc_now())
    until(lambda: service.shadow.digest == digest)
    return Pair(service.screener.bundle.digest, digest)


def until(condition, seconds=20.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)


def found(server, pair, day=None):
    with server.service.store.read() as connection:
        return compare(connection, pair, day)


def test_scores_of_both_are_counted(serve, milder):
    with serve() as server:
        pair = try_out(server, milder)
        for text in (RUDE, RUDE, KIND):
            assert server.analyze(text).status_code == 200
        submitted = server.post("/v1/desk/items", {"text": "You idiot there"}).json()
        until(lambda: found(server, pair).comments == 4)
        result = found(server, pair, f"{utc_now():%Y-%m-%d}")
        assert result == found(server, pair)
        assert found(server, pair, "2000-01-01").comments == 0
        differences = {row.attribute: row for row in result.attributes}
        assert list(differences) == list(ATTRIBUTES)
        assert differences["toxicity"].milder == 3
        assert differences["toxicity"].sterner == 0
        old, new = (1 / (1 + np.exp(-logit)) for logit in (2.0, -4.0))
        base = [1 / (1 + np.exp(-logit)) for logit in (-4.0, -10.0)]
        expected = (3 * (new - old) + base[1] - base[0]) / 4
        assert differences["toxicity"].mean == pytest.approx(expected, abs=1e-4)
        assert differences["toxicity"].distance == pytest.approx(-expected, abs=1e-4)
        assert differences["threat"].distance == 0
        assert {k: v for k, v in result.actions.items() if v} == {
            ("review", "allow"): 3,
            ("allow", "allow"): 1,
        }
        assert result.changed == 3
        assert sum(result.farthest) == 4
        assert [(flip.item, flip.before, flip.after) for flip in result.flips] == [
            (submitted["id"], "review", "allow")
        ]


def test_no_text_is_kept(serve, milder, tmp_path):
    with serve() as server:
        pair = try_out(server, milder)
        for _ in range(5):
            server.post("/v1/score", {"text": "You xylophone idiot"})
        until(lambda: found(server, pair).comments == 5)
    assert not any(
        b"xylophone" in path.read_bytes() for path in (tmp_path / "state").iterdir() if path.is_file()
    )


def test_a_candidate_that_hangs_or_fails_delays_no_answer(serve, milder, monkeypatch):
    with serve() as server:
        try_out(server, milder)
        candidate, entered, gate = server.service.shadow.candidate, threading.Event(), threading.Event()

        def hang(texts):
            entered.set()
            gate.wait(30)
            raise RuntimeError("broken")

        monkeypatch.setattr(candidate, "scores", hang)
        for _ in range(300):  # more than may wait
            assert server.post("/v1/score", {"text": RUDE}).status_code == 200
        assert entered.is_set()
        assert server.service.shadow._missed > 0
        gate.set()


def test_what_comes_while_the_service_is_busy_is_missed(serve, milder, monkeypatch):
    with serve() as server:
        monkeypatch.setattr(shadow, "PATIENCE", 0.05)
        pair = try_out(server, milder)
        calm = server.service.shadow._busy
        server.service.shadow._busy = lambda: True
        server.post("/v1/score", {"text": RUDE})
        until(lambda: server.service.shadow._missed == 1)
        server.service.shadow._busy = calm
        server.post("/v1/score", {"text": RUDE})
        until(lambda: found(server, pair).comments == 1)
        assert found(server, pair).missed == 1


def test_a_candidate_that_is_dropped_leaves_nothing(serve, milder):
    with serve() as server:
        pair = try_out(server, milder)
        server.post("/v1/score", {"text": RUDE})
        until(lambda: found(server, pair).comments == 1)
        service = server.service
        lineup.drop(service.store, service.settings, pair.candidate, "test", now=utc_now())
        until(lambda: service.shadow.digest is None)
        assert found(server, pair).comments == 0
        assert server.post("/v1/score", {"text": RUDE}).status_code == 200


def test_a_share_of_nothing_scores_nothing(serve, milder):
    with serve(shadow=0) as server:
        pair = try_out(server, milder)
        server.post("/v1/score", {"text": RUDE})
        assert server.service.shadow._thread is None
        assert found(server, pair).comments == 0


def test_only_so_many_ids_are_kept_and_days_add_up(tmp_path):
    store = open_store(tmp_path)
    pair, other = Pair("a" * 64, "b" * 64), Pair("a" * 64, "c" * 64)
    sums = {}
    rows = np.full((2, len(ATTRIBUTES)), 0.5, np.float32)
    tally(sums, rows, rows + 0.4, (POLICY, Policy({})))
    with store.write() as connection:
        keep(connection, other, sums, [("other", "review", "allow")], now=utc_now())
        for number in range(comparison.MOST_FLIPS + 20):
            keep(connection, pair, sums, [(str(number), "review", "allow")], now=utc_now())
        result = compare(connection, pair)
        assert len(result.flips) == comparison.MOST_FLIPS
        assert result.flips[0].item == str(comparison.MOST_FLIPS + 19)
        assert result.comments == 2 * (comparison.MOST_FLIPS + 20)
        assert result.attributes[0].mean == pytest.approx(0.4)
        assert [flip.item for flip in compare(connection, other).flips] == ["other"]
    store.close()
