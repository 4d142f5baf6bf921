"""Who is refused before the body is read, and that the connection goes on after it."""

import json
import logging
import re
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from giantkiller.policy import Policy
from giantkiller.serve.door import SMALL_BODY, Door
from giantkiller.serve.drift import Drift
from giantkiller.serve.ids import RequestIds
from giantkiller.serve.metrics import Metrics


class Queue:
    """Refuses from some number of coming requests on, or from some lateness."""

    def __init__(self, most=3, latest=1.0):
        self.most, self.latest = most, latest
        self.late = 0.0

    def refuses(self, coming, late):
        self.late = late
        return coming >= self.most or late > self.latest


def a_door(queue):
    return Door(lambda: queue, Metrics(Policy({}), Drift({})), RequestIds())


def test_requests_of_one_breath_count_before_they_reach_the_queue():
    door = a_door(Queue(most=10))
    for _ in range(5):
        assert not door.refuses()
        door.enter()
    door.begun()
    for _ in range(5):
        door.enter()
    door.begun()
    assert not door.refuses()


def test_how_late_the_loop_is():
    queue = Queue(most=1000, latest=1e9)
    door = a_door(queue)
    assert not door.refuses()
    assert queue.late == 0
    for _ in range(20):
        door.enter()
    time.sleep(0.03)
    assert not door.refuses()
    assert queue.late >= 0.03  # the first one has waited that long, and has not begun
    for _ in range(20):
        door.begun()
    assert not door.refuses()
    assert queue.late >= 0.03  # the next ones waited meanwhile for the loop to come back to them
    time.sleep(0.02)
    assert not door.refuses()
    assert queue.late == 0


def test_one_request_that_was_slow_to_begin_says_nothing_about_load():
    queue = Queue(most=1000, latest=1e9)
    door = a_door(queue)
    door.enter()
    time.sleep(0.03)
    door.begun()
    assert not door.refuses()
    assert queue.late == 0


@pytest.fixture
def full(server, monkeypatch):
    """A server whose queue is full until it is told otherwise."""
    batcher = server.service.batcher
    monkeypatch.setattr(batcher, "refuses", lambda *_: True)
    return lambda full: monkeypatch.setattr(batcher, "refuses", lambda *_: full)


def head(server, path="/v1/score", length=13, more=""):
    return (
        f"POST {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {server.key}\r\n"
        f"Content-Length: {length}\r\n{more}\r\n"
    ).encode()


