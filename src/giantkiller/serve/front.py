"""What every request passes first and last: its id, limits, the log line, and whatever went wrong."""

import time
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from giantkiller.serve.door import ADMITTED
from giantkiller.serve.errors import ApiError, overloaded
from giantkiller.serve.http import as_api_error, error_response
from giantkiller.serve.ids import REQUEST_ID
from giantkiller.serve.logs import log, tell, where
from giantkiller.serve.service import Service
from giantkiller.serve.settings import is_loopback

_ID_HEADER = REQUEST_ID.encode()
_INFO = 20


class Front:
    """Stands before all routes; whatever they raise becomes an answer here."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self.app = app
        self.service = service
        self.under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = scope.get(ADMITTED)
        if began is None:
            began = time.perf_counter()
        else:
            self.service.door.begun()
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        scope["giantkiller.headers"] = headers
        request_id = self.service.ids.name(headers.get(REQUEST_ID, ""))
        id_header = (_ID_HEADER, request_id.encode())
        status = 0

        async def tell(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [
                    *message.get("headers", ()),
                    id_header,
                    (b"x-content-type-options", b"nosniff"),
                ]
            await send(message)

        self.under_way += 1
        try:
            if self.under_way > self.service.settings.connections:
                raise overloaded(1, "Too many requests are under way; try again.")
            if self.service.settings.open:
                _check_origin(headers, self.service)
            await self.app(scope, receive, tell)
        except Exception as error:
            known = as_api_error(error)
            if known is None:
                log.error(
                    "failure",
                    extra={
                        "fields": {
                            "request_id": request_id,
                            "error": type(error).__name__,
                            "at": where(error),
                        }
                    },
                )
                known = ApiError(500, "Something went wrong here; the log knows the request id.", "INTERNAL")
            if not status:
                await error_response(known, scope["path"])(scope, receive, tell)
        finally:
            self.under_way -= 1
            self._note(scope, status, time.perf_counter() - began, request_id)

    def _note(self, scope: Scope, status: int, seconds: float, request_id: str) -> None:
        route = _route(scope)
        self.service.metrics.request(route, status, seconds)
        if status == 503:
            self.service.metrics.refused("load")
        if log.isEnabledFor(_INFO):
            fields: dict[str, Any] = {
                "request_id": request_id,
                "method": scope["method"],
                "route": route,
                "status": status,
                "ms": round(seconds * 1000, 3),
            }
            if key := scope.get("giantkiller.key"):
                fields["key"] = key
            tell("request", fields)


def _route(scope: Scope) -> str:
    """Name what answered: the endpoint, never the path, which anybody can fill with anything."""
    endpoint = scope.get("endpoint")
    name = getattr(endpoint, "__name__", None)
    return name if isinstance(name, str) else "none"


def _check_origin(headers: dict[str, str], service: Service) -> None:
    """Keep web pages from reaching a service that asks for no key."""
    host = headers.get("host", "")
    name = host.rsplit(":", 1)[0] if host.count(":") == 1 or "]" in host else host
    origin = headers.get("origin", "").rstrip("/")
    if not is_loopback(name.rstrip("]").lstrip("[")):
        raise ApiError(403, "An open service answers to a loopback address only.", "HOST_REFUSED")
    same = origin in (f"http://{host}", f"https://{host}")
    if origin and not same and origin not in service.settings.cors_origins:
        raise ApiError(403, "An open service takes no requests from web pages elsewhere.", "ORIGIN_REFUSED")
