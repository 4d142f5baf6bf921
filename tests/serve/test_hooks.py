"""Hooks: what other programs call by contracts of their own, over a real server on loopback."""

import base64
import hashlib
import hmac
import json
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from servers import error_of, running
from sqlalchemy import select

from giantkiller.desk.app import compose
from giantkiller.desk.policies import CommunityPolicy, write_policy
from giantkiller.desk.tables import communities, items, tasks
from giantkiller.store import utc_now

CORAL = "a secret that Coral has made"
KEY = b"thirty-two bytes for the webhook"
STANDARD = "whsec_" + base64.b64encode(KEY).decode()
HARMLESS, FLAGGED, TOXIC = "thanks", "stupid", "idiot idiot"  # below and above the thresholds of the bundle
GERMAN = "Du bist ein idiot idiot und das weißt du auch ganz genau, mein lieber Freund."


@pytest.fixture(scope="module")
def hooked(tiny_bundle, tmp_path_factory):
    """The service and its desk, with both hooks that need a secret switched on."""
    with running(
        compose, model=str(tiny_bundle), state=tmp_path_factory.mktemp("state"),
        coral_secrets=[CORAL], webhook_secrets=[STANDARD], webhook_window=60,
    ) as started:  # fmt: skip
        yield started


def kept(server):
    """What the desk has, oldest first."""
    with server.service.store.read() as connection:
        return connection.execute(select(items).order_by(items.c.number)).all()


# Coral.


def request_of(text, author="ada", **more):
    """What Coral sends: see its EXTERNAL_MODERATION_PHASES.md."""
    return {
        "action": "NEW",
        "comment": {"body": text, "parentID": None},
        "author": {"id": author, "role": "COMMENTER"},
        "story": {"id": "s1", "url": "https://news.example/s1"},
        "site": {"id": "site"},
        "tenantID": "t1",
        "tenantDomain": "news.example",
        **more,
    }


def ask_coral(server, call, path="/v1/hooks/coral", secret=CORAL, header=None):
    body = json.dumps(call).encode()
    header = header or "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return server.client.post(path, content=body, headers={"X-Coral-Signature": header})


@pytest.mark.parametrize(
    ("text", "status"),
    [(HARMLESS, 204), (FLAGGED, None), (TOXIC, "SYSTEM_WITHHELD"), ("  ", 204), (GERMAN, 204)],
)
def test_coral_is_told_what_becomes_of_a_comment(hooked, text, status):
    answer = ask_coral(hooked, request_of(text))
    if status == 204:
        assert (answer.status_code, answer.content) == (204, b"")
        return
    assert answer.status_code == 200
    assert answer.json().get("status") == status
    assert answer.json()["actions"] == [{"actionType": "FLAG", "reason": "COMMENT_DETECTED_TOXIC"}]
    assert not any(row.author == "ada" for row in kept(hooked))


def test_what_coral_withholds_waits_at_the_desk(hooked):
    address = "/v1/hooks/coral/default"
    before = len(kept(hooked))
    assert ask_coral(hooked, request_of(HARMLESS, "bob"), address).status_code == 204
    assert len(kept(hooked)) == before
    for _ in range(2):  # the author was nudged and sends it again
        assert ask_coral(hooked, request_of(TOXIC, "bob"), address).json()["status"] == "SYSTEM_WITHHELD"
    (row,) = kept(hooked)[before:]
    assert (row.author, row.source, row.state, row.url) == (
        "bob",
        "coral",
        "hidden",
        "https://news.example/s1",
    )
    with hooked.service.store.read() as connection:
        assert connection.execute(select(tasks.c.kind).where(tasks.c.item == row.number)).all() == [
            ("first",)
        ]
    assert error_of(ask_coral(hooked, request_of(TOXIC), "/v1/hooks/coral/nowhere"), 404)


