"""What synapse-http-antispam asks for a Matrix server: whether an event may be sent.

Errors here are plain text (see `error_response`): the module takes any JSON that comes with an error status
for a rejection, and anything else for a failure, which by its own setting lets the message pass.
"""

from typing import Any
from urllib.parse import quote

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from giantkiller.attributes import DEFINITIONS
from giantkiller.serve.errors import ApiError
from giantkiller.serve.http import BadJsonError, Json, admit, decode, read_body, said_by
from giantkiller.serve.incoming import LONGEST_TEXT, Incoming, decide
from giantkiller.serve.language import detect
from giantkiller.serve.service import service_of

MOST_BYTES = 1 << 20
"""Of a request; an event has 64 KiB at the most."""


class Event(msgspec.Struct):
    """The fields of an event that count here."""

    type: str = ""
    sender: str | None = None
    room_id: str | None = None
    event_id: str | None = None
    content: dict[str, Any] = msgspec.field(default_factory=dict)


class Check(msgspec.Struct):
    """What `check_event_for_spam` sends."""

    event: Event


class Ping(msgspec.Struct):
    """What `ping` sends."""

    id: str


_CHECK = msgspec.json.Decoder(Check)
_PING = msgspec.json.Decoder(Ping)


async def matrix_event(request: Request) -> Response:
    """Answer `POST /v1/hooks/matrix[/COMMUNITY]/check_event_for_spam`.

    An empty object lets the event pass; 403 with an errcode rejects it, where the policy says remove.
    """
    service = service_of(request.app)
    community = request.path_params.get("community")
    await admit(request, service, "score" if community is None else "submit")
    try:
        event = decode(await read_body(request, service, MOST_BYTES), _CHECK).event
    except BadJsonError as error:
        raise ApiError(400, str(error)) from None
    text = text_of(event)
    if not text or not (service.settings.any_language or detect(text).english):
        return Json({})
    incoming = Incoming(text, external=event.event_id, author=event.sender, url=_address(event))
    (decided,) = await decide(service, [incoming], source="matrix", community=community)
    headers = said_by(decided.bundle)
    if decided.action != "remove":
        return Json({}, headers=headers)
    what = DEFINITIONS[decided.attribute].partition(";")[0]
    said = f"This message was not sent: it reads as {what}."
    return Json({"errcode": "M_FORBIDDEN", "error": said}, 403, headers)


async def matrix_ping(request: Request) -> Response:
    """Answer `POST /v1/hooks/matrix[/COMMUNITY]/ping`."""
    service = service_of(request.app)
    await admit(request, service, "score", 0)
    try:
        ping = decode(await read_body(request, service, MOST_BYTES), _PING)
    except BadJsonError as error:
        raise ApiError(400, str(error)) from None
    return Json({"id": ping.id, "status": "ok"})


def text_of(event: Event) -> str:
    """Return what somebody wrote in an event: of an edit the new text, of a reply without the quotation."""
    content = event.content
    if event.type != "m.room.message":
        return ""
    edit = content.get("m.new_content")
    body = edit.get("body") if isinstance(edit, dict) else content.get("body")
    if not isinstance(body, str):
        return ""
    relation = content.get("m.relates_to")
    if isinstance(relation, dict) and "m.in_reply_to" in relation and body.startswith("> "):
        lines = body.split("\n")
        while lines and lines[0].startswith("> "):
            del lines[0]
        body = "\n".join(lines)
    return body.strip()[:LONGEST_TEXT]


def _address(event: Event) -> str | None:
    if not (event.room_id and event.event_id):
        return None
    return f"https://matrix.to/#/{quote(event.room_id)}/{quote(event.event_id)}"
