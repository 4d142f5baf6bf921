"""Requests in, replies out: bodies with a limit, JSON, keys."""

import asyncio
import codecs
import math
import re
import sys
from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import msgspec
import numpy as np
from numpy.typing import NDArray
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from giantkiller.bundle import Bundle
from giantkiller.serve.batching import SMALL, OverloadedError
from giantkiller.serve.errors import ApiError, overloaded
from giantkiller.serve.keys import ANYBODY, Key
from giantkiller.serve.limits import SLOTS
from giantkiller.serve.protocol import WHOLE
from giantkiller.serve.service import Service
from giantkiller.store import StoreBusyError

if sys.version_info >= (3, 11):
    _within = asyncio.timeout
else:
    from anyio import fail_after as _within

T = TypeVar("T")

_encode = msgspec.json.Encoder().encode
_LONGEST_KEY = 200
_ALWAYS = ((b"content-type", b"application/json"), (b"cache-control", b"no-store"))

MOST_ARRIVING = 256 << 20
"""Bytes of bodies that may be on their way in at a time, in each process; one alone may always come."""

MODEL = "X-Giantkiller-Model"
"""The response header that tells which bundle scored: the first twelve digits of its digest."""

MATRIX = "/v1/hooks/matrix/"
"""Below this, errors are plain text: a Matrix server takes one in JSON for a verdict on the message."""


class Json(Response):
    """A reply in JSON. Never to be kept by caches: scores belong to whoever asked."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Encode the content, unless it is encoded already."""
        return content if isinstance(content, bytes) else _encode(content)

    def init_headers(self, headers: Mapping[str, str] | None = None) -> None:
        """Put the headers together: of those that every reply has, only the length is new."""
        self.raw_headers = [*_ALWAYS, (b"content-length", b"%d" % len(self.body))]
        for name, value in (headers or {}).items():
            self.raw_headers.append((name.lower().encode("latin-1"), value.encode("latin-1")))


def error_response(error: ApiError, path: str) -> Response:
    """Turn an error into a reply to a request for a path."""
    if path.startswith(MATRIX):
        return PlainTextResponse(error.message, error.code, error.headers)
    return Json(error.body(), error.code, error.headers)


def as_api_error(error: Exception) -> ApiError | None:
    """Turn an error that the address, the load or the database's state explains into what a client gets."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, OverloadedError):
        return overloaded(error.retry_after)
    if isinstance(error, StoreBusyError | SQLAlchemyError):
        return overloaded(5, "The database is busy or away; try again.")
    if isinstance(error, HTTPException):
        message, reason = _ROUTING.get(
            error.status_code, ("The request can't be answered.", "INVALID_REQUEST")
        )
        return ApiError(error.status_code, message, reason, headers=error.headers)
    return None


_ROUTING = {
    404: ("There is nothing at this address.", "NOT_FOUND"),
    405: ("This address takes another method.", "METHOD_NOT_ALLOWED"),
}


def said_by(bundle: Bundle) -> dict[str, str]:
    """Return the header that tells which bundle scored."""
    return {MODEL: bundle.digest[:12]}


def headers_of(request: Request) -> dict[str, str]:
    """Return the headers by name, in lower case; of a name that came twice, the last."""
    headers: dict[str, str] = request.scope["giantkiller.headers"]
    return headers


async def read_body(request: Request, service: Service, limit: int | None = None) -> bytes:
    """Read a request's body.

    Raises:
        ApiError: If it is too large, compressed, too slow, or breaks off, or too much else arrives meanwhile.
    """
    limit = service.settings.max_body if limit is None else limit
    headers = headers_of(request)
    if headers.get("content-encoding", "identity").lower() not in ("identity", ""):
        raise ApiError(
            415, "Compressed bodies are not accepted; send the body as it is.", "UNSUPPORTED_ENCODING"
        )
    length = headers.get("content-length")
    if length is not None and length.isdecimal() and int(length) > limit:
        raise too_large(limit)
    if request.scope.get(WHOLE):  # nothing to wait for, so no clock, which costs as much as all the rest here
        return await _read(request, service, limit)
    try:
        async with _within(service.settings.timeout):
            return await _read(request, service, limit)
    except TimeoutError:
        raise ApiError(
            408, "The body came too slowly.", "TOO_SLOW", headers={"Connection": "close"}
        ) from None


async def _read(request: Request, service: Service, limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    try:
        while True:
            message = await request.receive()
            if message["type"] != "http.request":
                raise ApiError(400, "The request broke off.", "BROKEN_OFF")
            part = message.get("body", b"")
            size += len(part)
            service.arriving += len(part)
            if size > limit:
                raise too_large(limit)
            if size < service.arriving > MOST_ARRIVING:
                raise overloaded(1, "Too much is arriving at once; try again.")
            parts.append(part)
            if not message.get("more_body"):
                return parts[0] if len(parts) == 1 else b"".join(parts)
    finally:
        service.arriving -= size


def too_large(limit: int) -> ApiError:
    """Make a 413 that says how large a body may be."""
    return ApiError(
        413, f"The body is larger than {limit:,} bytes.", "BODY_TOO_LARGE", headers={"Connection": "close"}
    )


class BadJsonError(Exception):
    """A body that isn't the JSON that was expected; the message holds nothing of its content."""


