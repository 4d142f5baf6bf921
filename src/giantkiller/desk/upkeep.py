"""What the service does by itself now and then: purge old texts, and count past days for the overview."""

import contextlib
import threading
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import anyio.to_thread
from sqlalchemy.exc import SQLAlchemyError

from giantkiller.desk import quality
from giantkiller.desk.config import read_settings
from giantkiller.desk.daily import DAYS
from giantkiller.desk.retention import purge
from giantkiller.serve.logs import log
from giantkiller.store import Store, StoreBusyError, utc_now

FIRST = 60.0
"""Seconds after the start until it happens for the first time."""

EVERY = 6 * 3600.0
"""Seconds from then on."""


def tidy(store: Store, *, now: datetime) -> None:
    """Purge what the desk's settings say."""
    with store.read() as connection:
        days = read_settings(connection).retention_days
    if days:
        purge(store, days, now=now)


def count_ahead(store: Store, *, now: datetime) -> None:
    """Count the days that the overview shows, so that no lead waits for those that are over."""
    since = now - timedelta(days=DAYS)
    with store.read() as connection:
        quality.overturned_machine(connection, since, now=now)
        quality.by_person(connection, since, {}, now=now)


class Upkeep:
    """Tidies and counts while the service runs."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._stop = threading.Event()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run for as long as the application lives."""
        thread = threading.Thread(target=self._work, name="upkeep", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            await anyio.to_thread.run_sync(thread.join, 5)

    def _work(self) -> None:
        pause = FIRST
        while not self._stop.wait(pause):
            try:
                tidy(self._store, now=utc_now())
                count_ahead(self._store, now=utc_now())
            except (SQLAlchemyError, StoreBusyError) as error:
                # What is due waits for the next time. Only the kind is logged: a message may quote a text.
                log.error("upkeep put off", extra={"fields": {"error": type(error).__name__}})
            pause = EVERY
