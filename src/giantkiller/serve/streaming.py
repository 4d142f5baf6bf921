"""`POST /v1/screen`: JSON Lines in, JSON Lines out, as long as anybody likes, in bounded memory.

What is scored goes through a file on disk before it is sent: most clients read nothing until they have sent
everything, and would otherwise wait for us while we wait for them.
"""

import asyncio
import contextlib
import json
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator
from typing import IO, Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from giantkiller.attributes import ATTRIBUTES
from giantkiller.serve.batching import Batcher
from giantkiller.serve.errors import ApiError, overloaded
from giantkiller.serve.http import admit, said_by
from giantkiller.serve.keys import Key
from giantkiller.serve.native import MAX_CHARS
from giantkiller.serve.service import Service, service_of

TOGETHER = 128
"""Lines scored together."""

TOGETHER_BYTES = 1 << 20
"""Bytes of lines from which on no more are scored together: read into objects they take far more."""

MAX_LINE = 1 << 20
"""Bytes of a line; a longer one is answered with an error in its place."""

MAX_AHEAD = 256 << 20
"""Bytes of results that wait on disk for a client that doesn't read."""

PATIENCE = 60.0
"""Seconds after which a client that reads nothing is given up."""

_IN_MEMORY = 1 << 20
_READ = 1 << 16


async def screen(request: Request) -> Response:
    """Answer `POST /v1/screen`."""
    service = service_of(request.app)
    key = await admit(request, service, "score", 0)
    column = request.query_params.get("column", "text")
    if not 0 < len(column) <= 200:
        raise ApiError(400, "column is the name of a field, of 1 to 200 characters.")
    if request.headers.get("content-encoding", "identity").lower() not in ("identity", ""):
        raise ApiError(
            415, "Compressed bodies are not accepted; send the body as it is.", "UNSUPPORTED_ENCODING"
        )
    if service.streams >= service.settings.streams:
        raise overloaded(5, "Too many streams are under way; try again.")
    batcher = service.batcher  # one for all lines: a file's scores come from one bundle
    return _Streamed(
        _results(request, service, batcher, key, column),
        media_type="application/x-ndjson",
        headers={"Cache-Control": "no-store", **said_by(batcher.screener.bundle)},
    )


class _Streamed(Response):
    """A reply in parts. The framework's own would read the request's body itself, to hear of its end."""

    def __init__(self, parts: AsyncGenerator[bytes, None], media_type: str, headers: dict[str, str]) -> None:
        super().__init__(None, 200, headers, media_type)
        del self.headers["content-length"]
        self._parts = parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the parts as they come."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async with contextlib.aclosing(self._parts) as parts:
            async for part in parts:
                message = {"type": "http.response.body", "body": part, "more_body": True}
                await asyncio.wait_for(send(message), PATIENCE)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _results(
    request: Request, service: Service, batcher: Batcher, key: Key, column: str
) -> AsyncGenerator[bytes, None]:
    """Yield the results as they come, while the task that makes them goes on reading."""
    service.streams += 1
    with tempfile.SpooledTemporaryFile(_IN_MEMORY) as file:
        spool = _Spool(file)
        task = asyncio.create_task(_fill(spool, request, service, batcher, key, column))
        try:
            while part := await spool.read():
                yield part
            await task
        finally:
            service.streams -= 1
            task.cancel()


