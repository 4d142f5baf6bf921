import json

from servers import error_of

from giantkiller.serve.batch import read_parts
from giantkiller.serve.perspective import MAX_BYTES

CALL = {"comment": {"text": "You idiot"}, "requestedAttributes": {"TOXICITY": {}}}


def part(number, body, path="/v1alpha1/comments:analyze?key=KEY&alt=json", method="POST"):
    """As google-api-python-client writes one."""
    return (
        "Content-Type: application/http\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: binary\r\n"
        f"Content-ID: <5d0d + {number}>\r\n\r\n"
        f"{method} {path} HTTP/1.1\r\ncontent-type: application/json\r\nMIME-Version: 1.0\r\n"
        f"content-length: {len(body)}\r\nHost: localhost\r\n\r\n{body}"
    )


def send(server, parts, boundary="===0=="):
    lines = [f"--{boundary}\r\n{text}\r\n" for text in parts] + [f"--{boundary}--\r\n"]
    return server.client.post(
        "/batch",
        content="".join(lines).replace("KEY", server.key).encode(),
        headers={"Content-Type": f'multipart/mixed; boundary="{boundary}"'},
    )


def answers(response):
    """Read an answer's parts: (Content-ID, status, body)."""
    import email

    head = f"Content-Type: {response.headers['content-type']}\r\n\r\n".encode()
    for each in email.message_from_bytes(head + response.content).get_payload():
        status, _, rest = each.get_payload().partition("\r\n")
        body = rest.partition("\r\n\r\n")[2]
        yield each["Content-ID"], int(status.split()[1]), json.loads(body)


def test_answers_come_in_order_with_their_ids(server):
    texts = ["You idiot", "Thanks", "", "--===0==\n--===0== inside", "a\r\n\r\nb"]
    parts = [part(i, json.dumps({**CALL, "comment": {"text": text}})) for i, text in enumerate(texts)]
    parts.append(part(5, "{}", path="/v1/policy", method="GET"))
    parts.append(part(6, json.dumps(CALL), path="/v1alpha1/comments:analyze?key=wrong"))
    suggestion = {"comment": {"text": "a"}, "attributeScores": {"TOXICITY": {"summaryScore": {"value": 1}}}}
    parts.append(part(7, json.dumps(suggestion), path="/v1alpha1/comments:suggestscore?key=KEY"))
    response = send(server, parts)
    assert response.status_code == 200
    got = list(answers(response))
    assert [id_ for id_, _, _ in got] == [f"<response-5d0d + {i}>" for i in range(8)]
    assert [status for _, status, _ in got] == [200, 200, 400, 200, 200, 404, 400, 200]
    expected = server.service.screener.scores([t for t in texts if t])[:, 0]
    values = [b["attributeScores"]["TOXICITY"]["summaryScore"]["value"] for _, s, b in got[:5] if s == 200]
    assert all(abs(a - b) < 1e-6 for a, b in zip(values, expected, strict=True))


def test_a_thousand_parts_and_one_more(server):
    parts = [part(i, json.dumps(CALL)) for i in range(1001)]
    assert len(list(answers(send(server, parts[:1000])))) == 1000
    error_of(send(server, parts), 400)


def test_no_part_is_refused_for_the_others(serve):
    """All of them at once are more than may wait where each is a request of its own."""
    with serve(max_wait_ms=2) as server:
        call = {**CALL, "comment": {"text": "You idiot " * 100}}
        response = send(server, [part(i, json.dumps(call)) for i in range(300)])
        assert {status for _, status, _ in answers(response)} == {200}


def test_a_part_that_is_too_large(server):
    call = {**CALL, "clientToken": "x" * MAX_BYTES}
    response = send(server, [part(0, json.dumps(call)), part(1, json.dumps(CALL))])
    assert [status for _, status, _ in answers(response)] == [413, 200]


def test_what_is_no_batch(server):
    post = server.client.post
    error_of(post("/batch", content=b"{}"), 400)
    error_of(post("/batch", content=b"", headers={"Content-Type": "multipart/mixed; boundary=x"}), 400)
    error_of(
        post(
            "/batch", content=b"--x\r\n\r\n\r\n--x--", headers={"Content-Type": "multipart/mixed; boundary=x"}
        ),
        400,
    )
    error_of(send(server, ["nothing of a request"]), 400)


def test_lines_that_end_without_a_carriage_return():
    body = b"--b\nContent-ID: <1>\n\nPOST http://host/v1alpha1/x?key=k HTTP/1.1\nA: b\n\n{}\n--b--\n"
    (only,) = read_parts("multipart/mixed; boundary=b", body)
    assert (only.path, only.query, only.headers, only.body) == ("/v1alpha1/x", b"key=k", {"a": "b"}, b"{}")
