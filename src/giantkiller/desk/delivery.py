"""The worker that carries messages to webhooks, signed as Standard Webhooks has it, in its own thread."""

import base64
import contextlib
import hashlib
import hmac
import json
import threading
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from typing import Any

import anyio.to_thread
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from giantkiller import __version__
from giantkiller.desk import outbox
from giantkiller.desk.outbox import Due
from giantkiller.desk.tables import deliveries
from giantkiller.store import Store, StoreBusyError, utc_now

TIMEOUT = 10
"""Seconds that a receiver may take."""

PAUSE = 1.0
"""Seconds between two looks at the outbox."""

_TOGETHER = 20


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A receiver that answers with a redirect has not taken the message."""

    def redirect_request(self, *_: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirects)


def sign(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """Return the value of the header `webhook-signature`."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    content = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()


def body_of(due: Due, base: str) -> bytes:
    """Return what a receiver gets: type, timestamp, data; the statement with its whole address."""
    data = due.payload
    statement = data.get("statement")
    if isinstance(statement, dict) and statement.get("path"):
        data = {**data, "statement": {**statement, "url": base + statement["path"]}}
    message = {"type": due.kind, "timestamp": due.created.isoformat(), "data": data}
    return json.dumps(message, ensure_ascii=False).encode()


def send(due: Due, base: str) -> tuple[int | None, str | None]:
    """Send one message; return the HTTP status, or what went wrong."""
    body = body_of(due, base)
    timestamp = int(utc_now().timestamp())
    request = urllib.request.Request(
        due.url,
        data=body,
        method="POST",
        headers={
            "Content-Type": "application/json",
            "User-Agent": f"giantkiller/{__version__}",
            "webhook-id": due.id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": sign(due.secret, due.id, timestamp, body),
        },
    )
    try:
        with _OPENER.open(request, timeout=TIMEOUT) as response:
            return int(response.status), None
    except urllib.error.HTTPError as error:
        error.close()
        return error.code, f"answered {error.code}"
    except (OSError, ValueError) as error:  # no connection, no such host, a timeout, no HTTP
        reason = getattr(error, "reason", error)
        return None, f"{type(reason).__name__}: {getattr(reason, 'strerror', None) or reason}"[:200]


def deliver_due(store: Store, base: str) -> int:
    """Deliver what is due; return how many messages were tried."""
    now = utc_now()
    with store.read() as connection:  # so that an empty outbox never takes the write lock
        waiting = connection.execute(
            select(deliveries.c.number)
            .where(deliveries.c.state == "waiting", deliveries.c.next_try <= now)
            .limit(1)
        ).first()
    if waiting is None:
        return 0
    with store.write() as connection:
        due = outbox.claim(connection, _TOGETHER, now=now)
    for one in due:
        status, error = send(one, base)
        ok = status is not None and 200 <= status < 300
        with store.write() as connection:
            outbox.settle(connection, one.number, ok=ok, status=status, error=error, now=utc_now())
    return len(due)


class Courier:
    """Delivers while the service runs.

    Args:
        store: The database.
        base: The service's web address, for links.
    """

    def __init__(self, store: Store, base: str) -> None:
        self._store = store
        self._base = base
        self._stop = threading.Event()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the worker for as long as the application lives."""
        thread = threading.Thread(target=self._work, name="courier", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            await anyio.to_thread.run_sync(thread.join, TIMEOUT + 1)

    def _work(self) -> None:
        pause = PAUSE
        while not self._stop.wait(pause):
            try:
                pause = 0.0 if deliver_due(self._store, self._base) else PAUSE
            except (SQLAlchemyError, StoreBusyError):
                pause = 5.0  # the database is busy or away; what was claimed comes again in a minute
