"""`POST /batch`: up to a thousand calls in one multipart body, as Google's client libraries send them."""

import asyncio
import re
import secrets
from collections.abc import Awaitable, Callable
from functools import partial
from typing import NamedTuple

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from giantkiller.serve.errors import ApiError
from giantkiller.serve.http import as_api_error, read_body
from giantkiller.serve.keys import Key
from giantkiller.serve.perspective import Answer, analyze_comment, caller, suggest_score
from giantkiller.serve.service import Service, service_of

MOST_PARTS = 1000

_BOUNDARY = re.compile(r'boundary="?([A-Za-z0-9\'()+_,./:=? -]{1,70})"?')
_TOKEN = re.compile(r"[\x21-\x7e]{1,200}")
_HEADERS_END = re.compile(rb"\r?\n\r?\n")
_REASONS = {
    200: "OK",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    413: "Content Too Large",
    429: "Too Many Requests",
    503: "Service Unavailable",
}
_TOGETHER = 64  # calls of a batch under way at a time


class Part(NamedTuple):
    """One call: the Content-ID of its part, method, path, query, headers and body."""

    content_id: str
    method: str
    path: str
    query: bytes
    headers: dict[str, str]
    body: bytes


async def batch(request: Request) -> Response:
    """Answer `POST /batch`."""
    service = service_of(request.app)
    body = await read_body(request, service)
    parts = read_parts(request.headers.get("content-type", ""), body)
    gate = asyncio.Semaphore(_TOGETHER)

    async def answer(part: Part) -> bytes:
        async with gate:
            return await _answer(service, part)

    answers = await asyncio.gather(*map(answer, parts))
    boundary = f"batch_{secrets.token_urlsafe(18)}"
    lines = [
        b"--%s\r\nContent-Type: application/http\r\nContent-ID: %s\r\n\r\n%s\r\n"
        % (boundary.encode(), _response_id(part.content_id), content)
        for part, content in zip(parts, answers, strict=True)
    ]
    return Response(
        b"".join([*lines, b"--%s--\r\n" % boundary.encode()]),
        media_type=f"multipart/mixed; boundary={boundary}",
        headers={"Cache-Control": "no-store"},
    )


def read_parts(content_type: str, body: bytes) -> list[Part]:
    """Read the calls of a batch.

    Raises:
        ApiError: If the body is no such batch, has no part or too many.
    """
    found = _BOUNDARY.search(content_type)
    if not content_type.lower().startswith("multipart/mixed") or found is None:
        raise ApiError(400, "A batch is multipart/mixed with a boundary.", "BATCH_INVALID")
    mark = b"--" + found[1].strip().encode()
    # At the start of lines only: a comment may well hold the mark.
    pieces = re.split(
        rb"(?:\A|\r?\n)" + re.escape(mark) + rb"(?=--|[ \t]*\r?\n)", body, maxsplit=MOST_PARTS + 2
    )
    inner = [piece for piece in pieces[1:] if not piece.startswith(b"--")]
    if not inner:
        raise ApiError(400, "The batch has no parts.", "BATCH_INVALID")
    if len(inner) > MOST_PARTS:
        raise ApiError(400, f"The batch has more than {MOST_PARTS} parts.", "BATCH_TOO_LARGE")
    return [_read_part(piece.lstrip(b" \t").removeprefix(b"\r").removeprefix(b"\n")) for piece in inner]


def _read_part(piece: bytes) -> Part:
    outer, call = _split(piece)
    head, body = _split(call.lstrip(b"\r\n"))
    first, _, rest = head.partition(b"\n")
    words = first.decode("latin-1").split()
    content_id = _fields(outer).get("content-id", "")
    if len(words) not in (2, 3):
        raise ApiError(400, "A part of the batch begins with no request line.", "BATCH_INVALID")
    target = words[1]
    if target.startswith(("http://", "https://")):  # absolute form
        target = "/" + target.split("/", 3)[3] if target.count("/") > 2 else "/"
    path, _, query = target.partition("?")
    return Part(
        content_id, words[0].upper(), path, query.encode("latin-1"), _fields(rest), body.rstrip(b"\r\n")
    )


def _split(data: bytes) -> tuple[bytes, bytes]:
    parts = _HEADERS_END.split(data, maxsplit=1)
    return parts[0], parts[1] if len(parts) > 1 else b""


def _fields(lines: bytes) -> dict[str, str]:
    fields = {}
    for line in lines.decode("latin-1").splitlines():
        name, colon, value = line.partition(":")
        if colon:
            fields[name.strip().lower()] = value.strip()
    return fields


def _response_id(content_id: str) -> bytes:
    """Return the Content-ID of an answer: "<response-" before what the request's had within "<>"."""
    inner = content_id.removeprefix("<").removesuffix(">")
    if not all(_TOKEN.fullmatch(word) for word in inner.split(" ") if word):
        inner = ""
    return f"<response-{inner}>".encode("latin-1", "replace")


async def _answer(service: Service, part: Part) -> bytes:
    """Return the answer to one call as it would stand on the wire."""
    calls: dict[str, tuple[str, Callable[[Service, Key, bytes], Awaitable[Answer]]]] = {
        "/v1alpha1/comments:analyze": ("score", partial(analyze_comment, patient=True)),
        "/v1alpha1/comments:suggestscore": ("submit", suggest_score),
    }
    headers: dict[str, str] = {}
    try:
        if part.path not in calls or part.method != "POST":
            raise ApiError(
                404, "A batch can call comments:analyze and comments:suggestscore only.", "NOT_FOUND"
            )
        role, call = calls[part.path]
        key = await caller(service, part.query, part.headers, role)
        answer = await call(service, key, part.body)
        status, content, headers = 200, msgspec.json.encode(answer.content), answer.headers
    except Exception as error:
        known = as_api_error(error)
        if known is None:
            raise
        status, content, headers = known.code, known.body(), known.headers
    reason = _REASONS.get(status, "Error")
    extra = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = (
        f"HTTP/1.1 {status} {reason}\r\nContent-Type: application/json; charset=UTF-8\r\n"
        f"{extra}Content-Length: {len(content)}\r\n\r\n"
    )
    return head.encode("latin-1") + content
