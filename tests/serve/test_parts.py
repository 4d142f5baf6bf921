"""Small parts: sentences, languages, limits, drift, the description."""

import asyncio
import gc
import io
import json
import logging
import re
import sys

import httpx
import numpy as np
import pytest

from giantkiller.attributes import ATTRIBUTES
from giantkiller.bundle import read_bundle
from giantkiller.evaluation.like import with_distribution
from giantkiller.policy import Policy
from giantkiller.serve import server as serving
from giantkiller.serve.drift import BINS, FIRST, WINDOW, Drift
from giantkiller.serve.http import rounded
from giantkiller.serve.language import available, detect, is_english, is_tag
from giantkiller.serve.limits import RateLimiter, prepare_limits
from giantkiller.serve.logs import _Json, _Together, log, tell
from giantkiller.serve.metrics import Metrics
from giantkiller.serve.sentences import MOST, sentences
from giantkiller.serve.settings import Settings


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("One.", ["One."]),
        ("One. Two", ["One.", "Two"]),
        ('He said "no." Then left!', ['He said "no."', "Then left!"]),
        ("Wait... what?! (Yes.) Ok", ["Wait...", "what?!", "(Yes.)", "Ok"]),
        ("a.b.c 3.14", ["a.b.c 3.14"]),
        ("first\n\n  second\r\nthird", ["first", "second", "third"]),
        ("你好。再见！好", ["你好。", "再见！", "好"]),
        ("  . ", ["  . "]),
        ("", [""]),
    ],
)
def test_sentences(text, parts):
    assert [text[begin:end] for begin, end in sentences(text)] == parts


@pytest.mark.parametrize(
    "text", ["." * 20_480, " " * 20_480, "\n" * 20_480, '."' * 10_240, ". " * 10_240, '"' * 20_480]
)
def test_no_text_takes_long(text):
    assert len(sentences(text)) <= MOST


@pytest.mark.skipif(not available(), reason="no language detector on this machine")
@pytest.mark.parametrize(
    ("text", "languages", "english"),
    [
        ("You are an idiot and you know it very well.", ("en",), True),
        ("Das ist doch kompletter Unsinn, was du da schreibst.", ("de",), False),
        ("アリガトウございます、とても助かりました。", ("ja",), False),
        ("Ты полный идиот и ничего не понимаешь.", ("ru",), False),
        ("lol", ("und",), True),
        ("", ("und",), True),
        ("12345 :-) !!!", ("und",), True),
        ("@seannn181 youre a fag", ("und",), True),
        ("hello \x00 there my good friend \ud800 how are you", ("en",), True),
        ("https://example.de/das-ist-ein-langer-deutscher-satz", ("und",), True),
    ],
)
def test_languages(text, languages, english):
    found = detect(text)
    assert (found.languages, found.english) == (languages, english)


def test_foreign_words_around_english_hide_nothing():
    mixed = "Guten Morgen liebe Freunde wie geht es euch. You are such an idiot and I hate all of you people."
    assert detect(mixed).english


def test_language_tags():
    assert all(map(is_tag, ("en", "en-GB", "zh-Hant-TW", "pt_BR")))
    assert not any(map(is_tag, ("", "e", "en GB", "<b>", "en-", "x" * 9)))
    assert is_english("en")
    assert is_english("EN-gb")
    assert not is_english("enm")


@pytest.mark.parametrize("shared", [False, True])
def test_rates(tmp_path, shared):
    path = tmp_path / "limits"
    if shared:
        prepare_limits(path)
    limiters = [RateLimiter(path if shared else None)]
    if shared:
        limiters.append(RateLimiter(path))
    takes = [limiters[i % len(limiters)].take(7, 5.0, 1, now=1000.0) for i in range(12)]
    assert takes[:10] == [0] * 10
    assert takes[10] > 0
    assert limiters[0].take(8, 5.0, 1, now=1000.0) == 0  # another key
    assert limiters[-1].take(7, 5.0, 1, now=1000.5) == 0  # what half a second gives
    assert limiters[0].take(9, 5.0, 1000, now=1000.0) == 0  # a large request passes once
    assert limiters[-1].take(9, 5.0, 1, now=1100.0) == pytest.approx(98, abs=1)


