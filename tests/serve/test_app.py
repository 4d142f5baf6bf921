"""Which address answers what."""

import asyncio

import httpx
import pytest
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route, Router

from giantkiller.serve.app import _ByAddress


def says(word):
    async def endpoint(request):
        return PlainTextResponse(f"{word} {request.scope['endpoint'] is endpoint}")

    return endpoint


async def fails(request):
    raise HTTPException(418)


ROUTES = [
    Route("/plain", says("plain"), methods=["POST"]),
    Route("/plain", says("other"), methods=["GET"]),
    Route("/fails", fails),
    Route("/of/{name}", says("named")),
    Route("/of/hidden", says("hidden")),
    Mount("/below", routes=[Route("/plain", says("below"))]),
]


async def ask(app, method, path):
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
        return await client.request(method, path)


@pytest.mark.parametrize(
    ("method", "path", "said"),
    [
        ("POST", "/plain", "plain True"),
        ("GET", "/plain", "other True"),
        ("HEAD", "/plain", ""),
        ("GET", "/of/hidden", "named True"),
        ("GET", "/below/plain", "below True"),
    ],
)
def test_addresses_answer_as_the_router_would(method, path, said):
    for app in (Router(ROUTES), _ByAddress(Router(ROUTES))):
        answer = asyncio.run(ask(app, method, path))
        assert (answer.status_code, answer.text if method != "HEAD" else "") == (200, said)


def test_what_the_router_refuses_is_refused():
    app = _ByAddress(Router(ROUTES))
    assert asyncio.run(ask(app, "PUT", "/plain")).status_code == 405
    assert asyncio.run(ask(app, "GET", "/plain/")).status_code in (307, 404)
    assert asyncio.run(ask(app, "GET", "/nothing")).status_code == 404
    with pytest.raises(HTTPException):
        asyncio.run(ask(app, "GET", "/fails"))
