"""Hostile requests: an error in the contract's shape, no 5xx, and no comment in the log."""

import json
import logging
import socket
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from servers import error_of

SECRET = "zebra-crossing"
CALL = {"comment": {"text": SECRET}, "requestedAttributes": {"TOXICITY": {}}}


def fields(value, at=()):
    """Every place in a body."""
    yield at
    if isinstance(value, dict):
        for key, item in value.items():
            yield from fields(item, (*at, key))
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from fields(item, (*at, i))


def with_changed(value, at, new):
    if not at:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[at[0]] = with_changed(copy[at[0]], at[1:], new)
    return copy


FULL = {
    "comment": {"text": SECRET, "type": "PLAIN_TEXT"},
    "context": {"entries": [{"text": "a", "type": "PLAIN_TEXT"}]},
    "requestedAttributes": {"TOXICITY": {"scoreType": "PROBABILITY", "scoreThreshold": 0.1}},
    "spanAnnotations": False,
    "languages": ["en"],
    "doNotStore": True,
    "clientToken": "x",
    "sessionId": "s",
    "communityId": "c",
}
WRONG = [None, 5, -1.5, "", "x", [], {}, [[]], {"a": {"b": []}}, True, "9" * 5000, 10**400, ["\ud800"]]


@pytest.mark.parametrize("at", list(fields(FULL)), ids=str)
def test_every_field_wrong(server, at):
    for wrong in WRONG:
        response = server.analyze_raw(json.dumps(with_changed(FULL, at, wrong)))
        if response.status_code != 200:
            error = error_of(response, 400)
            assert SECRET not in error["message"]


JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text() | st.integers(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@pytest.mark.parametrize(
    "path",
    ["/v1alpha1/comments:analyze", "/v1alpha1/comments:suggestscore", "/v1/score", "/v1/judge", "/v1/screen"],
)
def test_any_json(server, path):
    @settings(max_examples=60, deadline=None)
    @given(JSON)
    def check(value):
        response = server.post(path, value)
        assert response.status_code in (200, 400)

    check()


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"nul",
        b'{"comment":' + b"[" * 100_000,
        b'{"comment":' + b'{"a":' * 100_000,
        b"\xff\xfe\x00",
        b'{"comment": {"text": "\xff"}}',
        b'{"comment": {"text": "a\x00"}}',
        b'{"comment": {"text": NaN}}',
        b"\xef\xbb\xbf{}",
        b"\x1f\x8b\x08\x00" + b"\x00" * 100,
        b"comment=a",
        b"<xml/>",
        b" " * 1_000_000,
    ],
    ids=repr,
)
@pytest.mark.parametrize(
    "path", ["/v1alpha1/comments:analyze", "/v1alpha1/comments:suggestscore", "/v1/score"]
)
def test_bodies_that_are_no_json(server, path, body):
    response = server.client.post(path, content=body, headers=server.bearer)
    error_of(response, response.status_code)
    assert response.status_code in (400, 415)


@pytest.mark.parametrize("path", ["/v1alpha1/comments:analyze", "/v1/score", "/v1/screen", "/batch"])
def test_compressed_bodies_are_refused_unread(server, path):
    headers = {**server.bearer, "Content-Encoding": "gzip"}
    error_of(server.client.post(path, content=b"\x1f\x8b", headers=headers), 415)


