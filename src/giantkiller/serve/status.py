"""How the service is: for load balancers, for Prometheus, and for people."""

import time
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

import anyio.to_thread
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from giantkiller import __version__
from giantkiller.attributes import ATTRIBUTES, DEFINITIONS
from giantkiller.serve import language
from giantkiller.serve.discovery import root_url
from giantkiller.serve.errors import ApiError
from giantkiller.serve.http import Json, find_key, headers_of, key_in
from giantkiller.serve.native import model_name
from giantkiller.serve.service import Service, service_of
from giantkiller.serve.settings import is_loopback

_STARTED = time.monotonic()
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; frame-ancestors 'none'; "
    "base-uri 'none'"
)


async def healthz(_request: Request) -> Response:
    """Answer `GET /healthz`: the process lives."""
    return Json({"status": "ok"})


async def readyz(request: Request) -> Response:
    """Answer `GET /readyz`: the process can take comments, and its database answers."""
    service = service_of(request.app)
    if not service.started:
        raise ApiError(503, "The service is starting or stopping.", "NOT_READY", headers={"Retry-After": "1"})
    try:
        await anyio.to_thread.run_sync(_ask, service)
    except SQLAlchemyError:
        raise ApiError(
            503, "The database does not answer.", "NOT_READY", headers={"Retry-After": "5"}
        ) from None
    return Json({"status": "ready", "model": model_name(service.screener.bundle)})


def _ask(service: Service) -> None:
    with service.store.read() as connection:
        connection.execute(text("SELECT 1"))


async def metrics(request: Request) -> Response:
    """Answer `GET /metrics`."""
    service = service_of(request.app)
    settings = service.settings
    headers = headers_of(request)
    # What a reverse proxy passes on comes from loopback, too, whoever asks.
    near = is_loopback(settings.host) and not {"x-forwarded-for", "forwarded"} & headers.keys()
    if not (settings.public_metrics or settings.open or near):
        key = await find_key(service, key_in(request.scope["query_string"], headers))
        if key is None or not key.allows("admin"):
            raise ApiError(
                401 if key is None else 403,
                "Metrics need an admin's key here.",
                "API_KEY_MISSING" if key is None else "ROLE_MISSING",
                headers={"WWW-Authenticate": "Bearer"} if key is None else None,
            )
    return Response(service.metrics.text(service.queue), media_type=service.metrics.content_type())


async def page(request: Request) -> Response:
    """Answer `GET /`: what this is, lines to try, the model's figures, the load now."""
    service = service_of(request.app)
    content = "".join(_page(service, root_url(request).rstrip("/")))
    return HTMLResponse(content, headers={"Content-Security-Policy": _POLICY, "Cache-Control": "no-store"})


def _page(service: Service, root: str) -> Iterator[str]:
    bundle = service.screener.bundle
    key = "" if service.settings.open else "?key=YOUR_KEY"
    header = "" if service.settings.open else " -H 'Authorization: Bearer YOUR_KEY'"
    yield (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Giant-Killer</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><style>'
        ":root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:50rem;"
        "margin:2rem auto;padding:0 1rem}pre{overflow-x:auto;padding:.8rem;border:1px solid #8888;"
        "border-radius:.3rem}table{border-collapse:collapse}th,td{text-align:left;padding:.2rem 1rem .2rem 0;"
        "border-bottom:1px solid #8884}</style></head><body><main>"
    )
    yield (
        f"<h1>Giant-Killer {escape(__version__)}</h1><p>This service scores comments for toxicity. It "
        "answers as the Perspective API did, and at addresses of its own.</p>"
    )
    if not service.settings.open:
        yield (
            "<p>It needs an API key: <code>giantkiller keys create NAME</code> on the machine that runs it."
            "</p>"
        )
    if service.intake is not None:
        yield '<p><a href="/desk">The desk</a> is where people decide about comments.</p>'
    yield from _try_it(root, key, header)
    yield (
        '<p>All addresses: <a href="/openapi.json">openapi.json</a>. For Google\'s client libraries: '
        "<code>/$discovery/rest</code>.</p>"
    )
    yield f"<h2>The model</h2><p>{escape(model_name(bundle))}, {bundle.bytes / 1e6:.1f} MB. "
    yield "It reads English; " + (
        "comments that are surely in another language are refused unless the client says <code>en</code>.</p>"
        if language.available() and not service.settings.any_language
        else "comments in other languages are scored, too, and their scores mean little.</p>"
    )
    yield from _figures(bundle.figures)
    yield from _now(service)
    yield "</main></body></html>"


