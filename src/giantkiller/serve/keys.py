"""API keys: made, listed and revoked by command, stored as hashes, checked without leaking time."""

import asyncio
import hashlib
import hmac
import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Column, Connection, Float, Integer, String, Table, func, insert, select, update

from giantkiller.errors import UserError
from giantkiller.store import Store, UTCDateTime, metadata, utc_now

ROLES = {
    "score": "score and judge comments",
    "submit": "send feedback and comments to decide on",
    "moderate": "read and decide what was submitted",
    "admin": "everything, and the metrics",
}
"""What a key may be allowed to do."""

api_keys = Table(
    "api_key",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("id", String(16), nullable=False, unique=True),
    Column("name", String(200), nullable=False),
    Column("hash", String(64), nullable=False),
    Column("roles", String(100), nullable=False),
    Column("rate", Float, nullable=True),
    Column("created", UTCDateTime, nullable=False),
    Column("revoked", UTCDateTime, nullable=True),
)

_REFRESH = 1.0  # seconds until a change made by another process is seen
_SOONEST = 0.05  # seconds between two readings
_NOBODY = "0" * 64


@dataclass(frozen=True, slots=True)
class Key:
    """A key without its secret. `rate` is comments a second, None for the service's own setting."""

    number: int
    id: str
    name: str
    hash: str
    roles: frozenset[str]
    rate: float | None
    created: datetime
    revoked: datetime | None

    def allows(self, role: str) -> bool:
        """Return whether the key may do what a role may."""
        return role in self.roles or "admin" in self.roles


ANYBODY = Key(0, "open", "no key needed", _NOBODY, frozenset(ROLES), None, utc_now(), None)
"""Who calls a service that is open."""


def create_key(connection: Connection, name: str, roles: Iterable[str], rate: float | None = None) -> str:
    """Make a key and store its hash.

    Returns:
        The key, which nobody can read again.

    Raises:
        UserError: For an unknown role or a name that is empty or too long.
    """
    wanted = list(dict.fromkeys(roles))
    for role in wanted:
        if role not in ROLES:
            raise UserError(f"{role!r} is no role; the roles are {', '.join(ROLES)}")
    if not wanted:
        raise UserError(f"a key needs at least one role of {', '.join(ROLES)}")
    if not 0 < len(name.strip()) <= 200 or not name.isprintable():
        raise UserError("a key needs a name of 1 to 200 printable characters")
    if rate is not None and not rate > 0:
        raise UserError(f"rate is {rate}; it must be above 0 comments a second")
    public = secrets.token_hex(4)
    key = f"gk_{public}_{secrets.token_urlsafe(24)}"
    connection.execute(
        insert(api_keys).values(
            id=public, name=name, hash=_hash(key), roles=",".join(wanted), rate=rate, created=utc_now()
        )
    )
    return key


def list_keys(connection: Connection) -> list[Key]:
    """Return all keys, revoked ones included, oldest first."""
    return [
        Key(**{**row._mapping, "roles": frozenset(row.roles.split(","))})
        for row in connection.execute(select(api_keys).order_by(api_keys.c.number))
    ]


def count_keys(connection: Connection) -> int:
    """Count the keys ever made."""
    return connection.execute(select(func.count()).select_from(api_keys)).scalar_one()


def revoke_key(connection: Connection, public: str) -> Key:
    """Revoke a key by its id; a running service heeds it within a second.

    Raises:
        UserError: If there is no such key or it is revoked already.
    """
    key = next((key for key in list_keys(connection) if key.id == public), None)
    if key is None:
        raise UserError(f"there is no key with the id {public!r}")
    if key.revoked is not None:
        raise UserError(f"the key {public} was revoked on {key.revoked:%Y-%m-%d}")
    connection.execute(update(api_keys).where(api_keys.c.id == public).values(revoked=utc_now()))
    return key


class Keyring:
    """The valid keys, in memory; read again from the database once a second."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._keys: dict[str, Key] = {}
        self._read_at = float("-inf")
        self._reading: asyncio.Task[None] | None = None

    def load(self) -> None:
        """Read the valid keys from the database."""
        began = time.monotonic()
        with self._store.read() as connection:
            self._keys = {key.id: key for key in list_keys(connection) if key.revoked is None}
        self._read_at = began

    async def find(self, secret: str) -> Key | None:
        """Return the valid key that a secret belongs to, or None."""
        now = time.monotonic()
        if now - self._read_at > 3 * _REFRESH:  # after a quiet time, a revoked key must not pass
            await self._read_since(now)
        elif now - self._read_at > _REFRESH:
            self._start_reading()
        key = self._match(secret)
        if key is None:  # it may have been made a moment ago
            await self._read_since(now)
            key = self._match(secret)
        return key

    def _match(self, secret: str) -> Key | None:
        parts = secret.split("_", 2)
        key = self._keys.get(parts[1]) if len(parts) == 3 else None
        # Compared also where there is no such id, so that the time tells nothing.
        known = key.hash if key is not None else _NOBODY
        same = hmac.compare_digest(known, _hash(secret))
        return key if same else None

    async def _read_since(self, moment: float) -> None:
        """Wait until the keys have been read after a moment."""
        while self._read_at < moment:
            await asyncio.shield(self._start_reading())

    def _start_reading(self) -> "asyncio.Task[None]":
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read())
            self._reading.add_done_callback(_retrieve)
        return self._reading

    async def _read(self) -> None:
        # Whoever tries wrong keys makes nobody read more often than this.
        await asyncio.sleep(max(0.0, self._read_at + _SOONEST - time.monotonic()))
        await asyncio.to_thread(self.load)


def _retrieve(task: "asyncio.Task[None]") -> None:
    """Take note of a failure: the keys read before stay, and the next request tries again."""
    if not task.cancelled():
        task.exception()


def _hash(secret: str) -> str:
    # A key has 192 random bits: a slow hash would protect nothing and cost each request.
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
