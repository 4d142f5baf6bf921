"""A hook's comments come back to whoever sent them: in, decided by a person, out again, all over HTTP."""

import base64
import hashlib
import hmac
import json
import time

import pytest
from people import Person
from receivers import Receiver, wait_for
from servers import running
from site_of import Site

from giantkiller.desk import outbox
from giantkiller.desk.app import compose
from giantkiller.desk.delivery import sign
from giantkiller.store import utc_now

CORAL = "a secret that Coral has made"
KEY = b"thirty-two bytes for the webhook"
TOXIC = "You stupid idiot"


class Forum:
    """A platform that sends its comments to the hook, and does what the desk's messages say."""

    def __init__(self, site):
        self.site, self.receiver, self.shown, self.links, self.seen = site, Receiver(), {}, {}, 0
        with site.store.write() as connection:
            self.secret = outbox.add_webhook(connection, "forum", self.receiver.url, "test", now=utc_now())

    def send(self, name, text=TOXIC):
        """Ask about a comment, signed; show it or not."""
        call = {"comments": [{"text": text, "id": name, "author": "ada", "url": "https://forum.example/1"}]}
        body, message, now = json.dumps(call).encode(), f"msg_{time.time_ns()}", str(int(time.time()))
        digest = hmac.new(KEY, f"{message}.{now}.".encode() + body, hashlib.sha256).digest()
        signature = "v1," + base64.b64encode(digest).decode()
        headers = {"webhook-id": message, "webhook-timestamp": now, "webhook-signature": signature}
        path = "/v1/hooks/comments/default"
        (got,) = self.site.server.client.post(path, content=body, headers=headers).json()["results"]
        self.shown[name] = got["state"] not in ("hidden", "removed")
        return got["state"]

    def hear(self, count):
        """Wait for so many messages in all, check who signed them, and do what they say."""
        wait_for(lambda: len(self.receiver.got) >= count)
        kinds = []
        for headers, body in self.receiver.got[self.seen :]:
            given = {name.lower(): value for name, value in headers.items()}
            moment = int(given["webhook-timestamp"])
            assert given["webhook-signature"] == sign(self.secret, given["webhook-id"], moment, body)
            message = json.loads(body)
            kinds.append(message["type"])
            kind, data = message["type"], message["data"]
            if kind.startswith("comment."):
                self.shown[data["comment"]] = kind != "comment.removed"
            if "statement" in data:
                self.links[data["comment"]] = data["statement"]["url"]
        self.seen = len(self.receiver.got)
        return kinds


@pytest.fixture
def hooked(tiny_bundle, tmp_path):
    secret = "whsec_" + base64.b64encode(KEY).decode()
    with running(
        compose, model=str(tiny_bundle), state=tmp_path / "state", coral_secrets=[CORAL],
        webhook_secrets=[secret],
    ) as server:  # fmt: skip
        site = Site(server)
        site.settings(second_share=0, undo_seconds=0)
        forum = Forum(site)
        yield site, forum
        forum.receiver.close()


def test_a_signed_comment_goes_round_and_back(hooked):
    site, forum = hooked
    first, second = site.person(), site.person()
    assert forum.send("c-1") == "hidden"
    assert forum.shown == {"c-1": False}
    first.act(first.next(), "remove", rule="insults", note="Be kind")
    assert forum.hear(1) == ["comment.removed"]
    assert forum.send("c-1") == "removed"  # whoever asks again is told what was decided

    author = Person(site.url)
    link = forum.links["c-1"].removeprefix(site.url)
    author.get(link)
    author.post(link, {"text": "It was irony"})
    second.act(second.next(), "reverse", reasons="So it was")
    assert forum.hear(4) == ["appeal.received", "comment.restored", "appeal.decided"]
    assert forum.shown == {"c-1": True}
    assert forum.send("c-1") == "approved"
    assert forum.send("c-1", TOXIC + " again") == "hidden"  # another text is another question


def ask_coral(site, author, text=TOXIC):
    call = {
        "action": "NEW",
        "comment": {"body": text},
        "author": {"id": author, "role": "COMMENTER"},
        "story": {"id": "s1", "url": "https://news.example/s1"},
        "tenantID": "t1",
    }
    body = json.dumps(call).encode()
    signature = "sha256=" + hmac.new(CORAL.encode(), body, hashlib.sha256).hexdigest()
    headers = {"X-Coral-Signature": signature}
    answer = site.server.client.post("/v1/hooks/coral/default", content=body, headers=headers)
    return answer.json().get("status") if answer.status_code == 200 else answer.status_code


@pytest.mark.parametrize(
    ("outcome", "message", "again"),
    [("allow", "comment.allowed", 204), ("remove", "comment.removed", "REJECTED")],
)
def test_coral_is_told_what_a_person_decided_when_it_asks_again(hooked, outcome, message, again):
    """Coral's comment has no id yet: its author, who was nudged, sends the same text once more."""
    site, forum = hooked
    person = site.person()
    assert ask_coral(site, "ada") == "SYSTEM_WITHHELD"
    assert ask_coral(site, "ada") == "SYSTEM_WITHHELD"
    person.act(person.next(), outcome, rule="insults")
    assert ask_coral(site, "ada") == again
    assert ask_coral(site, "bob") == "SYSTEM_WITHHELD"  # that was about one person's comment
    assert forum.hear(1) == [message]
    (told,) = [one["data"] for one in forum.receiver.messages()]
    assert told["comment"].startswith("coral:")
    assert told["statement"]["url"] == forum.links[told["comment"]]
