"""Forgetting: texts are purged after a time, or on an author's request; labels and counts stay."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, exists, select, update

from giantkiller.desk.events import lock, record
from giantkiller.desk.items import close_tasks
from giantkiller.desk.tables import (
    appeals,
    decisions,
    items,
    messages,
    notes,
    reports,
    statements,
    tasks,
    versions,
)
from giantkiller.serve.feedback import feedback_table
from giantkiller.store import Store

_TOGETHER = 500


def purge(store: Store, days: int, *, now: datetime) -> int:
    """Purge the texts of comments that have rested for so many days: no task is open, nothing was changed.

    Gone are the comment's versions, its parent, author and address, reports' reasons, notes and appeals; of
    scores that clients suggested, the text and what came with it. Scores, decisions, rules and events stay,
    and the chain of events stays whole. Some at a time, so that others can write in between.

    Returns:
        How many comments were purged.
    """
    before = now - timedelta(days=days)
    count = last = 0
    while some := _numbers(store, _rested(before).where(items.c.number > last)):
        last = some[-1]
        with store.write() as connection:
            lock(connection)
            still = list(connection.execute(_rested(before).where(items.c.number.in_(some))).scalars())
            if still:
                _empty(connection, still)
                record(connection, "purged", "machine", now=now, items=len(still), before=before.isoformat())
        count += len(still)
    _purge_suggestions(store, before)
    return count


def _numbers(store: Store, query: "Select[Any]") -> list[int]:
    with store.read() as connection:
        return list(connection.execute(query.limit(_TOGETHER)).scalars())


def _rested(before: datetime) -> "Select[Any]":
    """Choose comments that nobody has had to do with since a moment and whose texts are still there."""
    return (
        select(items.c.number)
        .where(
            items.c.updated < before,
            ~exists().where(tasks.c.item == items.c.number, tasks.c.open.is_(True)),
            exists().where(versions.c.item == items.c.number, versions.c.text.is_not(None)),
        )
        .order_by(items.c.number)
    )


def _purge_suggestions(store: Store, before: datetime) -> None:
    table, last = feedback_table, 0
    old = select(table.c.number).where(table.c.received < before, table.c.text != "").order_by(table.c.number)
    while some := _numbers(store, old.where(table.c.number > last)):
        last = some[-1]
        with store.write() as connection:
            connection.execute(
                update(table).where(table.c.number.in_(some)).values(text="", spans=None, context=None)
            )


def forget_author(connection: Connection, community: str, author: str, actor: str, *, now: datetime) -> int:
    """Purge everything that an author wrote, and their pseudonym, at once; what waits is closed.

    Their reports and appeals about others' comments go, too, and what answers to them quote whole.

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
    here = select(items.c.number).where(items.c.community == community)
    _empty_quotes(connection, community, numbers)
    _empty(connection, numbers)
    theirs = (reports.c.reporter == author, reports.c.item.in_(here))
    filed = select(statements.c.number).where(
        statements.c.report.in_(select(reports.c.number).where(*theirs))
    )
    connection.execute(update(appeals).where(appeals.c.statement.in_(filed)).values(text=None))
    connection.execute(update(reports).where(*theirs).values(reporter=None, reason=None))
    return len(numbers)


def _empty_quotes(connection: Connection, community: str, numbers: list[int]) -> None:
    """Take texts of comments out of the answers to them, which came with the text that they answer."""
    for begin in range(0, len(numbers), _TOGETHER):
        some = numbers[begin : begin + _TOGETHER]
        said = select(versions.c.text).where(versions.c.item.in_(some), versions.c.text.is_not(None))
        connection.execute(
            update(items).where(items.c.community == community, items.c.parent.in_(said)).values(parent=None)
        )


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
        _empty_statements(connection, statements.c.item.in_(some))
        _empty_messages(connection, messages.c.item.in_(some))


def _empty_statements(connection: Connection, chosen: ColumnElement[bool]) -> None:
    """Take the comment's address out of the facts of statements."""
    for row in connection.execute(select(statements.c.number, statements.c.facts).where(chosen)).all():
        connection.execute(
            update(statements)
            .where(statements.c.number == row.number)
            .values(facts={**row.facts, "url": None})
        )


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
