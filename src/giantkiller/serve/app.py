"""The application: which address answers what."""

import contextlib
from collections.abc import AsyncIterator, Callable, Sequence

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from giantkiller.serve import native, openapi, status
from giantkiller.serve.batch import batch
from giantkiller.serve.batching import OverloadedError
from giantkiller.serve.discovery import discovery
from giantkiller.serve.errors import ApiError
from giantkiller.serve.front import Front
from giantkiller.serve.hooks.comments import comments
from giantkiller.serve.hooks.coral import coral
from giantkiller.serve.hooks.detoxify import classify
from giantkiller.serve.hooks.matrix import matrix_event, matrix_ping
from giantkiller.serve.http import MATRIX, MODEL, as_api_error, error_response
from giantkiller.serve.labels import feedback
from giantkiller.serve.perspective import OMITTED, analyze, suggestscore
from giantkiller.serve.service import Service
from giantkiller.serve.streaming import screen
from giantkiller.store import StoreBusyError


def routes() -> list[BaseRoute]:
    """Return our routes, the busiest first."""
    return [
        Route("/v1alpha1/comments:analyze", analyze, methods=["POST"]),
        Route("/v1/score", native.score, methods=["POST"]),
        Route("/v1/judge", native.judge, methods=["POST"]),
        Route("/v1/screen", screen, methods=["POST"]),
        Route("/v1alpha1/comments:suggestscore", suggestscore, methods=["POST"]),
        Route("/batch", batch, methods=["POST"]),
        Route("/batch/commentanalyzer/v1alpha1", batch, methods=["POST"]),
        Route("/$discovery/rest", discovery, methods=["GET"]),
        *(Route(path, coral, methods=["POST"]) for path in with_community("/v1/hooks/coral")),
        *(Route(path, comments, methods=["POST"]) for path in with_community("/v1/hooks/comments")),
        *(
            Route(f"{path}/{name}", endpoint, methods=["POST"])
            for path in with_community(MATRIX.rstrip("/"))
            for name, endpoint in (("check_event_for_spam", matrix_event), ("ping", matrix_ping))
        ),
        Route("/api/v1/classify", classify, methods=["POST"]),
        Route("/v1/policy", native.policy, methods=["GET"]),
        Route("/v1/model", native.model, methods=["GET"]),
        Route("/v1/feedback", feedback, methods=["GET"]),
        Route("/openapi.json", openapi.document, methods=["GET"]),
        Route("/healthz", status.healthz, methods=["GET"]),
        Route("/readyz", status.readyz, methods=["GET"]),
        Route("/metrics", status.metrics, methods=["GET"]),
        Route("/", status.page, methods=["GET"]),
    ]


def with_community(path: str) -> tuple[str, str]:
    """Return the address of a hook, and the one under which the desk keeps what it is sent."""
    return path, f"{path}/{{community}}"


Companion = Callable[[], contextlib.AbstractAsyncContextManager[None]]
"""Something of another room that runs for as long as the application lives."""


def create(
    service: Service, more_routes: Sequence[BaseRoute] = (), companions: Sequence[Companion] = ()
) -> Starlette:
    """Make the application.

    Args:
        service: What `open_service` gives; started and stopped with the application.
        more_routes: Routes and mounts of other rooms in the same process.
        companions: Entered after the service has started, left before it stops.
    """

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        await service.start()
        try:
            async with contextlib.AsyncExitStack() as stack:
                for companion in companions:
                    await stack.enter_async_context(companion())
                yield
        finally:
            await service.stop()

    middleware = [Middleware(Front, service=service)]
    if service.settings.cors_origins:
        middleware.append(
            Middleware(
                CORSMiddleware,
                allow_origins=service.settings.cors_origins,
                allow_methods=["GET", "POST"],
                allow_headers=["*"],
                expose_headers=[MODEL, OMITTED, "X-Request-Id", "Retry-After"],
            )
        )
    app = Starlette(
        routes=[*routes(), *more_routes],
        middleware=middleware,
        lifespan=lifespan,
        exception_handlers={
            ApiError: _known,
            OverloadedError: _known,
            StoreBusyError: _known,
            HTTPException: _http,
        },
    )
    app.router.redirect_slashes = False
    app.state.service = service
    return app


async def _known(request: Request, error: Exception) -> Response:
    known = as_api_error(error)
    assert known is not None
    return error_response(known, request.url.path)


async def _http(request: Request, error: Exception) -> Response:
    """Answer 404 and 405 in the shape of every other error."""
    assert isinstance(error, HTTPException)
    messages = {404: "There is nothing at this address.", 405: "This address takes another method."}
    message = messages.get(error.status_code, "The request can't be answered.")
    reason = {404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED"}.get(error.status_code, "INVALID_REQUEST")
    known = ApiError(error.status_code, message, reason, headers=error.headers)
    return error_response(known, request.url.path)
