"""The signed webhook for everything else: comments in, what to do with them out.

Signed as Standard Webhooks has it, like the messages that the desk sends out, so that one library does both.
"""

import time
from typing import Annotated

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from giantkiller.serve.errors import ApiError
from giantkiller.serve.hooks.signatures import check_standard, require_secrets
from giantkiller.serve.http import BadJsonError, Json, count_signed, decode, headers_of, read_body
from giantkiller.serve.incoming import LONGEST_TEXT, Decided, Incoming, decide
from giantkiller.serve.language import is_tag
from giantkiller.serve.native import model_name
from giantkiller.serve.service import service_of

MOST_COMMENTS = 100

Short = Annotated[str, Meta(min_length=1, max_length=200)]
Long = Annotated[str, Meta(max_length=LONGEST_TEXT)]
Day = Annotated[str, Meta(pattern=r"^20\d\d-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$")]


class HookComment(msgspec.Struct):
    """A comment; everything but the text is optional. The same id with another text is an edit."""

    text: Long
    id: Short | None = None
    author: Short | None = None
    url: Annotated[str, Meta(max_length=2000)] | None = None
    parent: Long | None = None
    title: Annotated[str, Meta(max_length=500)] | None = None
    language: Annotated[str, Meta(max_length=35)] | None = None
    posted: Day | None = None


class HookComments(msgspec.Struct):
    """Up to a hundred comments."""

    comments: Annotated[list[HookComment], Meta(min_length=1, max_length=MOST_COMMENTS)]


class HookResult(msgspec.Struct, omit_defaults=True):
    """What a comment calls for, and why; with a community, the desk's id of it and what to do now."""

    action: str
    attribute: str
    score: float
    scores: dict[str, float]
    id: str | None = None
    item: str | None = None
    state: str | None = None


class HookResponse(msgspec.Struct):
    """The results, in the order of the comments, and the model that scored."""

    model: str
    results: list[HookResult]


_COMMENTS = msgspec.json.Decoder(HookComments)


async def comments(request: Request) -> Response:
    """Answer `POST /v1/hooks/comments`; with `/COMMUNITY` behind it, the desk keeps the comments."""
    service = service_of(request.app)
    settings = service.settings
    secrets = require_secrets(settings.webhook_secrets, "webhook_secrets")
    body = await read_body(request, service)
    message, used = check_standard(
        secrets, headers_of(request), body, now=time.time(), window=settings.webhook_window
    )
    request.scope["giantkiller.key"] = "webhook"
    try:
        given = decode(body, _COMMENTS).comments
    except BadJsonError as error:
        raise ApiError(400, str(error)) from None
    for one in given:
        if not one.text.strip():
            raise ApiError(400, "text is empty.")
        if one.language is not None and not is_tag(one.language):
            raise ApiError(400, "language is no language tag.")
    count_signed(service, "webhook", used, len(given))
    incoming = [
        Incoming(
            one.text, one.id or f"{message}:{number}", one.author, one.url, one.parent, one.title,
            one.language, one.posted,
        )
        for number, one in enumerate(given)
    ]  # fmt: skip
    decided = await decide(
        service,
        incoming,
        source="webhook",
        community=request.path_params.get("community"),
        everything=True,
        message=message,
    )
    results = [_result(one.id, what) for one, what in zip(given, decided, strict=True)]
    bundle = decided[0].bundle if decided else service.screener.bundle
    return Json(HookResponse(model_name(bundle), results))


def _result(comment: str | None, decided: Decided) -> HookResult:
    return HookResult(
        action=decided.action,
        attribute=decided.attribute,
        score=round(decided.score, 6),
        scores={name: round(value, 6) for name, value in decided.scores.items()},
        id=comment,
        item=decided.item,
        state=decided.state,
    )
