"""What the routes share: one object a process, at `app.state.service`."""

import asyncio
import gc
import os
import time
import weakref
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from giantkiller.screener import Screener, available_cores
from giantkiller.serve.batching import Batcher
from giantkiller.serve.door import Door
from giantkiller.serve.drift import Drift
from giantkiller.serve.feedback import Listener
from giantkiller.serve.ids import RequestIds
from giantkiller.serve.incoming import Intake
from giantkiller.serve.keys import Keyring
from giantkiller.serve.limits import RateLimiter
from giantkiller.serve.logs import log, where
from giantkiller.serve.metrics import Metrics
from giantkiller.serve.settings import Settings
from giantkiller.serve.shadow import Shadow
from giantkiller.serve.switching import Switch, load_first
from giantkiller.store import Store, open_store

if TYPE_CHECKING:
    from starlette.applications import Starlette

LIMITS = "limits.bin"
"""The file in the state folder through which processes share their rate limits."""


@dataclass
class Service:
    """The parts of a running service.

    Other rooms that live in the process find here the settings, the store, the keys and the model. Before
    the start they add to `feedback_listeners` what shall happen in the transaction that keeps feedback, and
    to `background` what shall run as long as the service does (in each process; cancelled at the end). The
    desk sets `intake`, through which hooks hand it comments. `arriving` counts the bytes of bodies that have
    come and are not whole yet. `active` is the digest of the screener's bundle
    if it is one from the shelf, None for the model that the settings name.
    """

    settings: Settings
    screener: Screener
    store: Store
    keys: Keyring
    limits: RateLimiter
    metrics: Metrics
    drift: Drift
    feedback_listeners: list[Listener] = field(default_factory=list)
    background: list[Callable[[], Coroutine[None, None, None]]] = field(default_factory=list)
    intake: Intake | None = None
    active: str | None = None
    shadow: Shadow = field(init=False)
    ids: RequestIds = field(default_factory=RequestIds)
    door: Door = field(init=False)
    streams: int = 0
    arriving: int = 0
    started: bool = False
    _batcher: Batcher | None = None
    _retired: "weakref.WeakSet[Batcher]" = field(default_factory=weakref.WeakSet)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.door = Door(lambda: self._batcher, self.metrics, self.ids)
        self.shadow = Shadow(
            self.store, self.settings.shadow, lambda: self._batcher is not None and self._batcher.busy
        )

    @property
    def batcher(self) -> Batcher:
        """The queue in front of the model; there is one once the event loop runs."""
        assert self._batcher is not None, "the service has not started"
        return self._batcher

    @property
    def queue(self) -> Batcher | None:
        """The same, or None before the start."""
        return self._batcher

    async def start(self) -> None:
        """Begin to take comments; called in the event loop."""
        settings = self.settings
        self._batcher = Batcher(
            self.screener,
            runners=runners(settings),
            max_batch=settings.max_batch,
            max_queue=settings.max_queue,
            max_wait=settings.max_wait_ms / 1000,
            window=settings.window_ms / 1000,
            timeout=settings.timeout,
            observe=self.metrics.model_call,
            offer=self.shadow.offer,
        )
        background = [Switch(self).run, self.metrics.keep_settled, *self.background]
        self._tasks = [asyncio.create_task(_guarded(task)) for task in background]
        self.started = True

    def change(self, screener: Screener, active: str | None) -> None:
        """Let another bundle score from the next request on; called in the event loop.

        Who holds the old queue gets scores from the old bundle, which goes when nobody holds it.
        """
        gc.unfreeze()  # so that what the old bundle leaves can go
        self.screener, self.active = screener, active
        self.drift = Drift(screener.bundle.figures)
        self.metrics.follow(screener.bundle.policy, self.drift)
        if self._batcher is not None:
            self._retired.add(self._batcher)
            self._batcher = self._batcher.successor(screener)

    async def stop(self) -> None:
        """Finish what was accepted and let go of the database."""
        self.started = False
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for batcher in [*self._retired, *([self._batcher] if self._batcher else [])]:
            await batcher.close()
        await asyncio.to_thread(self.shadow.close)
        self.store.close()


async def _guarded(task: Callable[[], Coroutine[None, None, None]]) -> None:
    """Run a background task again when it fails, a little later each time."""
    wait = 1.0
    while True:
        began = time.monotonic()
        try:
            await task()
            return
        except Exception as error:
            log.error(
                "background failure", extra={"fields": {"error": type(error).__name__, "at": where(error)}}
            )
        wait = 1.0 if time.monotonic() - began > 60 else min(60.0, 2 * wait)
        await asyncio.sleep(wait)


def runners(settings: Settings) -> int:
    """Return how many threads of this process call the model."""
    return settings.threads or max(1, available_cores() // settings.workers)


def open_service(settings: Settings) -> Service:
    """Load the model and open the state.

    Raises:
        UserError: If the model, the state folder or the database can't be used.
    """
    store = open_store(settings.state, settings.database_url, migrate=settings.workers == 1)
    try:
        screener, active = load_first(settings, store)
    except BaseException:
        store.close()
        raise
    drift = Drift(screener.bundle.figures)
    keys = Keyring(store)
    keys.load()
    shared = settings.state / LIMITS if settings.workers > 1 and os.name == "posix" else None
    return Service(
        settings=settings,
        screener=screener,
        store=store,
        keys=keys,
        limits=RateLimiter(shared),
        metrics=Metrics(screener.bundle.policy, drift),
        drift=drift,
        active=active,
    )


def service_of(app: "Starlette") -> Service:
    """Return the service of an application."""
    service: Service = app.state.service
    return service