def test_coral_rejects_what_a_community_lets_the_machine_remove(hooked):
    policy = CommunityPolicy({"toxicity": {"review": 0.5, "remove": 0.9}}, automatic=("toxicity",))
    with hooked.service.store.write() as connection:
        now = utc_now()
        connection.execute(
            communities.insert().values(id="strict", name="Strict", language="en", created=now)
        )
        write_policy(connection, "strict", policy, None, hooked.service.screener.policy, now=now)
    answer = ask_coral(hooked, request_of(TOXIC, "cleo"), "/v1/hooks/coral/strict").json()
    assert answer["status"] == "REJECTED"


def test_coral_may_sign_with_an_old_secret_and_a_new_one(hooked):
    body = json.dumps(request_of(HARMLESS)).encode()
    right = "sha256=" + hmac.new(CORAL.encode(), body, hashlib.sha256).hexdigest()
    assert ask_coral(hooked, request_of(HARMLESS), header=f"sha256={'0' * 64},{right}").status_code == 204


@pytest.mark.parametrize(
    "header", ["sha256=", "x", "sha256=" + "0" * 64, "sha256=é", ",".join(["sha256=0"] * 5000)]
)
def test_coral_without_its_signature_is_refused(hooked, header):
    answer = ask_coral(hooked, request_of(TOXIC), header=header.encode("latin-1"))
    assert error_of(answer, 401)["details"][0]["reason"] == "SIGNATURE_INVALID"


def test_a_body_that_was_changed_is_refused(hooked):
    body = json.dumps(request_of(TOXIC)).encode()
    header = "sha256=" + hmac.new(CORAL.encode(), body, hashlib.sha256).hexdigest()
    changed = body.replace(b"idiot", b"angel")
    answer = hooked.client.post("/v1/hooks/coral", content=changed, headers={"X-Coral-Signature": header})
    error_of(answer, 401)


@pytest.mark.parametrize(
    "call", [[], {}, {"comment": None}, {"comment": {"body": 3}}, {"comment": {"body": "x"}, "story": 1}]
)
def test_coral_with_another_body_is_told_so(hooked, call):
    error_of(ask_coral(hooked, call), 400)


def test_hooks_without_a_secret_are_off(server):
    assert error_of(ask_coral(server, request_of(TOXIC)), 404)["details"][0]["reason"] == "HOOK_OFF"
    assert error_of(send(server, {"comments": []}), 404)["details"][0]["reason"] == "HOOK_OFF"


def test_hooks_without_a_desk_say_so(serve):
    with serve(webhook_secrets=[STANDARD]) as alone:
        assert send(alone, {"comments": [{"text": TOXIC}]}).json()["results"][0]["action"] == "remove"
        error_of(send(alone, {"comments": [{"text": TOXIC}]}, "/v1/hooks/comments/default"), 404)


# The signed webhook.


def send(server, call, path="/v1/hooks/comments", message="msg_1", at=None, key=KEY, **headers):
    body = call if isinstance(call, bytes) else json.dumps(call).encode()
    at = str(int(time.time() if at is None else at))
    digest = hmac.new(key, f"{message}.{at}.".encode() + body, hashlib.sha256).digest()
    signature = "v1," + base64.b64encode(digest).decode()
    signed = {"webhook-id": message, "webhook-timestamp": at, "webhook-signature": signature}
    return server.client.post(path, content=body, headers=signed | headers)


def test_signed_comments_are_judged(hooked):
    given = [{"text": HARMLESS, "id": "1"}, {"text": FLAGGED}, {"text": TOXIC, "id": "3", "author": "ada"}]
    answer = send(hooked, {"comments": given})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["model"].startswith("tiny")
    assert [one["action"] for one in found["results"]] == ["allow", "review", "remove"]
    assert [one.get("id") for one in found["results"]] == ["1", None, "3"]
    assert found["results"][2]["attribute"] == "toxicity"
    assert "item" not in found["results"][2]
    assert [row for row in kept(hooked) if row.source == "webhook"] == []


