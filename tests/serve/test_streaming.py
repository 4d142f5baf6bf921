import json
import threading
import time

import pytest
from servers import error_of

from giantkiller.attributes import ATTRIBUTES
from giantkiller.serve import streaming


def screen(server, content, **more):
    response = server.client.post("/v1/screen", content=content, headers=server.bearer, **more)
    assert response.status_code == 200
    return [json.loads(line) for line in response.text.splitlines()]


def test_each_line_comes_back_in_its_place(server):
    lines = [
        b'{"id": 1, "text": "You idiot"}',
        b"",
        b"{broken",
        b'{"id": 2}',
        b'{"id": 3, "text": null}',
        b'"Thanks"',
        b"[1]",
        b'{"text": "\\ud800 idiot", "error": "old"}',
        b'{"text": "\xff"}',
        b'{"text": "' + b"a" * (1 << 20) + b'"}',
        b'{"text": "' + b"a" * 20_481 + b'"}',
        b"[" * 100_000,
        b'{"id": 4, "text": "last"}',
    ]
    rows = screen(server, b"\n".join(lines))
    assert len(rows) == len(lines) - 1
    errors = ["error" in row for row in rows]
    assert errors == [False, True, True, True, False, True, False, True, True, True, True, False]
    assert list(rows[0]) == ["id", "text", *ATTRIBUTES, "action"]
    expected = server.service.screener.scores(["You idiot"])[0]
    assert [rows[0][a] for a in ATTRIBUTES] == pytest.approx(expected, abs=1e-6)
    assert rows[0]["action"] == "review"
    assert rows[2]["id"] == 2
    assert rows[4]["text"] == "Thanks"
    assert rows[-1]["id"] == 4


def test_what_is_read_into_objects_at_once_is_bounded_in_bytes(server, monkeypatch):
    seen = []
    screened = streaming._screened

    async def watched(lines, *rest):
        seen.append(sum(map(len, lines)))
        return await screened(lines, *rest)

    monkeypatch.setattr(streaming, "_screened", watched)
    rows = screen(server, b'{"text": "idiot", "more": "%b"}\n' % (b"x" * 400_000) * 12)
    assert [row["insult"] > 0.9 for row in rows] == [True] * 12
    assert len(seen) >= 4
    assert max(seen) < streaming.TOGETHER_BYTES + streaming.MAX_LINE


def test_another_column(server):
    (row,) = screen(server, b'{"body": "idiot"}\n', params={"column": "body"})
    assert row["insult"] > 0.9
    error_of(server.client.post("/v1/screen?column=", content=b"", headers=server.bearer), 400)


def test_nothing_in_nothing_out(server):
    assert screen(server, b"") == []
    assert screen(server, b"\n\n") == []


def test_a_client_that_sends_everything_before_it_reads(server):
    """Most do. What comes back is larger than any socket's buffers."""
    lines = 20_000

    def body():
        for i in range(0, lines, 100):
            yield b"".join(b'{"text": "comment %d you idiot"}\n' % j for j in range(i, i + 100))

    rows = screen(server, body())
    assert len(rows) == lines
    assert rows[-1]["text"] == f"comment {lines - 1} you idiot"


def test_single_comments_pass_a_stream(server):
    stop = threading.Event()

    def body():
        while not stop.is_set():
            yield b'{"text": "you are stupid and I hope you never come back here"}\n' * 200
            time.sleep(0.02)

    stream = threading.Thread(target=lambda: screen(server, body()))
    stream.start()
    try:
        time.sleep(0.3)
        answers = [server.analyze("You idiot") for _ in range(20)]
    finally:
        stop.set()
        stream.join()
    assert {answer.status_code for answer in answers} == {200}


def test_only_so_many_streams(serve):
    with serve(streams=1) as server:
        release = threading.Event()

        def body():
            yield b'{"text": "a"}\n'
            release.wait(10)

        stream = threading.Thread(target=lambda: screen(server, body()))
        stream.start()
        try:
            while not server.service.streams:
                time.sleep(0.01)
            refused = server.client.post("/v1/screen", content=b"", headers=server.bearer)
            error_of(refused, 503)
            assert "retry-after" in refused.headers
        finally:
            release.set()
            stream.join()
        assert screen(server, b'"a"')[0]["text"] == "a"


def test_a_stream_that_falls_silent(serve):
    with serve(timeout=0.3) as server:
        head = f"POST /v1/screen?key={server.key} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
        sent = head + "Transfer-Encoding: chunked\r\n\r\n"
        got = server.raw(sent.encode() + b'F\r\n{"text": "hi"}\n\r\n', wait=3)
        assert b"the rest is missing" in got
        assert server.service.streams == 0
