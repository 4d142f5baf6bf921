"""Hostile requests: an error in the contract's shape, no 5xx, and no comment in the log."""

import gzip
import json
import logging
import select
import socket
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from servers import error_of

from giantkiller.serve.perspective import MAX_BYTES

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


def without(value, at):
    copy = dict(value) if isinstance(value, dict) else list(value)
    if len(at) > 1:
        copy[at[0]] = without(copy[at[0]], at[1:])
    else:
        del copy[at[0]]
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


CALLS = {
    "/v1alpha1/comments:analyze": FULL,
    "/v1alpha1/comments:suggestscore": {
        "comment": {"text": SECRET, "type": "PLAIN_TEXT"},
        "attributeScores": {
            "TOXICITY": {
                "summaryScore": {"value": 1, "type": "PROBABILITY"},
                "spanScores": [{"begin": 0, "end": 5, "score": {"value": 0.5}}],
            }
        },
        "context": {"articleAndParentComment": {"article": {"text": "a"}, "parentComment": {"text": "b"}}},
        "languages": ["en"],
        "clientToken": "x",
        "communityId": "c",
    },
    "/v1/score": {"text": SECRET, "attributes": ["toxicity"], "explain": "insult"},
    "/v1/judge": {"texts": [SECRET], "policy": {"toxicity": {"review": 0.5, "remove": None}}},
    "/v1/hooks/matrix/check_event_for_spam": {
        "event": {
            "type": "m.room.message",
            "sender": "@ada:example.org",
            "room_id": "!r:example.org",
            "event_id": "$e",
            "content": {"body": SECRET, "m.new_content": {"body": SECRET}, "m.relates_to": {"a": 1}},
        }
    },
    "/v1/hooks/matrix/ping": {"id": "a"},
    "/api/v1/classify": {"model": "unbiased", "content": SECRET},
}
GONE = object()
PLACES = [(path, at) for path, body in CALLS.items() for at in fields(body)]


@pytest.mark.parametrize(("path", "at"), PLACES, ids=str)
def test_every_field_wrong_or_missing(server, path, at):
    deep = "x"
    for _ in range(400):
        deep = {"a": [deep]}
    for wrong in [*WRONG, deep, *([GONE] if at else [])]:
        body = without(CALLS[path], at) if wrong is GONE else with_changed(CALLS[path], at, wrong)
        response = server.client.post(path, content=json.dumps(body), headers=server.bearer)
        if "/matrix/" in path:
            assert response.status_code in (200, 400)
        elif response.status_code != 200:
            error_of(response, 400)
        if response.status_code != 200:
            assert SECRET not in response.text
            assert "9" * 50 not in response.text


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


POSTS = [*CALLS, "/v1/screen", "/batch"]
BOMB = gzip.compress(b"[" * (32 << 20))


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "gzip, gzip", "GZIP", "x"])
def test_compressed_bodies_are_refused_unread(server, path, encoding):
    headers = {**server.bearer, "Content-Encoding": encoding}
    response = server.client.post(path, content=BOMB, headers=headers)
    assert response.status_code == 415
    if "/matrix/" not in path:
        error_of(response, 415)


@pytest.mark.parametrize("path", POSTS)
def test_a_compressed_body_that_says_nothing_of_it_is_no_json(server, path):
    response = server.client.post(path, content=BOMB[:50_000], headers=server.bearer)
    if path == "/v1/screen":  # which has an answer for each line
        assert all("error" in json.loads(line) for line in response.text.splitlines())
    else:
        assert response.status_code in (400, 415)


@pytest.mark.parametrize("path", list(CALLS))
@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "a\xff", "x" * 5000, ""])
def test_what_a_content_type_says_of_json_makes_no_difference(server, path, kind):
    headers = {**server.bearer, "Content-Type": kind.encode("latin-1")}
    assert server.client.post(path, content=json.dumps(CALLS[path]), headers=headers).status_code == 200
    response = server.client.post(path, content=b"text=" + SECRET.encode(), headers=headers)
    assert response.status_code in (400, 415)
    assert SECRET not in response.text


