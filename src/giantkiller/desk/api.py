"""The routes for programs: submit comments, report them, read what became of them, fetch messages."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from giantkiller.desk import dossier, items, outbox, reporting
from giantkiller.desk.config import read_settings
from giantkiller.desk.intake import take
from giantkiller.desk.items import Comment, Submitted
from giantkiller.desk.outbox import Message
from giantkiller.desk.work import in_thread, written
from giantkiller.serve.errors import ApiError
from giantkiller.serve.http import BadJsonError, Json, admit, count_against, decode, read_body
from giantkiller.serve.keys import Key
from giantkiller.serve.language import detect, is_tag
from giantkiller.serve.service import Service, service_of
from giantkiller.store import utc_now

MOST_ITEMS = 1000
MOST_MESSAGES = 1000

Short = Annotated[str, Meta(max_length=200)]
Address = Annotated[str, Meta(max_length=2000)]
Day = Annotated[str, Meta(pattern=r"^20\d\d-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$")]


class NewItem(msgspec.Struct):
    """A comment to keep and, if its scores call for it, to decide on; fields as `items.Comment` has them."""

    text: Annotated[str, Meta(max_length=items.LONGEST_TEXT)]
    community: Annotated[str, Meta(max_length=64)] = "default"
    id: Short | None = None
    author: Short | None = None
    url: Address | None = None
    parent: Annotated[str, Meta(max_length=items.LONGEST_TEXT)] | None = None
    title: Annotated[str, Meta(max_length=500)] | None = None
    language: Annotated[str, Meta(max_length=35)] | None = None
    posted: Day | None = None


class NewItems(msgspec.Struct):
    """Up to a thousand comments at once."""

    items: Annotated[list[NewItem], Meta(max_length=MOST_ITEMS)]


class NewReport(msgspec.Struct):
    """A report about a comment."""

    reporter: Short | None = None
    reason: Annotated[str, Meta(max_length=4000)] | None = None
    kind: Annotated[str, Meta(max_length=16)] = "other"


_ITEM = msgspec.json.Decoder(NewItem)
_ITEMS = msgspec.json.Decoder(NewItems)
_REPORT = msgspec.json.Decoder(NewReport)


def routes() -> list[BaseRoute]:
    """Return the routes for programs."""
    return [
        Route("/v1/desk/items", submit, methods=["POST"]),
        Route("/v1/desk/items/batch", submit_many, methods=["POST"]),
        Route("/v1/desk/items/{item}", item, methods=["GET"]),
        Route("/v1/desk/items/{item}/reports", report, methods=["POST"]),
        Route("/v1/desk/messages", messages, methods=["GET"]),
    ]


async def submit(request: Request) -> Response:
    """Answer `POST /v1/desk/items`: keep a comment; 201 once it is on disk, 200 if it was there already."""
    service = service_of(request.app)
    key = await admit(request, service, "submit", 0)
    given = _decoded(await read_body(request, service), _ITEM)
    (done,) = await _submit(service, key, [given])
    return Json(_as_json(done), 201 if done.new else 200)


async def submit_many(request: Request) -> Response:
    """Answer `POST /v1/desk/items/batch`: keep comments, all or none."""
    service = service_of(request.app)
    key = await admit(request, service, "submit", 0)
    given = _decoded(await read_body(request, service), _ITEMS)
    done = await _submit(service, key, given.items)
    return Json({"items": [_as_json(one) for one in done]})


async def item(request: Request) -> Response:
    """Answer `GET /v1/desk/items/ID`: the state of a comment, and its decisions."""
    service = service_of(request.app)
    await admit(request, service, "submit", 0)

    def work() -> dict[str, Any]:
        with service.store.read() as connection:
            row = items.find_item(connection, request.path_params["item"])
            now = utc_now()
            made = [
                {"id": d.id, "outcome": d.outcome, "kind": d.kind, "rule": d.rule,
                 "automated": d.staff is None, "at": d.created.isoformat()}
                for d in dossier.decisions_of(connection, item=row.number)
                if d.effective and d.release <= now
            ]  # fmt: skip
            return {
                "id": row.id, "community": row.community, "comment": row.external, "state": row.state,
                "version": row.version, "reports": row.reports, "decisions": made,
            }  # fmt: skip

    return Json(await in_thread(work))


async def report(request: Request) -> Response:
    """Answer `POST /v1/desk/items/ID/reports`."""
    service = service_of(request.app)
    key = await admit(request, service, "submit", 1)
    given = _decoded(await read_body(request, service), _REPORT)
    if given.kind not in reporting.REPORT_KINDS:
        raise ApiError(400, f"kind is one of {', '.join(reporting.REPORT_KINDS)}.")

    def work(connection: Connection) -> int:
        return reporting.report(
            connection, request.path_params["item"], reporter=given.reporter, reason=given.reason,
            kind=given.kind, settings=read_settings(connection), actor=f"key:{key.id}", now=utc_now(),
        )  # fmt: skip

    number = await written(service, work)
    return Json({"report": number}, 201)


async def messages(request: Request) -> Response:
    """Answer `GET /v1/desk/messages?after=N`: what webhooks get, for programs that can't receive them."""
    service = service_of(request.app)
    await admit(request, service, "submit", 0)
    after = request.query_params.get("after", "0")
    if not (after.isascii() and after.isdecimal() and len(after) < 10):
        raise ApiError(400, "after is the number of the last message that you have.")

    def work(connection: Connection) -> list[Message]:
        return outbox.read_messages(connection, int(after), MOST_MESSAGES, now=utc_now())

    found: list[Message] = await written(service, work)
    return Json({"messages": [_message_as_json(message) for message in found]})


async def _submit(service: Service, key: Key, given: list[NewItem]) -> list[Submitted]:
    count_against(service, key, len(given))
    for one in given:
        if not one.text.strip():
            raise ApiError(400, "text is empty.")
        if one.language is not None and not is_tag(one.language):
            raise ApiError(400, "language is no language tag.")
    comments = [
        Comment(
            text=one.text, community=one.community, external=one.id, author=one.author, url=one.url,
            parent=one.parent, title=one.title, source=key.name[:64], posted=one.posted,
            language=one.language or detect(one.text).languages[0],
        )
        for one in given
    ]  # fmt: skip
    taken = await take(service, comments, actor=f"key:{key.id}")
    return [one.submitted for one in taken if one.submitted is not None]


def _as_json(done: Submitted) -> dict[str, Any]:
    return {"id": done.id, "state": done.state, "version": done.version, "new": done.new}


def _message_as_json(message: Message) -> dict[str, Any]:
    return {
        "number": message.number, "id": message.id, "type": message.kind,
        "timestamp": message.created.isoformat(), "data": message.payload,
    }  # fmt: skip


def _decoded(body: bytes, decoder: Any) -> Any:
    try:
        return decode(body, decoder)
    except BadJsonError as error:
        raise ApiError(400, str(error)) from None
