"""Coral's external moderation phase: what shall become of a comment that is about to be published."""

import hashlib
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from giantkiller.serve.errors import ApiError
from giantkiller.serve.hooks.signatures import check_coral, require_secrets
from giantkiller.serve.http import BadJsonError, Json, count_signed, decode, headers_of, read_body, said_by
from giantkiller.serve.incoming import LONGEST_TEXT, Decided, Incoming, decide
from giantkiller.serve.language import detect
from giantkiller.serve.service import service_of

MOST_BYTES = 1 << 20
"""Of a request: a comment and a little around it."""

_FLAG = {"actionType": "FLAG", "reason": "COMMENT_DETECTED_TOXIC"}


class Content(msgspec.Struct):
    """The comment."""

    body: str
    parentID: str | None = None


class Named(msgspec.Struct):
    """An author, a story or a site."""

    id: str = ""
    url: str | None = None


class Moderation(msgspec.Struct):
    """What Coral sends; see its guide to external moderation phases."""

    comment: Content
    author: Named = msgspec.field(default_factory=Named)
    story: Named = msgspec.field(default_factory=Named)
    tenantID: str = ""


_MODERATION = msgspec.json.Decoder(Moderation)


async def coral(request: Request) -> Response:
    """Answer `POST /v1/hooks/coral` and `POST /v1/hooks/coral/COMMUNITY`.

    204 where there is nothing to say. Review flags the comment; remove also withholds it until a moderator
    has looked; what a community lets the machine remove alone is rejected. Where a person at the desk has
    decided about the same text of the same author, that decision is the answer.
    """
    service = service_of(request.app)
    secrets = require_secrets(service.settings.coral_secrets, "coral_secrets")
    body = await read_body(request, service, MOST_BYTES)
    used = check_coral(secrets, headers_of(request).get("x-coral-signature", ""), body)
    request.scope["giantkiller.key"] = "coral"
    count_signed(service, "coral", used, 1)
    try:
        call = decode(body, _MODERATION)
    except BadJsonError as error:
        raise ApiError(400, str(error)) from None
    text = call.comment.body[:LONGEST_TEXT]
    if not text.strip() or not (service.settings.any_language or detect(text).english):
        return Response(status_code=204)
    (decided,) = await decide(
        service, [_incoming(call, text)], source="coral", community=request.path_params.get("community")
    )
    answer = answer_of(decided)
    headers = said_by(decided.bundle)
    return Response(status_code=204, headers=headers) if answer is None else Json(answer, headers=headers)


def answer_of(decided: Decided) -> dict[str, Any] | None:
    """Return what Coral is told, or None where the comment may stand."""
    if decided.state == "approved":
        return None
    if decided.state == "removed":
        return {"actions": [_FLAG], "status": "REJECTED"}
    if decided.action == "remove":
        return {"actions": [_FLAG], "status": "SYSTEM_WITHHELD"}
    return {"actions": [_FLAG]} if decided.action == "review" else None


def _incoming(call: Moderation, text: str) -> Incoming:
    """Make an id, since the comment has none yet: a second attempt with the same text is the same comment."""
    parts = (call.tenantID, call.story.id, call.author.id, call.comment.parentID or "", call.comment.body)
    mark = hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[:32]
    return Incoming(text, external=f"coral:{mark}", author=call.author.id or None, url=call.story.url)