def test_the_desk_keeps_signed_comments_once(hooked):
    address = "/v1/hooks/comments/default"
    given = {"comments": [{"text": TOXIC, "id": "c1"}, {"text": HARMLESS}, {"text": FLAGGED}]}
    first = send(hooked, given, address, "msg_a").json()["results"]
    assert [one["state"] for one in first] == ["hidden", "allowed", "review"]
    again = send(hooked, given, address, "msg_a").json()["results"]
    assert [one["item"] for one in again] == [one["item"] for one in first]
    edited = send(hooked, {"comments": [{"text": HARMLESS, "id": "c1"}]}, address, "msg_b").json()["results"]
    assert (edited[0]["item"], edited[0]["state"]) == (first[0]["item"], "hidden")  # no edit brings it back
    # Whoever recorded the first message can't bring the old text back with it.
    send(hooked, given, address, "msg_a")
    rows = [row for row in kept(hooked) if row.source == "webhook"]
    assert [(row.version, row.state) for row in rows] == [(2, "hidden"), (1, "allowed"), (1, "review")]
    error_of(send(hooked, given, "/v1/hooks/comments/nowhere"), 404)


def test_a_signature_may_be_one_of_several(hooked):
    at = time.time()
    body = {"comments": [{"text": HARMLESS}]}
    good = send(hooked, body, at=at).request.headers["webhook-signature"]
    assert send(hooked, body, at=at, **{"webhook-signature": f"v1,AAAA {good} v2,x"}).status_code == 200


@pytest.mark.parametrize(
    ("changes", "headers"),
    [
        ({"key": b"another key that nobody gave out"}, {}),
        ({"at": time.time() - 3600}, {}),
        ({"at": time.time() + 3600}, {}),
        ({"at": 0}, {}),
        ({}, {"webhook-timestamp": "soon"}),
        ({}, {"webhook-timestamp": "9" * 4000}),
        ({}, {"webhook-id": "msg_2"}),
        ({}, {"webhook-signature": ""}),
        ({}, {"webhook-signature": "v1,"}),
        ({}, {"webhook-signature": "v1," + " v1,".join("AAAA" for _ in range(3000))}),
        ({"message": ""}, {}),
        ({"message": "x" * 101}, {}),
    ],
)
def test_a_message_that_is_not_signed_or_too_old_is_refused(hooked, changes, headers):
    answer = send(hooked, {"comments": [{"text": TOXIC}]}, **changes, **headers)
    assert error_of(answer, 401)["details"][0]["reason"] == "SIGNATURE_INVALID"


@pytest.mark.parametrize(
    "call",
    [
        {}, [], b"", b"\xff", b"{" * 5000, {"comments": []}, {"comments": [{}]},
        {"comments": [{"text": " "}]},
        {"comments": [{"text": "x"}] * 101}, {"comments": [{"text": "x" * 20_481}]},
        {"comments": [{"text": "x", "language": "<b>"}]},
        {"comments": [{"text": "x", "posted": "yesterday"}]},
        {"comments": [{"text": "x", "id": ""}]},
    ],
)  # fmt: skip
def test_signed_nonsense_is_a_bad_request(hooked, call):
    error_of(send(hooked, call), 400)


# Matrix.


def event_of(body, **content):
    return {
        "event": {
            "type": "m.room.message", "sender": "@ada:example.org", "room_id": "!r:example.org",
            "event_id": "$e1", "content": {"msgtype": "m.text", "body": body, **content},
        }
    }  # fmt: skip


def ask_matrix(server, call, path="/v1/hooks/matrix", key=None):
    headers = {"Authorization": f"Bearer {key or server.key}"}
    return server.client.post(f"{path}/check_event_for_spam", json=call, headers=headers)


