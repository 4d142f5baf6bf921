"""The log: each event is written in the transaction that changes state, and holds the hash of the one before.

An event names items by number and texts by salted digest, so that a purge of texts leaves the chain whole.
Whoever can write to the database could still rewrite all of it; note the head (`head`) elsewhere to see that.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, insert, select, text, update

from giantkiller.desk.tables import chain, decisions, events, versions

FIRST = "0" * 64
"""What the first event has for the hash of the one before."""

_TAKE_LOCK = text("SELECT pg_advisory_xact_lock(7046029254386353132)")
# Made once: to put a statement together costs about as much as to run it.
_HEAD = select(chain.c.seq, chain.c.hash)
_WRITE = insert(events)
_BEGIN_CHAIN = insert(chain)
_MOVE_HEAD = update(chain)


def lock(connection: Connection) -> None:
    """Make this transaction the only one that writes events, until it ends.

    On SQLite a writing transaction is alone from its beginning.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(_TAKE_LOCK)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened.

    Attributes:
        kind: What, like "decided".
        actor: Who did it: "staff:3", "key:1f2e3d4c", "machine", "author", "command".
        item: The item's number.
        data: More about it; numbers, names and digests, never people's texts.
    """

    kind: str
    actor: str
    item: int | None
    data: Mapping[str, Any]


def record(
    connection: Connection, kind: str, actor: str, /, *, now: datetime, item: int | None = None, **data: Any
) -> int:
    """Write an event; see `Event`.

    Args:
        connection: In the transaction that changes the state.
        kind: What happened.
        actor: Who did it.
        now: When.
        item: The item's number.
        data: More about it.

    Returns:
        The event's number in the chain, from 1 on.
    """
    return record_all(connection, [Event(kind, actor, item, data)], now=now)


def record_all(connection: Connection, happened: Sequence[Event], *, now: datetime) -> int:
    """Write events of one moment, in their order.

    Args:
        connection: In the transaction that changes the state.
        happened: The events, at least one.
        now: When.

    Returns:
        The last one's number in the chain.
    """
    lock(connection)
    last = connection.execute(_HEAD).one_or_none()
    seq, digest = last or (0, FIRST)
    at = now.isoformat(timespec="microseconds")
    rows = []
    for event in happened:
        seq, previous = seq + 1, digest
        body = json.dumps(event.data, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        digest = _hash(previous, seq, at, event.kind, event.actor, event.item, body)
        rows.append(
            {"seq": seq, "at": at, "kind": event.kind, "actor": event.actor, "item": event.item,
             "data": body, "previous": previous, "hash": digest}
        )  # fmt: skip
    connection.execute(_WRITE, rows)
    connection.execute(_MOVE_HEAD if last else _BEGIN_CHAIN, {"id": 1, "seq": seq, "hash": digest})
    return seq


def head(connection: Connection) -> tuple[int, str]:
    """Return the number and the hash of the last event; (0, `FIRST`) before there is one."""
    last = connection.execute(_HEAD).one_or_none()
    return (last.seq, last.hash) if last else (0, FIRST)


class ItemEvent(NamedTuple):
    """An event of an item, as its page shows it."""

    seq: int
    at: str
    kind: str
    actor: str
    data: dict[str, Any]


def item_events(connection: Connection, item: int) -> list[ItemEvent]:
    """Return an item's events, oldest first, their data read."""
    rows = connection.execute(select(events).where(events.c.item == item).order_by(events.c.seq))
    return [ItemEvent(row.seq, row.at, row.kind, row.actor, json.loads(row.data)) for row in rows]


@dataclass(frozen=True)
class Verification:
    """How many events were checked, the head, and what is wrong, in sentences."""

    events: int
    head: str
    problems: list[str]


def verify(connection: Connection, expected: str | None = None) -> Verification:
    """Check the chain, and that decisions and texts are the ones that its events tell of.

    Args:
        connection: With one consistent view.
        expected: A head noted earlier; it must be in the chain.
    """
    problems: list[str] = []
    previous, seq, seen = FIRST, 0, expected in (None, FIRST)
    decided: dict[int, tuple[Any, ...]] = {}
    digests: dict[tuple[int, int], str] = {}
    for row in _all(connection):
        if row.seq != seq + 1:
            problems.append(f"event {seq + 1} is missing")
        elif row.previous != previous:
            problems.append(f"event {row.seq} does not follow from the one before")
        if row.hash != _hash(row.previous, row.seq, row.at, row.kind, row.actor, row.item, row.data):
            problems.append(f"event {row.seq} was changed")
        previous, seq = row.hash, row.seq
        seen = seen or row.hash == expected
        _collect(row, decided, digests)
        if len(problems) >= 20:
            break
    if head(connection) != (seq, previous) and len(problems) < 20:
        problems.append("the last events are missing: the chain ends before its recorded head")
    if not seen:
        problems.append("the head that was noted is not in the chain")
    problems += _compare_decisions(connection, decided)
    problems += _compare_texts(connection, digests)
    return Verification(seq, previous, problems[:20])


def digest_of(salt: str, content: str) -> str:
    """Return the salted digest of a text."""
    return hashlib.sha256(f"{salt}\n{content}".encode("utf-8", "surrogatepass")).hexdigest()


def _all(connection: Connection) -> Iterator[Any]:
    last = 0
    while page := connection.execute(
        select(events).where(events.c.seq > last).order_by(events.c.seq).limit(5000)
    ).all():
        yield from page
        last = page[-1].seq


def _hash(previous: str, seq: int, at: str, kind: str, actor: str, item: int | None, data: str) -> str:
    line = json.dumps([previous, seq, at, kind, actor, item, data], ensure_ascii=True)
    return hashlib.sha256(line.encode()).hexdigest()


def _collect(row: Any, decided: dict[int, tuple[Any, ...]], digests: dict[tuple[int, int], str]) -> None:
    if row.kind == "decided":
        data = json.loads(row.data)
        decided[data["decision"]] = (row.item, data["version"], data["outcome"], data["rule"], row.actor)
    elif row.kind in ("submitted", "edited"):
        data = json.loads(row.data)
        digests[row.item, data["version"]] = data["digest"]


def _compare_decisions(connection: Connection, decided: dict[int, tuple[Any, ...]]) -> Iterator[str]:
    table = decisions
    rows = connection.execute(
        select(
            table.c.number, table.c.item, table.c.version, table.c.outcome, table.c.rule, table.c.staff
        ).order_by(table.c.number)
    )
    for row in rows:
        actor = "machine" if row.staff is None else f"staff:{row.staff}"
        told = decided.pop(row.number, None)
        if told is None:
            yield f"decision {row.number} has no event"
        elif told != (row.item, row.version, row.outcome, row.rule, actor):
            yield f"decision {row.number} is not what its event says"
    yield from (f"decision {number} is gone, but its event is there" for number in decided)


def _compare_texts(connection: Connection, digests: dict[tuple[int, int], str]) -> Iterator[str]:
    table, last = versions, 0
    while page := connection.execute(
        select(table).where(table.c.number > last).order_by(table.c.number).limit(2000)
    ).all():
        for row in page:
            told = digests.get((row.item, row.version))
            if told != row.digest:
                yield f"version {row.version} of item {row.item} is not what its event says"
            elif row.text is not None and digest_of(row.salt, row.text) != told:
                yield f"the text of version {row.version} of item {row.item} was changed"
        last = page[-1].number
