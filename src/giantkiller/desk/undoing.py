"""Taking a decision back before it leaves the house."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, select, update

from giantkiller.desk import outbox, statements
from giantkiller.desk.config import BOUNDS, read_settings
from giantkiller.desk.decisions import find
from giantkiller.desk.errors import ConflictError, NotAllowedError
from giantkiller.desk.events import lock, record
from giantkiller.desk.items import WAITING, close_tasks
from giantkiller.desk.staff import Staff
from giantkiller.desk.tables import decisions, items, reports, tasks

LONGEST_UNDO = BOUNDS["undo_seconds"][1]
"""Seconds after which no decision can be taken back, whatever the settings said."""


def undo(connection: Connection, decision_id: str, staff: Staff, *, now: datetime) -> int:
    """Take a decision back, with all that were made in one go with it, before it leaves the house.

    Returns:
        The number of the task that is open again, in the hands of whoever takes the decision back.

    Raises:
        ConflictError: If it is too late.
        NotAllowedError: If it is somebody else's decision and the person is no lead.
    """
    lock(connection)
    first = find(connection, decision_id)
    if first.staff != staff.number and not staff.is_lead:
        raise NotAllowedError("only a lead takes other people's decisions back")
    batch = connection.execute(
        select(decisions).where(decisions.c.batch == first.batch, decisions.c.undone.is_(None))
    ).all()
    if first.kind not in ("first", "final") or not batch or any(not row.effective for row in batch):
        raise ConflictError("this decision can't be taken back: something has followed it")
    if now >= first.release:
        raise ConflictError("this decision has left the house; only an appeal or a second look changes it")
    for row in batch:
        _undo_one(connection, row, staff, now)
    again = timedelta(minutes=read_settings(connection).lease_minutes)
    connection.execute(
        update(tasks)
        .where(tasks.c.number == first.task)
        .values(lease_by=staff.number, lease_from=now, lease_until=now + again)
    )
    return int(first.task)


def last_undoable(connection: Connection, staff: Staff, *, now: datetime) -> Row[Any] | None:
    """Return a person's newest decision that can be taken back still."""
    return connection.execute(
        select(decisions)
        .where(
            decisions.c.staff == staff.number,
            decisions.c.created > now - timedelta(seconds=LONGEST_UNDO),
            decisions.c.release > now,
            decisions.c.undone.is_(None),
            decisions.c.effective.is_(True),
            decisions.c.kind.in_(("first", "final")),
        )
        .order_by(decisions.c.number.desc())
        .limit(1)
    ).one_or_none()


def _undo_one(connection: Connection, row: Row[Any], staff: Staff, now: datetime) -> None:
    item = connection.execute(select(items).where(items.c.number == row.item)).one()
    connection.execute(
        update(decisions).where(decisions.c.number == row.number).values(undone=now, effective=False)
    )
    if row.supersedes is not None:
        connection.execute(
            update(decisions)
            .where(decisions.c.number == row.supersedes)
            .values(effective=True, overturned=False)
        )
    made = statements.rows_of(connection, row.number)
    outbox.cancel(connection, [statement.number for statement in made])
    statements.void(connection, row.number)
    answered = [statement.report for statement in made if statement.report is not None]
    connection.execute(update(reports).where(reports.c.number.in_(answered)).values(told=None))
    state = item.state
    edited = item.version != row.version
    if not edited:
        state = row.before
        close_tasks(connection, row.item, ("second", "disagreement"), now)
        connection.execute(update(items).where(items.c.number == row.item).values(state=state, updated=now))
    if not edited or item.state in WAITING:
        # An edited comment that waits has its own task already; the old one stays closed then.
        others = connection.execute(
            select(tasks.c.number).where(
                tasks.c.item == row.item, tasks.c.open.is_(True), tasks.c.kind == "first"
            )
        ).scalar()
        if others is None:
            connection.execute(update(tasks).where(tasks.c.number == row.task).values(open=True, closed=None))
    record(connection, "undone", staff.actor, now=now, item=row.item, decision=row.number, state=state)
