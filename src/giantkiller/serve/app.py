"""The application: which address answers what."""

import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.routing import BaseRoute, Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from giantkiller.serve import native, openapi, status
from giantkiller.serve.batch import batch
from giantkiller.serve.discovery import discovery
from giantkiller.serve.door import DOOR
from giantkiller.serve.front import Front
from giantkiller.serve.hooks.comments import comments
from giantkiller.serve.hooks.coral import coral
from giantkiller.serve.hooks.detoxify import classify
from giantkiller.serve.hooks.matrix import matrix_event, matrix_ping
from giantkiller.serve.http import MATRIX, MODEL
from giantkiller.serve.labels import feedback
from giantkiller.serve.perspective import OMITTED, analyze, suggestscore
from giantkiller.serve.service import Service
from giantkiller.serve.streaming import screen


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
    async def lifespan(_app: Starlette) -> AsyncIterator[dict[str, Any]]:
        await service.start()
        try:
            async with contextlib.AsyncExitStack() as stack:
                for companion in companions:
                    await stack.enter_async_context(companion())
                # Pages elsewhere need headers with a refusal that the door doesn't know.
                yield {} if service.settings.cors_origins else {DOOR: service.door}
        finally:
            await service.stop()

    middleware = []
    if service.settings.cors_origins:
        middleware.append(
            Middleware(
                CORSMiddleware,
                allow_origins=service.settings.cors_origins,
                allow_methods=["GET", "POST"],
                allow_headers=["*"],
                expose_headers=[OMITTED, MODEL, "X-Request-Id", "Retry-After"],
            )
        )
    app = _Application(routes=[*routes(), *more_routes], middleware=middleware, lifespan=lifespan)
    app.router.redirect_slashes = False
    app.state.service = service
    return app


class _Application(Starlette):
    """Starlette without its own layers for errors: the front turns each into an answer, and costs less."""

    def build_middleware_stack(self) -> ASGIApp:
        """Put the front before the routes, and what else was asked for before it."""
        app: ASGIApp = Front(_ByAddress(self.router), self.state.service)
        for cls, args, kwargs in reversed(self.user_middleware):
            app = cls(app, *args, **kwargs)
        return app


class _ByAddress:
    """Finds the first routes, which have no parameters, by their address alone; the router finds the others.

    The router would try one pattern after the other, and put layers for errors around each endpoint that the
    front has already: together a third of what a request costs here.
    """

    def __init__(self, router: Router) -> None:
        self._router = router
        self._routes: dict[tuple[str, str], Route] = {}
        for route in router.routes:
            if not isinstance(route, Route) or route.param_convertors:
                break  # what follows may be hidden by this one
            for method in route.methods or ():
                self._routes.setdefault((method, route.path), route)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        route = None
        if scope["type"] == "http" and not scope.get("root_path"):
            route = self._routes.get((scope["method"], scope["path"]))
        if route is None:
            await self._router(scope, receive, send)
            return
        scope["endpoint"] = route.endpoint
        response = await route.endpoint(Request(scope, receive, send))
        await response(scope, receive, send)