def scores(rng, a, b, n):
    return rng.beta(a, b, (n, len(ATTRIBUTES))).astype(np.float32)


def test_drift_against_the_first_comments():
    rng = np.random.default_rng(0)
    drift = Drift({})
    assert drift.source == "first comments"
    drift.add(scores(rng, 1, 10, FIRST))
    assert drift.index() is None
    drift.add(scores(rng, 1, 10, WINDOW))
    assert max(drift.index().values()) < 0.1
    for _ in range(4):
        drift.add(scores(rng, 3, 3, WINDOW))
    assert min(drift.index().values()) > 0.25


def test_drift_against_the_bundles_own_scores():
    rng = np.random.default_rng(0)
    shares = np.histogram(rng.beta(1, 10, 10_000), BINS, (0, 1))[0] / 10_000
    drift = Drift({"score_distribution": {a: shares.tolist() for a in ATTRIBUTES}})
    assert drift.source == "bundle"
    drift.add(np.ones((300, 7), np.float32))
    assert min(drift.index().values()) > 1
    assert Drift({"score_distribution": {"toxicity": [1]}}).source == "first comments"


def test_a_reference_that_a_bundle_was_given_tells_its_own_comments_from_others(tiny_bundle):
    """What `export` and `calibrate` write is what the service reads."""
    rng = np.random.default_rng(0)
    ours = scores(rng, 1, 6, 3000)
    bundle = with_distribution(read_bundle(tiny_bundle), ours, "comments.csv")
    drift = Drift(json.loads(json.dumps(bundle.to_dict()))["figures"])
    assert drift.source == "bundle"
    drift.add(ours)
    assert max(drift.index().values()) < 0.002
    for _ in range(5):
        drift.add(scores(rng, 3, 3, WINDOW))
    assert min(drift.index().values()) > 0.5


def test_drift_is_a_metric():
    shares = np.histogram(np.random.default_rng(0).beta(1, 10, 10_000), BINS, (0, 1))[0] / 10_000
    metrics = Metrics(Policy({}), Drift({"score_distribution": {a: shares.tolist() for a in ATTRIBUTES}}))
    metrics.model_call(np.ones((300, 7), np.float32), 0.01)
    text = metrics.text(None).decode()
    for attribute in ATTRIBUTES:
        found = re.search(rf'giantkiller_score_drift{{attribute="{attribute}"}} (\S+)', text)
        assert float(found[1]) > 1


def test_scores_are_counted_together_and_none_is_left_out():
    metrics = Metrics(Policy({"toxicity": {"review": 0.5}}), Drift({}))
    for value in (0.1, 0.9, 0.9):
        metrics.model_call(np.full((2, len(ATTRIBUTES)), value, np.float32), 0.01)
    text = metrics.text(None).decode()
    assert 'giantkiller_actions_total{action="review"} 4.0' in text
    assert 'giantkiller_actions_total{action="allow"} 2.0' in text
    assert metrics.comments == 6


def test_lines_of_the_log_are_written_together():
    stream = io.StringIO()
    handler = _Together(stream)

    def lines_after(level):
        handler.handle(logging.makeLogRecord({"msg": "a line", "levelno": level}))
        return stream.getvalue().count("\n")

    async def busy():
        assert lines_after(logging.INFO) == 0
        assert lines_after(logging.INFO) == 0
        assert lines_after(logging.ERROR) == 3
        assert lines_after(logging.INFO) == 3
        await asyncio.sleep(0.3)
        assert stream.getvalue().count("\n") == 4

    asyncio.run(busy())
    assert lines_after(logging.INFO) == 5  # no loop could do it later