def _try_it(root: str, key: str, header: str) -> Iterator[str]:
    """Show calls that can be pasted into a shell."""
    yield "<h2>Try it</h2>"
    ask = '{"comment": {"text": "You are an idiot"}, "requestedAttributes": {"TOXICITY": {}, "INSULT": {}}}'
    for what, line in (
        ("As the Perspective API", f"curl '{root}/v1alpha1/comments:analyze{key}' -d '{ask}'"),
        ("Scores", f'curl {root}/v1/score{header} -d \'{{"text": "You are an idiot"}}\''),
        (
            "A verdict and why",
            f'curl {root}/v1/judge{header} -d \'{{"texts": ["You are an idiot"], "explain": true}}\'',
        ),
        (
            "JSON Lines, any number of them",
            f"curl {root}/v1/screen{header} -T comments.jsonl -X POST",
        ),
    ):
        yield f"<h3>{escape(what)}</h3><pre>{escape(line)}</pre>"


def _now(service: Service) -> Iterator[str]:
    """Show what the process has done and what waits for it."""
    yield "<h2>Now</h2><table>"
    queue = service.queue
    minutes, seconds = divmod(int(time.monotonic() - _STARTED), 60)
    for name, value in (
        ("Up", f"{minutes:,} min {seconds} s"),
        ("Requests answered", f"{service.metrics.answered:,}"),
        ("Comments scored", f"{service.metrics.comments:,}"),
        ("Comments waiting", f"{queue.waiting:,}" if queue else "0"),
        ("Expected wait", f"{queue.expected_wait * 1000:.1f} ms" if queue else "0 ms"),
        ("Drift of scores", _drift(service)),
    ):
        yield f"<tr><th>{name}</th><td>{escape(value)}</td></tr>"
    yield "</table>"
    if service.settings.workers > 1:
        yield f"<p>One of {service.settings.workers} processes; /metrics counts them all.</p>"


def _drift(service: Service) -> str:
    service.metrics.settle()
    index = service.drift.index()
    if index is None:
        return "not enough comments yet"
    attribute = max(index, key=lambda a: index[a])
    return f"at most {index[attribute]:.2f} ({attribute}), against the {service.drift.source}"


def _figures(figures: Mapping[str, Any]) -> Iterator[str]:
    """Yield a table of what judging found, where the bundle has it."""
    named: dict[str, dict[str, Any]] = {}
    for part in ("validation", "test"):
        found = figures.get(part)
        if isinstance(found, Mapping):
            inner = found.get("attributes", found)
            named[part] = {a: inner[a] for a in ATTRIBUTES if isinstance(inner.get(a), Mapping)}
    if not any(named.values()):
        return
    yield "<table><tr><th>Attribute</th>"
    yield "".join(f"<th>ROC AUC, {escape(part)}</th>" for part in named)
    yield "<th>Means</th></tr>"
    for attribute in ATTRIBUTES:
        cells = "".join(
            f"<td>{escape(_number(rows.get(attribute, {}).get('roc_auc')))}</td>" for rows in named.values()
        )
        yield f"<tr><th>{attribute}</th>{cells}<td>{escape(DEFINITIONS[attribute])}</td></tr>"
    yield "</table>"


def _number(value: Any) -> str:
    if isinstance(value, Mapping):
        value = value.get("value")
    return f"{value:.3f}" if isinstance(value, int | float) else ""
