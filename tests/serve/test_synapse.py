"""The real module synapse-http-antispam, with Synapse's own event and error types, against a real server."""

import asyncio
from types import SimpleNamespace

import httpx
import pytest
from servers import running

synapse = SimpleNamespace()


@pytest.fixture(scope="module", autouse=True)
def imported():
    """Import Synapse when its tests run: that takes seconds, and each worker collects each file."""
    synapse.antispam = pytest.importorskip("synapse_http_antispam")
    synapse.errors = pytest.importorskip("synapse.api.errors")
    synapse.events = pytest.importorskip("synapse.events")
    synapse.versions = pytest.importorskip("synapse.api.room_versions")
    synapse.NOT_SPAM = pytest.importorskip("synapse.module_api").NOT_SPAM


class Api:
    """The parts of Synapse that the module asks for; its HTTP client would need Twisted's loop."""

    def __init__(self):
        self.callbacks = {}
        self.http_client = self

    def register_spam_checker_callbacks(self, **callbacks):
        self.callbacks = callbacks

    async def post_json_get_json(self, address, body, headers):
        flat = {name: values[0] for name, values in headers.items()}
        async with httpx.AsyncClient() as client:
            answer = await client.post(address, json=body, headers=flat)
        if not 200 <= answer.status_code < 300:
            raise synapse.errors.HttpResponseException(
                answer.status_code, answer.reason_phrase, answer.content
            )
        return answer.json()


def module_of(server, key=None):
    api = Api()
    config = {
        "base_url": f"{server.url}/v1/hooks/matrix",
        "authorization": key or server.key,
        "enabled_callbacks": ["check_event_for_spam"],
    }
    synapse.antispam.HTTPAntispam(config, api)
    assert list(api.callbacks) == ["check_event_for_spam"]
    return api.callbacks["check_event_for_spam"]


def message(text):
    return synapse.events.make_event_from_dict(
        {
            "type": "m.room.message", "sender": "@ada:example.org", "room_id": "!r:example.org",
            "content": {"msgtype": "m.text", "body": text}, "origin_server_ts": 1, "depth": 1,
            "auth_events": [], "prev_events": [], "hashes": {"sha256": ""}, "signatures": {},
        },
        synapse.versions.RoomVersions.V10,
    )  # fmt: skip


def test_the_module_sends_and_rejects(server):
    check = module_of(server)
    assert asyncio.run(check(message("thanks"))) == synapse.NOT_SPAM
    code, body = asyncio.run(check(message("idiot idiot")))
    assert code == synapse.errors.Codes.FORBIDDEN
    assert "was not sent" in body["error"]


def test_the_module_lets_messages_pass_when_something_is_wrong(server, tiny_bundle, tmp_path):
    assert asyncio.run(module_of(server, "gk_wrong")(message("idiot idiot"))) == synapse.NOT_SPAM
    with running(model=str(tiny_bundle), state=tmp_path / "gone") as gone:
        check = module_of(gone)
    assert asyncio.run(check(message("idiot idiot"))) == synapse.NOT_SPAM


def test_the_module_pings(server):
    async def ping():
        api = Api()
        config = {"base_url": f"{server.url}/v1/hooks/matrix", "authorization": server.key}
        await synapse.antispam.HTTPAntispam(config, api)._do_ping(api)

    asyncio.run(asyncio.wait_for(ping(), 10))