def test_a_line_about_a_request_is_what_a_record_of_it_would_be(monkeypatch):
    stream = io.StringIO()
    handler = _Together(stream)
    handler.setFormatter(_Json())
    monkeypatch.setattr(log, "handlers", [handler])
    monkeypatch.setattr(log, "propagate", False)
    monkeypatch.setattr(log, "level", logging.INFO)
    monkeypatch.setattr(log, "_cache", {})
    tell("request", {"route": "score", "ms": 1.5})
    log.info("request", extra={"fields": {"route": "score", "ms": 1.5}})
    one, other = (json.loads(line) for line in stream.getvalue().splitlines())
    assert one.pop("time")[:13] == other.pop("time")[:13]
    assert one == other == {"level": "info", "event": "request", "route": "score", "ms": 1.5}
    monkeypatch.setattr(log, "level", logging.WARNING)
    monkeypatch.setattr(log, "_cache", {})
    tell("request", {})
    assert stream.getvalue().count("\n") == 2


def test_scores_are_rounded_as_numpy_does():
    random = np.random.default_rng(0)
    scores = random.random((20_000, 7), np.float32)
    scores[:1000] = (random.integers(0, 10**6, (1000, 7)) + 0.5) / 1e6  # in the middle between two
    many = rounded(scores)
    assert many == scores.astype(float).round(6).tolist()
    assert [rounded(scores[i : i + 1])[0] for i in range(len(scores))] == many


def test_what_is_loaded_at_the_start_is_not_looked_through_for_garbage(tiny_bundle, tmp_path, monkeypatch):
    services = []
    monkeypatch.setattr(serving, "set_up", lambda level: None)
    monkeypatch.setattr(sys, "setswitchinterval", lambda seconds: None)
    try:
        serving._application(Settings(model=str(tiny_bundle), state=tmp_path / "state"), services.append)
        assert gc.get_freeze_count() > 1000
        (service,) = services
        service.change(service.screener, None)
        assert gc.get_freeze_count() == 0
        service.store.close()
    finally:
        gc.unfreeze()


def test_the_description_is_whole(server):
    found = server.client.get("/openapi.json").json()
    assert found["openapi"] == "3.1.0"
    assert found["servers"] == [{"url": server.url}]
    known = set(found["components"]["schemas"])
    for reference in set(refs(found)):
        assert reference.rpartition("/")[2] in known
    ids = [m["operationId"] for path in found["paths"].values() for m in path.values()]
    assert len(ids) == len(set(ids))
    # Every example is answered as described.
    for path, methods in found["paths"].items():
        for method, operation in methods.items():
            if method == "get":
                admin = {"Authorization": f"Bearer {server.make_key('admin')}"}
                assert server.client.get(path, headers=admin).status_code == 200
                continue
            for media, content in operation["requestBody"]["content"].items():
                example = content.get("example")
                if example is None:
                    continue
                body = example if isinstance(example, str) else json.dumps(example)
                answer = httpx.post(
                    server.url + path, content=body, headers={**server.bearer, "Content-Type": media}
                )
                assert answer.status_code == 200, (path, answer.text)


def refs(value):
    if isinstance(value, dict):
        for key, item in value.items():
            if key == "$ref":
                yield item
            else:
                yield from refs(item)
    elif isinstance(value, list):
        for item in value:
            yield from refs(item)


def test_what_runs_beside_the_service(tiny_bundle, tmp_path):
    """It begins and ends with the service, and a failure does not end it."""
    import asyncio

    from giantkiller.serve import service as module
    from giantkiller.serve.settings import Settings

    seen = []

    async def beside():
        seen.append("begins")
        if len(seen) == 1:
            raise ValueError("once")
        try:
            await asyncio.sleep(60)
        finally:
            seen.append("ends")

    async def scene():
        service = module.open_service(Settings(model=str(tiny_bundle), state=tmp_path))
        service.background.append(beside)
        await service.start()
        while len(seen) < 2:
            await asyncio.sleep(0.01)
        await service.stop()

    real, asyncio.sleep = asyncio.sleep, lambda seconds: real(min(seconds, 0.5))
    try:
        asyncio.run(scene())
    finally:
        asyncio.sleep = real
    assert seen == ["begins", "begins", "ends"]