def decode(body: bytes, decoder: "msgspec.json.Decoder[T]") -> T:
    """Decode JSON of a known form. Lone surrogates, which other encoders let pass, become U+FFFD.

    Raises:
        BadJsonError: If it is no JSON, too deeply nested, or of another form.
    """
    try:
        try:
            return decoder.decode(body)
        except msgspec.ValidationError:
            raise
        except (msgspec.DecodeError, UnicodeDecodeError):
            # Mended in the bytes: to read all of it into objects first would let a large body take much of
            # the memory, and of the event loop's time.
            return decoder.decode(_SURROGATES.sub(_mended, body.removeprefix(codecs.BOM_UTF8)))
    except msgspec.ValidationError as error:
        raise BadJsonError(_plain(error)) from None
    except RecursionError:
        raise BadJsonError("The JSON is nested too deeply.") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise BadJsonError(f"The body is not valid {'JSON' if _is_utf8(body) else 'UTF-8'}.") from None


# An escaped surrogate, or two that belong together, behind an even number of backslashes.
_SURROGATES = re.compile(
    rb"(?<!\\)((?:\\\\)*)"
    rb"\\u([dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|[dD][89a-fA-F][0-9a-fA-F]{2})"
)
_ALONE = 4  # hexadecimal digits


def _mended(found: "re.Match[bytes]") -> bytes:
    return found[0] if len(found[2]) > _ALONE else found[1] + rb"\ufffd"


def _is_utf8(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def _plain(error: msgspec.ValidationError) -> str:
    """Describe what is wrong and where; msgspec names types and our own fields, never a value."""
    return f"Invalid JSON payload: {error}.".replace("`", "")


def rounded(rows: NDArray[np.float32]) -> list[list[float]]:
    """Return scores as answers have them, to six digits."""
    if len(rows) > SMALL:
        many: list[list[float]] = rows.astype(float).round(6).tolist()
        return many
    # The same, and sooner for a few numbers than four calls of numpy.
    return [[round(score * 1e6) / 1e6 for score in row] for row in rows.tolist()]


def key_in(query: bytes, headers: Mapping[str, str]) -> str | None:
    """Return the key that came with a request, in `?key=` or one of the headers that clients use."""
    if b"key=" in query:
        for name, value in parse_qsl(query[:4096].decode("latin-1"), keep_blank_values=False):
            if name == "key":
                return value
    for name in ("x-goog-api-key", "x-api-key"):
        if value := headers.get(name, ""):
            return value
    scheme, _, value = headers.get("authorization", "").partition(" ")
    return value.strip() if scheme.lower() == "bearer" and value.strip() else None


async def find_key(service: Service, secret: str | None) -> Key | None:
    """Return the valid key for what was sent; anybody's where the service is open."""
    if service.settings.open:
        return ANYBODY
    if secret is None or len(secret) > _LONGEST_KEY:
        return None
    return await service.keys.find(secret)


async def admit(request: Request, service: Service, role: str, count: int = 1) -> Key:
    """Check the key of a request to a native route, and count it against the key's rate.

    Raises:
        ApiError: 401 without a valid key, 403 without the role, 429 beyond the rate.
    """
    secret = key_in(request.scope["query_string"], headers_of(request))
    key = await find_key(service, secret)
    if key is None:
        raise ApiError(
            401,
            "API key not valid." if secret else "This needs an API key, as Authorization: Bearer KEY.",
            "API_KEY_INVALID" if secret else "API_KEY_MISSING",
            headers={"WWW-Authenticate": "Bearer"},
        )
    if not key.allows(role):
        raise ApiError(403, f"This key lacks the role {role}.", "ROLE_MISSING")
    request.scope["giantkiller.key"] = key.id
    count_against(service, key, count)
    return key


def count_against(service: Service, key: Key, count: int) -> None:
    """Count comments against a key's rate.

    Raises:
        ApiError: 429 if the key has used up its share, saying when to come back.
    """
    rate = key.rate or service.settings.rate
    if rate is not None and key is not ANYBODY:
        _take(service, key.number, rate, count, "this key has")


def count_signed(service: Service, hook: str, used: int, count: int) -> None:
    """Count comments against the rate of whoever signed them.

    Args:
        service: The service.
        hook: "coral" or "webhook".
        used: Which of the hook's secrets signed.
        count: Comments in this request.

    Raises:
        ApiError: 429 as from `count_against`.
    """
    settings = service.settings
    rate = settings.hook_rate or settings.rate
    if rate is not None:
        # Keys are numbered from 1 on, secrets from the other end.
        place = used + (len(settings.coral_secrets) if hook == "webhook" else 0)
        _take(service, SLOTS - 1 - place, rate, count, "the holder of this secret has")


def _take(service: Service, number: int, rate: float, count: int, who: str) -> None:
    seconds = service.limits.take(number, rate, count)
    if seconds:
        service.metrics.refused("rate")
        raise ApiError(
            429,
            f"Quota exceeded: {who} sent more comments than the rate allows.",
            "RATE_LIMIT_EXCEEDED",
            headers={"Retry-After": str(math.ceil(seconds))},
        )
