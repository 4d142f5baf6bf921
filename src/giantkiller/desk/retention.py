"""Forgetting: texts are purged after a time, or on an author's request; labels and counts stay."""

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, select, update

from giantkiller.desk.events import lock, record
from giantkiller.desk.items import close_tasks
from giantkiller.desk.tables import appeals, decisions, items, messages, notes, reports, tasks, versions

_TOGETHER = 500


def purge(connection: Connection, days: int, *, now: datetime) -> int:
    """Purge the texts of comments that have rested for so many days: no task is open, nothing was changed.

    Gone are the comment's versions, its parent, author and address, reports' reasons, notes and appeals.
    Scores, decisions, rules and events stay, and the chain of events stays whole.

    Returns:
        How many comments were purged.
    """
    before = now - timedelta(days=days)
    open_tasks = select(tasks.c.item).where(tasks.c.open.is_(True))
    with_text = select(versions.c.item).where(versions.c.text.is_not(None))
    lock(connection)
    numbers = list(
        connection.execute(
            select(items.c.number).where(
                items.c.updated < before, items.c.number.not_in(open_tasks), items.c.number.in_(with_text)
            )
        ).scalars()
    )
    _empty(connection, numbers)
    if numbers:
        record(connection, "purged", "machine", now=now, items=len(numbers), before=before.isoformat())
    return len(numbers)


def forget_author(connection: Connection, community: str, author: str, actor: str, *, now: datetime) -> int:
    """Purge everything that an author wrote, and their pseudonym, at once; what waits is closed.

    Returns:
        How many comments were purged.
    """
    lock(connection)
    numbers = list(
        connection.execute(
            select(items.c.number).where(items.c.community == community, items.c.author == author)
        ).scalars()
    )
    for number in numbers:
        close_tasks(connection, number, ("first", "second", "disagreement", "appeal", "known"), now)
        record(connection, "forgotten", actor, now=now, item=number)
    _empty(connection, numbers)
    connection.execute(
        update(reports)
        .where(
            reports.c.reporter == author,
            reports.c.item.in_(select(items.c.number).where(items.c.community == community)),
        )
        .values(reporter=None, reason=None)
    )
    return len(numbers)


def _empty(connection: Connection, numbers: list[int]) -> None:
    for begin in range(0, len(numbers), _TOGETHER):
        some = numbers[begin : begin + _TOGETHER]
        connection.execute(update(versions).where(versions.c.item.in_(some)).values(text=None, salt=None))
        connection.execute(
            update(items)
            .where(items.c.number.in_(some))
            .values(author=None, parent=None, title=None, url=None, fingerprint=None)
        )
        connection.execute(update(reports).where(reports.c.item.in_(some)).values(reporter=None, reason=None))
        connection.execute(update(notes).where(notes.c.item.in_(some)).values(text=None))
        connection.execute(update(appeals).where(appeals.c.item.in_(some)).values(text=None, answer=None))
        connection.execute(update(decisions).where(decisions.c.item.in_(some)).values(note=None))
        _empty_messages(connection, messages.c.item.in_(some))


def _empty_messages(connection: Connection, chosen: ColumnElement[bool]) -> None:
    """Take what people wrote out of messages: the note to the author, the reasons of an answer."""
    rows = connection.execute(select(messages.c.number, messages.c.payload).where(chosen)).all()
    for row in rows:
        payload = dict(row.payload)
        for part, name in (("statement", "note"), ("statement", "url"), ("appeal", "reasons")):
            if isinstance(payload.get(part), dict):
                payload[part] = {**payload[part], name: None}
        if payload != row.payload:
            connection.execute(
                update(messages).where(messages.c.number == row.number).values(payload=payload)
            )