def test_bodies_beyond_the_limit(server):
    limit = server.service.settings.max_body
    error_of(server.analyze_raw(b" " * (limit + 1)), 413)
    chunks = (b" " * 65536 for _ in range(limit // 65536 + 2))
    error_of(server.client.post("/v1/score", content=chunks, headers=server.bearer), 413)


@pytest.mark.parametrize(
    "path",
    ["/nothing", "/v1/../v1/model", "//", "/v1/model/", "/%2e%2e/etc/passwd", "/v1alpha1/comments%3a/x",
     "/static/..%5c", "/%00", "/" + "a" * 5000],
)  # fmt: skip
def test_paths_that_lead_nowhere(server, path):
    got = server.raw(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
    assert got.startswith(b"HTTP/1.1 404"), got[:100]
    assert json.loads(got.partition(b"\r\n\r\n")[2])["error"]["status"] == "NOT_FOUND"


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_other_methods(server, method):
    error_of(server.client.request(method, "/v1/score"), 405)


@pytest.mark.parametrize(
    ("head", "code"),
    [
        (b"NONSENSE\r\n\r\n", 400),
        (b"GET / HTTP/9.9\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 500 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 100_000, 431),
        (b"GET /" + b"a" * 200_000, 431),
        (b"POST /v1/score HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n", 400),
        (b"POST /v1/score HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", 400),
        (
            b"POST /v1/score HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            400,
        ),
        (b"POST /v1/score HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"CONNECT a:1 HTTP/1.1\r\n\r\n", 400),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_what_is_hardly_http(server, head, code):
    got = server.raw(head, wait=2)
    assert got.startswith(b"HTTP/1.1 %d" % code) or (code == 400 and got.startswith(b"HTTP/1.1 4")), got[:200]
    body = json.loads(got.partition(b"\r\n\r\n")[2])
    assert body["error"]["details"]


def test_slow_clients(server, monkeypatch):
    from giantkiller.serve import protocol

    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.3)
    began = time.monotonic()
    assert server.raw(b"GET / HTT").startswith(b"HTTP/1.1 408")
    assert server.raw(b"") == b""
    assert time.monotonic() - began < 3


def test_a_body_that_never_comes(serve):
    with serve(timeout=0.3) as server:
        head = f"POST /v1/score?key={server.key} HTTP/1.1\r\nHost: a\r\nContent-Length: 50\r\n\r\n".encode()
        assert server.raw(head + b'{"text":').startswith(b"HTTP/1.1 408")
        # One that leaves in the middle harms nobody.
        with socket.create_connection(("127.0.0.1", server.port)) as gone:
            gone.sendall(head + b'{"te')
        assert server.post("/v1/score", {"text": "a"}).status_code == 200


def test_pipelined_requests_are_answered_in_order(server):
    get = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
    got = server.raw(get * 5 + b"GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert got.count(b"HTTP/1.1 200") == 5
    assert got.count(b"HTTP/1.1 404") == 1


def test_an_unexpected_failure_is_told_without_the_text(server, caplog, monkeypatch):

    def broken(texts):
        raise RuntimeError(f"can't do {texts}")

    monkeypatch.setattr(server.service.screener, "scores", broken)
    response = server.analyze_raw(json.dumps(CALL))
    error = error_of(response, 500)
    assert error["status"] == "INTERNAL"
    (failure,) = [r for r in caplog.records if r.getMessage() == "failure"]
    assert failure.fields["request_id"] == response.headers["x-request-id"]
    assert failure.fields["error"] == "RuntimeError"
    assert SECRET not in str([vars(r) for r in caplog.records])


def test_no_comment_and_no_key_in_the_log(server, caplog):
    caplog.set_level(logging.INFO, "giantkiller.serve")
    server.analyze_raw(json.dumps(CALL))
    server.client.get(f"/{SECRET}?key={server.key}&text={SECRET}")
    server.post("/v1/judge", {"text": SECRET, "explain": True})
    server.post("/v1/score", {"text": {"a": SECRET}})

    def records():
        return [vars(record) for record in caplog.records if record.name == "giantkiller.serve"]

    def routes():
        return {record.get("fields", {}).get("route") for record in records()}

    # A line is written after its answer, and the line of an earlier test's request may come late.
    until = time.monotonic() + 5
    while not {"analyze", "judge", "score"} <= routes() or len(records()) < 4:
        assert time.monotonic() < until, routes()
        time.sleep(0.01)
    log = str(records())
    assert SECRET not in log
    assert server.key not in log


def test_request_ids(server):
    assert server.client.get("/healthz").headers["x-request-id"]
    kept = server.client.get("/healthz", headers={"X-Request-Id": "abc-1"})
    assert kept.headers["x-request-id"] == "abc-1"
    for bad in ("a b", "x" * 65, '"'):
        assert server.client.get("/healthz", headers={"X-Request-Id": bad}).headers["x-request-id"] != bad
