"""How a running process follows the database from one bundle to another, without dropping a request."""

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import anyio.to_thread
from sqlalchemy.exc import SQLAlchemyError

from giantkiller.errors import UserError
from giantkiller.screener import Screener
from giantkiller.serve.logs import log, where
from giantkiller.serve.settings import Settings
from giantkiller.serve.shelf import Lineup, load_base, load_kept, note_error, read_lineup
from giantkiller.store import Store, StoreBusyError

if TYPE_CHECKING:
    from giantkiller.serve.service import Service

LOOK_SECONDS = 1.0
"""How often each process looks which bundle shall score."""

RETRY_SECONDS = 30.0
"""After how long a bundle that could not be loaded is tried again."""


def load_first(settings: Settings, store: Store) -> tuple[Screener, str | None]:
    """Load the bundle that shall score when a process starts.

    If it can't be loaded, the log says why, and the one before it scores; lastly the one that the settings
    name.

    Returns:
        The screener, and its digest if it is one from the shelf.

    Raises:
        UserError: If the model that the settings name is needed and can't be loaded.
    """
    with store.read() as connection:
        lineup = read_lineup(connection)
    for promotion in lineup.promotions:
        if (screener := _loaded(settings, store, promotion.digest)) is not None:
            return screener, promotion.digest
    return load_base(settings.model), None


class Switch:
    """Keeps a service on the bundles that the database names; one runs in each process."""

    def __init__(self, service: "Service") -> None:
        self._service = service
        self._failed: dict[str | None, float] = {}

    async def run(self) -> None:
        """Look, and follow, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                lineup = await anyio.to_thread.run_sync(self._look)
            except (SQLAlchemyError, StoreBusyError):
                continue  # the database is away; what scores, scores on
            await self._follow(lineup)

    def _look(self) -> Lineup:
        with self._service.store.read() as connection:
            return read_lineup(connection)

    async def _follow(self, lineup: Lineup) -> None:
        service = self._service
        if lineup.active != service.active:
            screener = await self._load(lineup.active)
            if screener is not None:
                service.change(screener, lineup.active)
                fields = {"model": screener.bundle.digest[:12]}
                log.info("another bundle scores", extra={"fields": fields})
        if lineup.candidate is None:
            service.shadow.follow(None)
        elif lineup.candidate != service.shadow.digest:
            service.shadow.follow(await self._load(lineup.candidate))

    async def _load(self, digest: str | None) -> Screener | None:
        """Load a bundle beside the one that scores; None if it can't be, now or a moment ago."""
        if time.monotonic() - self._failed.get(digest, float("-inf")) < RETRY_SECONDS:
            return None
        service = self._service
        load: Callable[[], Screener | None] = lambda: _loaded(service.settings, service.store, digest)  # noqa: E731
        screener = await anyio.to_thread.run_sync(load)
        if screener is None:
            self._failed[digest] = time.monotonic()
        else:
            self._failed.pop(digest, None)
        return screener


def _loaded(settings: Settings, store: Store, digest: str | None) -> Screener | None:
    """Load a bundle; if that fails, log and record why."""
    reason: str | None = None
    screener = None
    try:
        screener = load_base(settings.model) if digest is None else load_kept(settings.state, digest)
    except UserError as error:
        reason = str(error)
        log.error("bundle not loaded", extra={"fields": {"model": digest, "reason": reason}})
    except Exception as error:  # whatever it is, the service goes on with what it has
        reason = f"it can't be loaded ({type(error).__name__})"
        log.error(
            "bundle not loaded", extra={"fields": {"model": digest, "error": reason, "at": where(error)}}
        )
    if digest is not None:
        _note(store, digest, reason)
    return screener


def _note(store: Store, digest: str, reason: str | None) -> None:
    try:
        with store.write() as connection:
            note_error(connection, digest, reason)
    except (SQLAlchemyError, StoreBusyError):
        log.warning("the database could not take a note", extra={"fields": {"model": digest}})
