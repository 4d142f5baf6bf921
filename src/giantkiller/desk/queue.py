"""The queue: tasks in order of priority, each leased to one person at a time."""

import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, exists, func, insert, or_, select, update

from giantkiller.desk.config import DeskSettings, read_settings
from giantkiller.desk.errors import ConflictError, NotAllowedError, NotFoundError
from giantkiller.desk.events import record
from giantkiller.desk.staff import Staff
from giantkiller.desk.tables import bars, decisions, items, known, tasks, versions
from giantkiller.desk.tables import staff as people

KINDS = ("first", "second", "disagreement", "appeal", "known")
"""A first decision, a blind second one, two that differ, an appeal, an item whose answer is known."""


MOST_COUNTED = 10_000
"""Tasks of a kind up to which they are counted: nobody needs to know more to go to work."""

_MOST_CHOICES = 100


@dataclass(frozen=True)
class Filters:
    """Which tasks somebody wants; None for all."""

    kind: str | None = None
    community: str | None = None
    attribute: str | None = None
    language: str | None = None
    source: str | None = None


EVERYTHING = Filters()


def next_task(
    connection: Connection, staff: Staff, filters: Filters = EVERYTHING, *, now: datetime
) -> Row[Any] | None:
    """Lease the first task of the queue to a person; the one they hold already, if there is one.

    Returns:
        The task's row, or None if nothing waits for this person.
    """
    held = connection.execute(
        select(tasks)
        .where(tasks.c.open.is_(True), tasks.c.lease_by == staff.number, tasks.c.lease_until > now)
        .order_by(tasks.c.lease_until)
        .limit(1)
    ).one_or_none()
    if held is not None:
        return held
    settings = read_settings(connection)
    if settings.known_share and secrets.randbelow(10_000) < settings.known_share * 10_000:
        _offer_known(connection, staff, now)
    query = (
        select(tasks)
        .where(*_for(staff, now), *_matching(filters))
        .order_by(tasks.c.rank.desc(), tasks.c.number)
        .limit(1)
    )
    if connection.dialect.name == "postgresql":
        query = query.with_for_update(skip_locked=True)
    task = connection.execute(query).one_or_none()
    return None if task is None else _lease(connection, task.number, staff, settings, now)


def take(connection: Connection, task: int, staff: Staff, *, now: datetime) -> Row[Any]:
    """Lease one certain task.

    Raises:
        ConflictError: If it is closed or another person's.
        NotAllowedError: If it isn't for this person.
    """
    row = _task(connection, task)
    if row.open and row.lease_by == staff.number and row.lease_until > now:
        return row
    if not row.open or (row.lease_until is not None and row.lease_until > now):
        raise ConflictError("this item is in another person's hands, or done")
    query = select(tasks).where(tasks.c.number == task, *_for(staff, now))
    if connection.dialect.name == "postgresql":
        query = query.with_for_update(skip_locked=True)
    if connection.execute(query).one_or_none() is None:
        raise NotAllowedError("this item must be decided by another person")
    return _lease(connection, task, staff, read_settings(connection), now)


def held_task(connection: Connection, task: int, staff: Staff) -> Row[Any]:
    """Return a task that a person holds. A lease that ran out counts until somebody else has taken it.

    Raises:
        ConflictError: If it is closed, or another person's.
    """
    row = _task(connection, task)
    if not row.open:
        raise ConflictError("this item has been decided meanwhile")
    if row.lease_by != staff.number:
        raise ConflictError("this item is in another person's hands now")
    return row


def leave(connection: Connection, task: int, staff: Staff, *, skip: bool, now: datetime) -> None:
    """Return a task to the queue; one that is skipped comes to the same person again by `take_up` only."""
    row = held_task(connection, task, staff)
    connection.execute(
        update(tasks).where(tasks.c.number == task).values(lease_by=None, lease_from=None, lease_until=None)
    )
    if skip:
        bar(connection, task, staff.number, "skipped")
        record(connection, "skipped", staff.actor, now=now, item=row.item, task=task)


def escalate(connection: Connection, task: int, staff: Staff, *, now: datetime) -> None:
    """Hand a task to the leads."""
    row = held_task(connection, task, staff)
    connection.execute(
        update(tasks)
        .where(tasks.c.number == task)
        .values(for_lead=True, lease_by=None, lease_from=None, lease_until=None)
    )
    record(connection, "escalated", staff.actor, now=now, item=row.item, task=task)


def release(connection: Connection, staff: Staff) -> None:
    """Return to the queue whatever a person has in hand."""
    connection.execute(
        update(tasks)
        .where(tasks.c.open.is_(True), tasks.c.lease_by == staff.number)
        .values(lease_by=None, lease_from=None, lease_until=None)
    )


def count_skipped(connection: Connection, staff: Staff) -> int:
    """Count what a person has skipped and what is open still."""
    return connection.execute(
        select(func.count())
        .select_from(bars)
        .join(tasks, tasks.c.number == bars.c.task)
        .where(bars.c.staff == staff.number, bars.c.reason == "skipped", tasks.c.open.is_(True))
    ).scalar_one()


def take_up(connection: Connection, staff: Staff) -> None:
    """Let what a person has skipped come to them again."""
    is_open = exists().where(tasks.c.number == bars.c.task, tasks.c.open.is_(True))
    connection.execute(delete(bars).where(bars.c.staff == staff.number, bars.c.reason == "skipped", is_open))


