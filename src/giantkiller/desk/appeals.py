"""Appeals: filed at the statement's link, answered with reasons by a person who decided none of it before."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from giantkiller.desk import outbox, statements
from giantkiller.desk.config import DeskSettings
from giantkiller.desk.decisions import Choice, look_again, write
from giantkiller.desk.errors import ConflictError, DeskError, NotAllowedError, NotFoundError
from giantkiller.desk.events import lock, record
from giantkiller.desk.items import close_tasks
from giantkiller.desk.queue import held_task
from giantkiller.desk.rules import read_rulebook
from giantkiller.desk.staff import Staff
from giantkiller.desk.tables import appeals, decisions, items, staff, tasks
from giantkiller.desk.tables import statements as statement_table

LONGEST = 8000


@dataclass(frozen=True)
class Answer:
    """The answer to an appeal: whether the decision is reversed, and why.

    `rule` names the rule where the reversal removes a comment (somebody who reported it appealed).
    """

    reverse: bool
    reasons: str
    rule: str | None = None


def file(connection: Connection, token: str, text: str, *, settings: DeskSettings, now: datetime) -> int:
    """File an appeal at the link of a statement.

    Returns:
        The appeal's number.

    Raises:
        NotFoundError: If there is no such statement.
        ConflictError: If there is an appeal already, it is too late, or there is nothing to appeal.
    """
    lock(connection)
    text = text.replace("\0", "").strip()
    if not 1 <= len(text) <= LONGEST:
        raise DeskError("an appeal says why, in 1 to 8,000 characters")
    statement = statements.find(connection, token, settings, now=now)
    if statement.appeal is not None:
        raise ConflictError("an appeal against this decision has been filed already")
    if not statement.may_appeal:
        raise ConflictError("this decision can't be appealed, or no longer")
    statements.mark_told(connection, [statement.number], now)
    row = statement.row
    decision = connection.execute(select(decisions).where(decisions.c.number == row.decision)).one()
    item = connection.execute(select(items).where(items.c.number == row.item)).one()
    result = connection.execute(
        insert(appeals).values(
            statement=row.number, decision=decision.number, item=row.item,
            text=text.encode("utf-8", "replace").decode(), state="open", created=now,
        )
    )  # fmt: skip
    number = int(result.inserted_primary_key[0])  # type: ignore[index]
    task = look_again(connection, decision.number, item, "appeal", deciders(connection, row.item), now=now)
    connection.execute(update(tasks).where(tasks.c.number == task).values(appeal=number))
    record(connection, "appealed", row.audience, now=now, item=row.item, appeal=number,
           decision=decision.number)  # fmt: skip
    outbox.put(
        connection, "appeal.received", _payload(item, decision, number, row.audience, "open", None),
        item=row.item, not_before=now, now=now,
    )  # fmt: skip
    return number


def answer(
    connection: Connection, task: int, member: Staff, given: Answer, *, settings: DeskSettings, now: datetime
) -> bool:
    """Answer an appeal. A reversal leaves the house at once.

    Returns:
        Whether the decision was reversed.

    Raises:
        NotAllowedError: If the person had a hand in the decision.
        ConflictError: If the task is closed or another person's.
    """
    lock(connection)
    row = held_task(connection, task, member)
    if row.appeal is None:
        raise NotFoundError("this is no appeal")
    appeal = connection.execute(select(appeals).where(appeals.c.number == row.appeal)).one()
    if member.number in deciders(connection, appeal.item):
        raise NotAllowedError("an appeal is answered by a person who had no hand in the decision")
    reasons = given.reasons.replace("\0", "").strip()
    if not 1 <= len(reasons) <= LONGEST:
        raise DeskError("the answer gives reasons, in 1 to 8,000 characters")
    item = connection.execute(select(items).where(items.c.number == appeal.item)).one()
    contested = connection.execute(select(decisions).where(decisions.c.number == appeal.decision)).one()
    # Reversed meanwhile, by a second look: the appeal has what it asked for, and nothing changes twice.
    granted = given.reverse or not contested.effective
    changes = given.reverse and contested.effective
    choice, rulebook = _choice(connection, item, contested, granted, given.rule)
    seconds = (now - row.lease_from).total_seconds() if row.lease_from else None
    connection.execute(
        update(tasks).where(tasks.c.number == task).values(open=False, closed=now, lease_until=None)
    )
    decision, _ = write(
        connection, item, contested.version, "appeal", choice, rulebook, member, effective=changes,
        supersedes=contested.number if changes else None, task=task, seconds=seconds, now=now,
    )  # fmt: skip
    state = "reversed" if granted else "upheld"
    connection.execute(
        update(appeals)
        .where(appeals.c.number == appeal.number)
        .values(state=state, answer=reasons, staff=member.number, decided=now)
    )
    record(connection, "appeal-answered", member.actor, now=now, item=item.number, appeal=appeal.number,
           decision=decision, state=state)  # fmt: skip
    if changes:
        close_tasks(connection, item.number, ("second", "disagreement"), now)
        _tell_of_reversal(connection, contested, decision, appeal.number, settings=settings, now=now)
    _tell_of_answer(connection, contested, appeal, state, reasons, now)
    return granted


def _choice(
    connection: Connection, item: Row[Any], contested: Row[Any], granted: bool, rule: str | None
) -> tuple[Choice, int | None]:
    """Return what the answer comes to, and the version of the rule book if it names a rule."""
    if not granted:
        return Choice(contested.outcome, contested.rule, None), contested.rulebook
    if contested.outcome == "remove":
        return Choice("allow"), None
    book = read_rulebook(connection, item.community)
    return Choice("remove", book.rule(rule or "").id, None), book.version


def _tell_of_reversal(
    connection: Connection,
    contested: Row[Any],
    decision: int,
    appeal: int,
    *,
    settings: DeskSettings,
    now: datetime,
) -> None:
    """Post at once what the platform shall do with the comment now.

    Nothing where it was edited since: what stands there, or waits for a person, is another text.
    """
    item = connection.execute(select(items).where(items.c.number == contested.item)).one()
    if item.version != contested.version:
        return
    if contested.outcome == "remove":
        outbox.put(
            connection, "comment.restored", _payload(item, contested, appeal, None, "reversed", None),
            item=item.number, not_before=now, now=now,
        )  # fmt: skip
        return
    # Its author never had a statement of this.
    statement, token = statements.make(connection, decision, statements.AUTHOR, settings=settings, now=now)
    outbox.put(
        connection, "comment.removed", statements.payload(connection, decision, statement, token),
        item=item.number, statement=statement, not_before=now, now=now,
    )  # fmt: skip


def _tell_of_answer(
    connection: Connection, contested: Row[Any], appeal: Row[Any], state: str, reasons: str, now: datetime
) -> None:
    item = connection.execute(select(items).where(items.c.number == appeal.item)).one()
    audience = connection.execute(
        select(statement_table.c.audience).where(statement_table.c.number == appeal.statement)
    ).scalar_one()
    outbox.put(
        connection, "appeal.decided", _payload(item, contested, appeal.number, audience, state, reasons),
        item=item.number, not_before=now, now=now,
    )  # fmt: skip


def deciders(connection: Connection, item: int) -> set[int]:
    """Return who had a hand in the decisions on an item: nobody of them answers an appeal about it."""
    rows = connection.execute(
        select(decisions.c.staff).where(
            decisions.c.item == item, decisions.c.staff.is_not(None), decisions.c.kind != "known"
        )
    )
    return {row.staff for row in rows}


def somebody_can_answer(connection: Connection, item: int) -> bool:
    """Return whether anybody works here who had no hand in the decisions on an item."""
    hands = deciders(connection, item)
    others = connection.execute(
        select(func.count())
        .select_from(staff)
        .where(staff.c.disabled.is_(None), staff.c.number.not_in(hands or {0}))
    ).scalar_one()
    return bool(others)


def _payload(
    item: Row[Any], decision: Row[Any], appeal: int, audience: str | None, state: str, reasons: str | None
) -> dict[str, Any]:
    return {
        "item": item.id,
        "community": item.community,
        "comment": item.external,
        "version": decision.version,
        "decision": decision.id,
        "state": item.state,
        "appeal": {"number": appeal, "by": audience, "state": state, "reasons": reasons},
    }
