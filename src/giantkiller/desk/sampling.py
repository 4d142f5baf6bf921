"""What a lead puts before others: somebody's decision for a second look, and items whose outcome is known."""

from datetime import datetime

from sqlalchemy import Connection, insert, select

from giantkiller.desk.decisions import find, look_again
from giantkiller.desk.errors import ConflictError, DeskError, NotAllowedError
from giantkiller.desk.events import lock, record
from giantkiller.desk.queue import take
from giantkiller.desk.staff import Staff
from giantkiller.desk.tables import items, known


def mark_known(connection: Connection, decision_id: str, staff: Staff, *, now: datetime) -> None:
    """Keep an item, with the outcome that a decision gave it, to put before others now and then."""
    row = find(connection, decision_id)
    if connection.execute(select(known.c.item).where(known.c.item == row.item)).scalar() is not None:
        raise DeskError("this item is kept as a known one already")
    connection.execute(
        insert(known).values(
            item=row.item, outcome=row.outcome, rule=row.rule, staff=staff.number, created=now
        )
    )
    record(connection, "marked-known", staff.actor, now=now, item=row.item, decision=row.number)


def sample(connection: Connection, decision_id: str, lead: Staff, *, now: datetime) -> int:
    """Take a second look at somebody's decision, as a lead.

    Returns:
        The number of a task that the lead holds.
    """
    lock(connection)
    row = find(connection, decision_id)
    if row.staff == lead.number:
        raise NotAllowedError("a second look is another person's")
    if row.kind not in ("first", "final") or not row.effective:
        raise ConflictError("this decision was changed meanwhile")
    item = connection.execute(select(items).where(items.c.number == row.item)).one()
    people = (row.staff,) if row.staff is not None else ()
    task = look_again(connection, row.number, item, "second", people, now=now, actor=lead.actor)
    take(connection, task, lead, now=now)
    return task