def count_stuck(connection: Connection) -> int:
    """Count what nobody who works here may take, since all had a hand in it; up to `MOST_COUNTED`."""
    barred = exists().where(
        bars.c.task == tasks.c.number, bars.c.staff == people.c.number, bars.c.reason == "decided"
    )
    able = exists().where(
        people.c.disabled.is_(None), or_(~tasks.c.for_lead, people.c.role != "moderator"), ~barred
    )
    some = (
        select(tasks.c.number)
        .where(tasks.c.open.is_(True), tasks.c.kind.in_(("second", "disagreement", "appeal")), ~able)
        .limit(MOST_COUNTED)
    )
    return connection.execute(select(func.count()).select_from(some.subquery())).scalar_one()


def bar(connection: Connection, task: int, staff: int, reason: str) -> None:
    """Keep a task from a person."""
    connection.execute(delete(bars).where(bars.c.task == task, bars.c.staff == staff))
    connection.execute(insert(bars).values(task=task, staff=staff, reason=reason))


def waiting(
    connection: Connection, staff: Staff, filters: Filters = EVERYTHING, *, now: datetime
) -> dict[str, int]:
    """Count by kind what waits for a person, nobody's hands on it; up to one more than `MOST_COUNTED`."""
    counts = {}
    for kind in KINDS if filters.kind is None else (filters.kind,):
        some = (
            select(tasks.c.number)
            .where(*_for(staff, now), *_matching(replace(filters, kind=kind)))
            .limit(MOST_COUNTED + 1)
        )
        counts[kind] = connection.execute(select(func.count()).select_from(some.subquery())).scalar_one()
    return counts


def choices(connection: Connection) -> dict[str, list[str]]:
    """Return what the open tasks can be filtered by: values of each filter."""
    found = {}
    for name in ("community", "attribute", "language", "source"):
        # From each value to the next one by an index; DISTINCT would read the whole queue.
        column, values = tasks.c[name], [""]
        after = select(func.min(column)).where(tasks.c.open.is_(True))
        while len(values) <= _MOST_CHOICES:
            value = connection.execute(after.where(column > values[-1])).scalar()
            if value is None:
                break
            values.append(value)
        found[name] = values[1:]
    return found


def _for(staff: Staff, now: datetime) -> list[ColumnElement[bool]]:
    """Conditions of a task that a person may take now."""
    barred = exists().where(bars.c.task == tasks.c.number, bars.c.staff == staff.number)
    conditions = [
        tasks.c.open.is_(True),
        or_(tasks.c.lease_until.is_(None), tasks.c.lease_until <= now),
        or_(tasks.c.only.is_(None), tasks.c.only == staff.number),
        ~barred,
    ]
    if not staff.is_lead:
        conditions.append(tasks.c.for_lead.is_(False))
    return conditions


def _matching(filters: Filters) -> list[ColumnElement[bool]]:
    given = {
        "kind": filters.kind,
        "community": filters.community,
        "attribute": filters.attribute,
        "language": filters.language,
        "source": filters.source,
    }
    return [tasks.c[name] == value for name, value in given.items() if value]


def _lease(
    connection: Connection, task: int, staff: Staff, settings: DeskSettings, now: datetime
) -> Row[Any]:
    until = now + timedelta(minutes=settings.lease_minutes)
    changed = connection.execute(
        update(tasks)
        .where(
            tasks.c.number == task,
            tasks.c.open.is_(True),
            or_(tasks.c.lease_until.is_(None), tasks.c.lease_until <= now),
        )
        .values(lease_by=staff.number, lease_from=now, lease_until=until)
    )
    if not changed.rowcount:
        raise ConflictError("this item is in another person's hands now")
    return _task(connection, task)


def _task(connection: Connection, number: int) -> Row[Any]:
    row = connection.execute(select(tasks).where(tasks.c.number == number)).one_or_none()
    if row is None:
        raise NotFoundError("there is no such task")
    return row


def _offer_known(connection: Connection, staff: Staff, now: datetime) -> None:
    """Put an item in front of a person whose right answer is known, and which they have never decided."""
    seen = exists().where(decisions.c.item == known.c.item, decisions.c.staff == staff.number)
    offered = exists().where(tasks.c.item == known.c.item, tasks.c.only == staff.number)
    # Edited since, it is another text; purged, it is none.
    same_text = exists().where(
        decisions.c.item == items.c.number,
        decisions.c.version == items.c.version,
        decisions.c.outcome == known.c.outcome,
        versions.c.item == items.c.number,
        versions.c.version == items.c.version,
        versions.c.text.is_not(None),
    )
    row = connection.execute(
        select(items, known.c.staff.label("knower"))
        .join(known, known.c.item == items.c.number)
        .where(~seen, ~offered, same_text, known.c.staff != staff.number)
        .order_by(known.c.created)
        .limit(1)
    ).one_or_none()
    if row is None:
        return
    top = connection.execute(select(func.max(tasks.c.rank)).where(tasks.c.open.is_(True))).scalar()
    attribute = connection.execute(
        select(tasks.c.attribute).where(tasks.c.item == row.number).limit(1)
    ).scalar()
    connection.execute(
        insert(tasks).values(
            kind="known", item=row.number, community=row.community, attribute=attribute or "toxicity",
            language=row.language, source=row.source, rank=(top or 0.0) + 1e-6, open=True, for_lead=False,
            only=staff.number, created=now,
        )
    )  # fmt: skip
