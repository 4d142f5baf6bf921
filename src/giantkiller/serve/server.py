"""From settings to a listening server: one process, or several that share a socket."""

import contextlib
import gc
import inspect
import os
import shutil
import signal
import socket
import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.supervisors.multiprocess import Multiprocess

from giantkiller.bundle import read_bundle
from giantkiller.errors import UserError
from giantkiller.serve import metrics
from giantkiller.serve.limits import prepare_limits
from giantkiller.serve.logs import set_up
from giantkiller.serve.protocol import BoundedProtocol
from giantkiller.serve.service import LIMITS, open_service
from giantkiller.serve.settings import Settings
from giantkiller.store import open_store

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from giantkiller.serve.service import Service

Compose = Callable[["Service"], "Starlette"]
"""Makes the application of a service; the command line's adds the routes of other rooms."""

SWITCH_SECONDS = 0.0005
"""How long a thread that scores may keep Python from the event loop; by default it would be 0.005."""

WORKER_SECONDS = 30
"""After how long a silent process is replaced; uvicorn's 5 are too few to start on a busy machine."""


def listen(host: str, port: int) -> socket.socket:
    """Bind an address.

    Raises:
        UserError: If the port is taken, or the address isn't this machine's.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        try:
            if os.name == "posix":
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(2048)
        except BaseException:
            listener.close()
            raise
    except OSError as error:
        raise UserError(
            f"can't listen on {host} port {port}: {error.strerror or error}; name another host or port, or "
            "stop what listens there"
        ) from error
    listener.set_inheritable(True)
    return listener


def run(settings: Settings, listener: socket.socket, compose: Compose) -> None:
    """Serve until told to stop.

    Args:
        settings: The settings.
        listener: A bound socket, as `listen` gives.
        compose: Makes the application; a function that a new process can import.

    Raises:
        UserError: If the model, the state or the database can't be used.
    """
    set_up(settings.log_level)
    if settings.workers == 1:
        server = uvicorn.Server(config_for(settings, _application(settings, compose)))
        # uvicorn raises the signal that stopped it once more: the end it asked for has come already.
        signal.signal(signal.SIGTERM, lambda *_: None)
        with contextlib.suppress(KeyboardInterrupt):
            server.run(sockets=[listener])
        return
    read_bundle(settings.model)
    open_store(settings.state, settings.database_url).close()  # migrated once, before the workers open it
    prepare_limits(settings.state / LIMITS)
    gc.enable()  # this process only watches over the others from here on
    counters = settings.state / "metrics"
    shutil.rmtree(counters, ignore_errors=True)
    counters.mkdir(parents=True)
    os.environ[metrics.FOLDER] = str(counters)
    try:
        Multiprocess(config_for(settings, partial(_application, settings, compose)), [listener]).run()
    finally:
        shutil.rmtree(counters, ignore_errors=True)


def _application(settings: Settings, compose: Compose) -> "Starlette":
    """Make the application, in a new process where there are several."""
    gc.disable()
    try:
        set_up(settings.log_level)
        sys.setswitchinterval(SWITCH_SECONDS)
        app = compose(open_service(settings))
        # What has been loaded by now stays. Looking through all of it for garbage, as Python does now and
        # then, would keep every request waiting; doing it here, once or oftener, takes a tenth of the start.
        gc.freeze()
        return app
    finally:
        gc.enable()


def config_for(settings: Settings, app: "Starlette | Callable[[], Starlette]") -> uvicorn.Config:
    """Return how uvicorn shall serve an application."""
    more: dict[str, Any] = {}
    if "timeout_worker_healthcheck" in inspect.signature(uvicorn.Config).parameters:
        more["timeout_worker_healthcheck"] = WORKER_SECONDS
    return uvicorn.Config(
        app,
        factory=settings.workers > 1,
        workers=settings.workers,
        http=BoundedProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.proxies),
        forwarded_allow_ips=settings.proxies,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=max(1, round(settings.shutdown)),
        backlog=2048,
        **more,
    )