@pytest.mark.parametrize(
    ("call", "passes"),
    [
        (event_of(HARMLESS), True),
        (event_of(FLAGGED), True),
        (event_of(TOXIC), False),
        (event_of(GERMAN), True),
        (event_of("* thanks", **{"m.new_content": {"body": TOXIC}}), False),
        (
            event_of(f"> <@bob:example.org> {TOXIC}\n\nthanks", **{"m.relates_to": {"m.in_reply_to": {}}}),
            True,
        ),
        (event_of(f"> {TOXIC}"), False),  # a quotation of one's own making
        (event_of(None), True),
        (event_of(["x"]), True),
        (event_of("x", **{"m.new_content": 3, "m.relates_to": 3}), True),
        ({"event": {"type": "m.room.encrypted", "content": {"ciphertext": "x"}}}, True),
        ({"event": {}}, True),
    ],
)
def test_a_matrix_server_learns_whether_a_message_may_be_sent(hooked, call, passes):
    answer = ask_matrix(hooked, call)
    assert answer.status_code == (200 if passes else 403)
    if passes:
        assert answer.json() == {}
    else:
        assert answer.json()["errcode"] == "M_FORBIDDEN"
        assert TOXIC not in answer.text


def test_messages_that_a_matrix_server_may_send_are_not_kept(hooked):
    path = "/v1/hooks/matrix/default"
    call = event_of(FLAGGED)
    call["event"]["event_id"] = "$kept"
    for text in (HARMLESS, FLAGGED):
        call["event"]["content"]["body"] = text
        assert ask_matrix(hooked, call, path).status_code == 200
    rows = [row for row in kept(hooked) if row.source == "matrix"]
    assert [(row.external, row.author, row.state) for row in rows] == [
        ("$kept", "@ada:example.org", "review")
    ]
    assert rows[0].url == "https://matrix.to/#/%21r%3Aexample.org/%24kept"


def test_what_goes_wrong_is_no_verdict_on_a_message(hooked):
    """The module takes JSON with an error status for a rejection; what is no JSON lets messages pass."""
    scorer = hooked.make_key("score")
    wrong = [
        ask_matrix(hooked, event_of(TOXIC), key="gk_nobody"),
        ask_matrix(hooked, event_of(TOXIC), "/v1/hooks/matrix/default", scorer),
        ask_matrix(hooked, event_of(TOXIC), "/v1/hooks/matrix/nowhere"),
        ask_matrix(hooked, {"event": 3}),
        hooked.post("/v1/hooks/matrix/user_may_invite", {}),
        hooked.client.get("/v1/hooks/matrix/ping"),
    ]
    assert [answer.status_code for answer in wrong] == [401, 403, 404, 400, 404, 405]
    for answer in wrong:
        assert answer.headers["content-type"].startswith("text/plain")
        with pytest.raises(json.JSONDecodeError):
            answer.json()


def test_an_overloaded_service_is_no_verdict_either(serve):
    with serve(connections=1) as busy, socket.create_connection(("127.0.0.1", busy.port)) as slow:
        head = f"POST /v1/score?key={busy.key} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"
        slow.sendall(head.encode() + b"{")  # the rest never comes
        until = time.monotonic() + 10
        while (answer := ask_matrix(busy, event_of(HARMLESS))).status_code == 200:
            assert time.monotonic() < until, "the slow request was never under way"
        assert answer.status_code == 503
        assert answer.headers["content-type"].startswith("text/plain")


def test_ping(hooked):
    assert hooked.post("/v1/hooks/matrix/ping", {"id": "abc"}).json() == {"id": "abc", "status": "ok"}


# Discourse, of old.


def test_a_detoxify_server_is_replaced(hooked):
    asked = {"model": "unbiased", "content": "You stupid"}
    answer = hooked.client.post("/api/v1/classify", json=asked, headers={"X-API-KEY": hooked.key}).json()
    assert answer == {
        "toxicity": 62, "severe_toxicity": 2, "obscene": 2, "threat": 2, "insult": 73, "identity_attack": 2,
        "sexual_explicit": 2,
    }  # fmt: skip
    error_of(hooked.client.post("/api/v1/classify", json=asked), 401)
    error_of(hooked.post("/api/v1/classify", {"content": 1}), 400)