def test_bodies_beyond_the_limit(server):
    limit = server.service.settings.max_body
    error_of(server.analyze_raw(b" " * (limit + 1)), 413)
    chunks = (b" " * 65536 for _ in range(limit // 65536 + 2))
    error_of(server.client.post("/v1/score", content=chunks, headers=server.bearer), 413)
    # Perspective's calls have one comment each.
    error_of(server.analyze_raw(b" " * (MAX_BYTES + 1)), 413)
    many = [{"begin": 0, "end": 1, "score": {"value": 1}}] * 100_000
    body = {"comment": {"text": "a"}, "attributeScores": {"TOXICITY": {"spanScores": many}}}
    error_of(server.post("/v1alpha1/comments:suggestscore", body), 413)


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


def ask_again_and_again(connection, request):
    until = time.monotonic() + 10
    while time.monotonic() < until:
        connection.sendall(request)
        time.sleep(0.01)


def test_a_client_that_never_reads_its_answers_is_given_up(serve, monkeypatch):
    from giantkiller.serve import protocol

    monkeypatch.setattr(protocol, "UNREAD_SECONDS", 0.2)
    body = json.dumps({"texts": ["a"] * 1000}).encode()
    with serve(open=True) as server:
        ask = b"POST /v1/score HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n%b" % (
            len(body),
            body,
        )
        with socket.socket() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.settimeout(10)
            connection.connect(("127.0.0.1", server.port))
            with pytest.raises((ConnectionResetError, BrokenPipeError)):
                ask_again_and_again(connection, ask)
        assert server.client.get("/healthz").status_code == 200


def test_a_client_that_reads_slowly_gets_everything(serve, monkeypatch):
    from giantkiller.serve import protocol

    monkeypatch.setattr(protocol, "UNREAD_SECONDS", 0.2)
    token = "x" * 900_000
    call = {**CALL, "clientToken": token}
    body = json.dumps(call).encode()
    with serve(open=True) as server, socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        connection.settimeout(10)
        connection.connect(("127.0.0.1", server.port))
        head = "POST /v1alpha1/comments:analyze HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        got = b""
        while part := connection.recv(40_000):
            got += part
            time.sleep(0.03)
        assert json.loads(got.partition(b"\r\n\r\n")[2])["clientToken"] == token


def test_bodies_that_arrive_at_once_take_no_more_than_so_much_memory(serve, monkeypatch):
    from giantkiller.serve import http

    monkeypatch.setattr(http, "MOST_ARRIVING", 1_000_000)
    head = b"POST /batch HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n\r\n"
    with serve(timeout=5) as server:
        connections = [socket.create_connection(("127.0.0.1", server.port), timeout=10) for _ in range(3)]
        try:
            for connection in connections:
                connection.sendall(head + b"x" * 600_000)
            until = time.monotonic() + 10
            ready = []
            while not ready:
                assert time.monotonic() < until
                ready = select.select(connections, [], [], 0.1)[0]
            for connection in ready:
                assert connection.recv(65536).startswith(b"HTTP/1.1 503")
            assert len(ready) < 3
        finally:
            for connection in connections:
                connection.close()
        while server.service.arriving:
            assert time.monotonic() < until
            time.sleep(0.01)
        error_of(server.analyze_raw(b" " * 1_040_000), 400)  # larger than that, but alone


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
    server.post("/v1alpha1/comments:suggestscore", CALLS["/v1alpha1/comments:suggestscore"])
    server.client.post("/v1/screen", content=f'{{"text": "{SECRET}"}}\n{SECRET}', headers=server.bearer)
    server.post("/v1/hooks/matrix/check_event_for_spam", CALLS["/v1/hooks/matrix/check_event_for_spam"])

    def records():
        return [vars(record) for record in caplog.records if record.name == "giantkiller.serve"]

    def routes():
        return {record.get("fields", {}).get("route") for record in records()}

    # A line is written after its answer, and the line of an earlier test's request may come late.
    until = time.monotonic() + 5
    told = {"analyze", "judge", "score", "suggestscore", "screen", "matrix_event"}
    while not told <= routes() or len(records()) < 7:
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