class _Spool:
    """Bytes on their way to a client, on disk where they get many."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._written = self._read = 0
        self._ended = False
        self._changed = asyncio.Event()

    async def write(self, data: bytes) -> None:
        """Append; waits while too much has not been read.

        Raises:
            TimeoutError: If the client reads nothing for too long.
        """
        while self._written - self._read > MAX_AHEAD:
            self._changed.clear()
            before = self._read
            try:
                await asyncio.wait_for(self._changed.wait(), PATIENCE)
            except asyncio.TimeoutError:
                if self._read == before:
                    raise TimeoutError("the client reads nothing") from None
        if self._read == self._written:  # all was sent: begin the file anew
            self._file.seek(0)
            self._file.truncate()
            self._read = self._written = 0
        self._file.seek(self._written)
        self._file.write(data)
        self._written += len(data)
        self._changed.set()

    def end(self) -> None:
        """Mark the end: nothing more comes."""
        self._ended = True
        self._changed.set()

    async def read(self) -> bytes:
        """Return the next bytes, or none at the end."""
        while self._read == self._written:
            if self._ended:
                return b""
            self._changed.clear()
            await self._changed.wait()
        self._file.seek(self._read)
        data = self._file.read(_READ)
        self._read += len(data)
        self._changed.set()
        return data


async def _fill(
    spool: _Spool, request: Request, service: Service, batcher: Batcher, key: Key, column: str
) -> None:
    """Read lines, score them, write results; ends the spool whatever happens."""
    lines: list[bytes | None] = []
    size = 0
    try:
        async for line in _lines(request, service.settings.timeout):
            lines.append(line)
            size += len(line or b"")
            if len(lines) >= TOGETHER or size >= TOGETHER_BYTES:
                await spool.write(await _screened(lines, service, batcher, key, column))
                lines, size = [], 0
        if lines:
            await spool.write(await _screened(lines, service, batcher, key, column))
    except _StoppedError as error:
        # The status is long sent: the last line says that the rest is missing.
        await spool.write(msgspec.json.encode({"error": str(error)}) + b"\n")
    finally:
        spool.end()


class _StoppedError(Exception):
    """The client stopped in the middle."""


async def _lines(request: Request, patience: float) -> AsyncIterator[bytes | None]:
    """Yield the lines of a body without their ends; None for one that is too long."""
    buffer = bytearray()
    skipping = False
    while True:
        try:
            message = await asyncio.wait_for(request.receive(), patience)
        except asyncio.TimeoutError:
            raise _StoppedError(f"the rest is missing: no data came for {patience:g} seconds") from None
        if message["type"] != "http.request":
            raise _StoppedError("the rest is missing: the request broke off")
        buffer += message.get("body", b"")
        *whole, rest = bytes(buffer).split(b"\n")
        for line in whole:
            if skipping:
                skipping = False
                yield None
            elif len(line) > MAX_LINE:
                yield None
            elif line.strip():
                yield line
        if len(rest) > MAX_LINE:
            skipping, rest = True, b""
        buffer = bytearray(rest)
        if not message.get("more_body"):
            break
    if skipping:
        yield None
    elif buffer.strip():
        yield bytes(buffer)


async def _screened(
    lines: list[bytes | None], service: Service, batcher: Batcher, key: Key, column: str
) -> bytes:
    """Return a line of results for each line."""
    rows: list[dict[str, Any]] = []
    texts: list[str] = []
    for line in lines:
        row = _row(line, column)
        rows.append(row)
        if "error" not in row:
            texts.append(row[column])
    await _wait_for_rate(service, key, len(texts))
    scores = await batcher.scores(texts, patient=True)
    actions = batcher.screener.bundle.policy.actions(scores).tolist() if texts else []
    made = zip(scores.astype(float).round(6).tolist(), actions, strict=True)
    for row in rows:
        if "error" not in row:
            values, action = next(made)
            row.update(zip(ATTRIBUTES, values, strict=True), action=action)
    return b"".join([msgspec.json.encode(row) + b"\n" for row in rows])


async def _wait_for_rate(service: Service, key: Key, count: int) -> None:
    rate = key.rate or service.settings.rate
    if rate is None or not key.number:
        return
    while seconds := service.limits.take(key.number, rate, count):
        await asyncio.sleep(min(seconds, 1.0))


def _row(line: bytes | None, column: str) -> dict[str, Any]:
    """Read a line; what is wrong with it stands in "error"."""
    if line is None:
        return {"error": f"the line is longer than {MAX_LINE:,} bytes"}
    try:
        row = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        try:
            row = _repaired(json.loads(line.decode("utf-8-sig")))
            msgspec.json.encode(row)
        except (ValueError, RecursionError, TypeError, OverflowError):
            return {"error": "the line is not valid JSON"}
    if isinstance(row, str):
        row = {column: row}
    if not isinstance(row, dict):
        return {"error": "the line is neither a JSON object nor a text"}
    row.pop("error", None)
    text = row.get(column)
    if not isinstance(text, str):
        return {**row, "error": "the field with the text is missing or no text"}
    if len(text) > MAX_CHARS:
        return {**row, "error": f"the text is longer than {MAX_CHARS:,} characters"}
    return row


def _repaired(value: Any) -> Any:
    """Replace lone surrogates, at any depth."""
    if isinstance(value, str):
        if value.isascii():
            return value
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, list):
        return [_repaired(item) for item in value]
    if isinstance(value, dict):
        return {_repaired(key): _repaired(item) for key, item in value.items()}
    return value
