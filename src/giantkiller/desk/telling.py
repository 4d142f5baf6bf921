"""Telling people what was decided: the author, and whoever reported the comment."""

from datetime import datetime

from sqlalchemy import Connection, select, update

from giantkiller.desk import outbox, statements
from giantkiller.desk.config import DeskSettings
from giantkiller.desk.tables import reports

_MOST_REPORTERS = 50


def tell(
    connection: Connection,
    decision: int,
    item: int,
    kind: str,
    *,
    settings: DeskSettings,
    not_before: datetime,
    now: datetime,
) -> None:
    """Put a decision's statement to the author in the outbox, and those to whoever reported the comment.

    Args:
        connection: In the transaction that decides.
        decision: The decision's number.
        item: The item's.
        kind: Of the message, like "comment.removed".
        settings: The desk's.
        not_before: When it may leave the house.
        now: The moment.
    """
    statement, token = statements.make(connection, decision, statements.AUTHOR, settings=settings, now=now)
    payload = statements.payload(connection, decision, statement, token)
    outbox.put(connection, kind, payload, item=item, statement=statement, not_before=not_before, now=now)
    untold = connection.execute(
        select(reports.c.number)
        .where(reports.c.item == item, reports.c.reporter.is_not(None), reports.c.told.is_(None))
        .order_by(reports.c.number)
        .limit(_MOST_REPORTERS)
    ).scalars()
    for report in untold.all():
        tell_reporter(connection, decision, item, report, settings=settings, not_before=not_before, now=now)


def tell_reporter(
    connection: Connection,
    decision: int,
    item: int,
    report: int,
    *,
    settings: DeskSettings,
    not_before: datetime,
    now: datetime,
) -> None:
    """Put a decision's statement to somebody who reported the comment in the outbox; see `tell`."""
    statement, token = statements.make(
        connection, decision, statements.NOTIFIER, settings=settings, report=report, now=now
    )
    payload = statements.payload(connection, decision, statement, token) | {"report": report}
    connection.execute(update(reports).where(reports.c.number == report).values(told=now))
    outbox.put(
        connection, "report.decided", payload, item=item, statement=statement, not_before=not_before, now=now
    )