def answer(connection):
    got = b""
    while b"\r\n\r\n" not in got:
        got += connection.recv(65536)
    top, _, body = got.partition(b"\r\n\r\n")
    length = int(top.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    while len(body) < length:
        body += connection.recv(65536)
    assert len(body) == length
    return int(top[9:12]), top.lower(), json.loads(body)


ONE = b'{"text": "a"}'


def refused(connection):
    status, top, body = answer(connection)
    assert status == 503
    assert b"retry-after: 1" in top
    assert body["error"]["status"] == "UNAVAILABLE"
    assert body["error"]["details"]
    return re.search(rb"\r\nx-request-id: (\S+)", top)[1].decode()


def test_refused_before_the_body_and_the_connection_goes_on(server, full):
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        for _ in range(2):
            connection.sendall(head(server, "/v1alpha1/comments:analyze?key=a"))
            refused(connection)  # nothing of the body was sent
            connection.sendall(ONE)
        full(False)
        connection.sendall(head(server) + ONE)
        assert answer(connection)[0] == 200


@pytest.mark.parametrize("path", ["/v1/score", "/v1/judge"])
def test_one_comment_that_comes_with_its_head_is_refused(server, full, path):
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall((head(server, path) + ONE) * 3)  # each is looked at by itself
        got = b""
        while got.count(b"OVERLOADED") < 3:
            got += connection.recv(65536)
        assert got.count(b"HTTP/1.1 503 ") == 3
        full(False)
        while not got.endswith(b"}"):
            got += connection.recv(65536)
        connection.sendall(head(server, path) + ONE)
        assert answer(connection)[0] == 200


@pytest.mark.parametrize("path", ["/v1/score", "/v1/judge"])
@pytest.mark.parametrize("count", [2, 9, 100])
def test_several_comments_are_let_in_however_short(server, full, path, count):
    """They may wait longer than one, and the queue knows how long."""
    body = json.dumps({"texts": ["a"] * count}).encode()
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(head(server, path) + ONE)
        refused(connection)
        sent = head(server, path, len(body))
        connection.sendall(sent + body)
        status, _, found = answer(connection)
        assert (status, len(found["results"])) == (200, count)
        connection.sendall(sent)
        time.sleep(0.05)  # whether they are several can't be seen yet
        connection.sendall(body)
        assert answer(connection)[0] == 200


def test_hundreds_of_comments_at_once_are_refused_by_nobody(server):
    bodies = [{"texts": [f"comment {i} you idiot" for i in range(size)]} for size in (9, 30, 100)]
    with ThreadPoolExecutor(8) as clients:
        answers = list(clients.map(lambda i: server.post("/v1/score", bodies[i % 3]), range(60)))
    assert {one.status_code for one in answers} == {200}


def test_refusals_have_an_id_and_a_line_and_hide_no_wait(server, full, caplog):
    caplog.set_level(logging.INFO, "giantkiller.serve")

    def counted(name):
        found = re.search(rf"^{name} (\S+)$", server.client.get("/metrics").text, re.MULTILINE)
        return float(found[1]) if found else 0.0

    names = (
        'giantkiller_requests_total{route="analyze",status="503"}',
        'giantkiller_refused_total{reason="load"}',
        'giantkiller_request_seconds_count{route="analyze"}',
    )
    before = [counted(re.escape(name)) for name in names]
    path = "/v1alpha1/comments:analyze?key=a"
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        ids = []
        for more in ("X-Request-Id: mine-1\r\n", "X-Request-Id: not <mine>\r\n", ""):
            connection.sendall(head(server, path, more=more) + ONE)
            ids.append(refused(connection))
    assert ids[0] == "mine-1"
    assert len(set(ids)) == 3
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+", one) for one in ids)
    after = [counted(re.escape(name)) for name in names]
    assert [a - b for a, b in zip(after, before, strict=True)] == [3, 3, 0]
    until = time.monotonic() + 10
    said = []
    # The first line may be of what an earlier test had refused.
    while not set(ids) <= {one for fields in said for one in fields["request_ids"]}:
        assert time.monotonic() < until
        time.sleep(0.05)
        said = [r.fields for r in caplog.records if r.getMessage() == "refused for load"]
    assert sum(fields["requests"] for fields in said) >= 3


@pytest.mark.parametrize("more", ["Connection: close\r\n", "close in HTTP/1.0"])
def test_a_connection_that_shall_close_closes(server, full, more):
    sent = head(server, "/v1alpha1/comments:analyze?key=a", more=more if ":" in more else "")
    if ":" not in more:
        sent = sent.replace(b"HTTP/1.1", b"HTTP/1.0")
    got = server.raw(sent, wait=10)
    assert got.startswith(b"HTTP/1.1 503")
    assert b"connection: close" in got


def test_what_the_door_lets_pass(server, full):
    assert server.client.get("/healthz").status_code == 200
    assert server.post("/v1/score", {"text": "a" * SMALL_BODY}).status_code == 200
    assert server.client.get("/v1/score").status_code == 405


def test_many_at_once_are_answered_or_refused(serve):
    with serve(max_wait_ms=1, log_level="info") as server:
        connections = [socket.create_connection(("127.0.0.1", server.port), timeout=20) for _ in range(60)]
        try:
            for connection in connections:
                connection.sendall(head(server) + b'{"text": "a"}')
            statuses = [answer(connection)[0] for connection in connections]
        finally:
            for connection in connections:
                connection.close()
        assert set(statuses) <= {200, 503}
        assert 200 in statuses
        assert server.post("/v1/score", {"text": "a"}).status_code == 200
        assert server.service.door._coming == 0