# Rates.


def limited(answer, plain=False):
    """Check that an answer says when to come back."""
    assert answer.status_code == 429, answer.text
    assert int(answer.headers["retry-after"]) >= 1
    if plain:
        assert answer.headers["content-type"].startswith("text/plain")
    else:
        assert error_of(answer, 429)["details"][0]["reason"] == "RATE_LIMIT_EXCEEDED"
    return True


def test_each_secret_has_a_rate_of_its_own(serve):
    other = b"another thirty-two bytes of ours"
    secrets = [STANDARD, "whsec_" + base64.b64encode(other).decode()]
    corals = [CORAL, "a newer secret of Coral"]
    with serve(hook_rate=2, coral_secrets=corals, webhook_secrets=secrets) as slow:
        codes = [ask_coral(slow, request_of(HARMLESS)).status_code for _ in range(8)]
        assert codes[:4] == [204] * 4
        assert limited(ask_coral(slow, request_of(HARMLESS)))
        assert ask_coral(slow, request_of(HARMLESS), secret=corals[1]).status_code == 204
        # A webhook's comments count one by one: nine of them use up more than the burst.
        nine = {"comments": [{"text": HARMLESS}] * 9}
        assert send(slow, nine, message="m1").status_code == 200
        assert limited(send(slow, nine, message="m2"))
        assert send(slow, nine, message="m3", key=other).status_code == 200
        # What is not signed, or is nonsense, uses up nobody's share.
        for _ in range(8):
            error_of(ask_coral(slow, request_of(HARMLESS), secret="a secret that nobody has"), 401)
        assert [slow.analyze("a").status_code for _ in range(8)] == [200] * 8
        metrics = slow.client.get("/metrics").text
        assert re.search(r'giantkiller_refused_total\{reason="rate"\} [1-9]', metrics)


def test_without_a_rate_of_hooks_that_of_keys_counts(serve):
    with serve(rate=2, coral_secrets=[CORAL]) as slow:
        answers = [ask_coral(slow, request_of(HARMLESS)) for _ in range(9)]
        assert limited(answers[-1])
    with serve(rate=2, hook_rate=1000, coral_secrets=[CORAL]) as quick:
        assert {ask_coral(quick, request_of(HARMLESS)).status_code for _ in range(9)} == {204}


def test_the_rate_of_a_matrix_servers_key(hooked):
    slow = hooked.make_key("score", rate=2)
    answers = [ask_matrix(hooked, event_of(HARMLESS), key=slow) for _ in range(9)]
    assert [answer.status_code for answer in answers[:4]] == [200] * 4
    assert limited(answers[-1], plain=True)
    ping = hooked.client.post(
        "/v1/hooks/matrix/ping", json={"id": "a"}, headers={"Authorization": f"Bearer {slow}"}
    )
    assert limited(ping, plain=True)
    assert ask_matrix(hooked, event_of(HARMLESS)).status_code == 200


def test_no_text_of_a_hook_reaches_the_log(hooked, capsys):
    ask_coral(hooked, request_of("idiot unmistakable"))
    ask_matrix(hooked, event_of("idiot unmistakable"))
    send(hooked, {"comments": [{"text": "idiot unmistakable"}]})
    assert "unmistakable" not in capsys.readouterr().err


def test_the_lines_of_the_guide_work(hooked):
    guide = Path(__file__).parents[2] / "docs" / "guides" / "hooks.md"
    (program,) = re.findall(
        r"^```python\n(.*?)^```", guide.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    program = program.replace("http://127.0.0.1:8080", hooked.url).replace("You are an idiot", TOXIC)
    environment = os.environ | {"GIANTKILLER_WEBHOOK_SECRETS": STANDARD}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("hidden\n", "")
