"""`GET /v1/feedback`: what clients said the scores should be, as labelled comments."""

from collections.abc import Iterator
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from giantkiller.attributes import ATTRIBUTES
from giantkiller.serve.errors import ApiError
from giantkiller.serve.feedback import read_feedback
from giantkiller.serve.http import admit
from giantkiller.serve.service import Service, service_of


async def feedback(request: Request) -> Response:
    """Answer `GET /v1/feedback` in JSON Lines, oldest first, with the columns that training reads."""
    service = service_of(request.app)
    await admit(request, service, "admin", 0)
    after = request.query_params.get("after", "0")
    if not after.isdecimal() or len(after) > 18:
        raise ApiError(400, "after is the number of the last row that you have.")
    return StreamingResponse(
        _pages(service, int(after)), media_type="application/x-ndjson", headers={"Cache-Control": "no-store"}
    )


def _pages(service: Service, after: int) -> Iterator[bytes]:
    while page := read_feedback(service.store, after):  # a text that was purged is empty
        yield b"".join([msgspec.json.encode(_row(row)) + b"\n" for row in page if row["text"]])
        after = page[-1]["number"]


def _row(row: dict[str, Any]) -> dict[str, Any]:
    labels = {name: value for name, value in row["scores"].items() if name in ATTRIBUTES}
    kept = {
        name: row[name] for name in ("number", "received", "source", "community", "client_token", "key_id")
    }
    return {"text": row["text"], **labels, **kept}
