"""Decisions: first ones, blind second ones, and those between two that differ."""

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, insert, or_, select, true, update

from giantkiller.desk import second
from giantkiller.desk.config import DeskSettings
from giantkiller.desk.errors import ConflictError, DeskError, NotFoundError
from giantkiller.desk.events import lock, record
from giantkiller.desk.items import WAITING
from giantkiller.desk.queue import bar, held_task
from giantkiller.desk.rules import IN_THE_NOTE, read_rulebook
from giantkiller.desk.staff import Staff
from giantkiller.desk.tables import decisions, items, tasks
from giantkiller.desk.telling import tell

OUTCOMES = ("allow", "remove")
STATES = {"allow": "approved", "remove": "removed"}
"""The state of a comment after a person's decision."""

LONGEST_NOTE = 4000
_MOST_COPIES = 1000


@dataclass(frozen=True)
class Decided:
    """What a decision came to.

    Attributes:
        number: Its number.
        id: Its public id.
        kind: "first", "second", "final" or "known".
        copies: How many near-identical comments were decided with it.
        undo_until: Until when it can be taken back; None if it can't.
    """

    number: int
    id: str
    kind: str
    copies: int = 0
    undo_until: datetime | None = None


@dataclass(frozen=True)
class Choice:
    """What a person chose: an outcome, a rule where something is removed, a note to the author."""

    outcome: str
    rule: str | None = None
    note: str | None = None


def decide(
    connection: Connection,
    task: int,
    staff: Staff,
    choice: Choice,
    *,
    settings: DeskSettings,
    now: datetime,
    version: int | None = None,
    copies: bool = False,
) -> Decided:
    """Decide the item of a task that the person holds.

    Args:
        connection: In a writing transaction.
        task: The task's number.
        staff: Who decides.
        choice: What they chose.
        settings: The desk's.
        now: The moment.
        version: The version of the comment that they saw.
        copies: Decide what waits of near-identical comments in the same community, too.

    Raises:
        ConflictError: If the task is closed or another person's, or the comment was edited meanwhile.
        DeskError: If the choice is incomplete.
    """
    lock(connection)
    row = held_task(connection, task, staff)
    item = connection.execute(select(items).where(items.c.number == row.item)).one()
    choice, rulebook = _checked(connection, item.community, choice)
    if row.kind == "appeal":
        raise DeskError("an appeal is answered with reasons, on its own page")
    judged = judged_version(connection, row, item)
    if version is not None and version != judged:
        raise ConflictError("the comment was edited meanwhile; look at the new text")
    seconds = (now - row.lease_from).total_seconds() if row.lease_from else None
    connection.execute(
        update(tasks).where(tasks.c.number == task).values(open=False, closed=now, lease_until=None)
    )
    if row.kind == "first":
        return _decide_first(connection, row, item, staff, choice, rulebook, seconds, copies, settings, now)
    if row.kind == "second":
        return _decide_second(connection, row, item, staff, choice, rulebook, seconds, now)
    if row.kind == "disagreement":
        return _decide_between(connection, row, item, staff, choice, rulebook, seconds, settings, now)
    number, public = write(
        connection, item, judged, "known", choice, rulebook, staff, effective=False, task=task,
        seconds=seconds, now=now,
    )  # fmt: skip
    return Decided(number, public, "known")


def find(connection: Connection, decision_id: str) -> Row[Any]:
    """Return a decision by its public id.

    Raises:
        NotFoundError: If there is none.
    """
    row = connection.execute(select(decisions).where(decisions.c.id == decision_id)).one_or_none()
    if row is None:
        raise NotFoundError("there is no such decision")
    return row


def judged_version(connection: Connection, task: Row[Any], item: Row[Any]) -> int:
    """Return which version of its comment a task is about."""
    if task.decision is None:
        return int(item.version)
    return int(
        connection.execute(
            select(decisions.c.version).where(decisions.c.number == task.decision)
        ).scalar_one()
    )


def write(
    connection: Connection,
    item: Row[Any],
    version: int,
    kind: str,
    choice: Choice,
    rulebook: int | None,
    staff: Staff,
    *,
    effective: bool,
    now: datetime,
    release: datetime | None = None,
    task: int | None = None,
    supersedes: int | None = None,
    seconds: float | None = None,
    batch: str | None = None,
) -> tuple[int, str]:
    """Store a decision with its event; one that is effective changes the state of the version it is about.

    Returns:
        Its number and its public id.
    """
    public = secrets.token_hex(12)
    result = connection.execute(
        insert(decisions).values(
            id=public, batch=batch or public, item=item.number, version=version, task=task, kind=kind,
            outcome=choice.outcome, rule=choice.rule, rulebook=rulebook, note=choice.note,
            staff=staff.number, before=item.state, supersedes=supersedes, effective=effective,
            seconds=seconds, created=now, release=release or now,
        )
    )  # fmt: skip
    number = int(result.inserted_primary_key[0])  # type: ignore[index]
    state = item.state
    if effective:
        if supersedes is not None:
            connection.execute(
                update(decisions)
                .where(decisions.c.number == supersedes)
                .values(effective=False, overturned=decisions.c.outcome != choice.outcome)
            )
        if item.version == version:
            state = STATES[choice.outcome]
            connection.execute(
                update(items).where(items.c.number == item.number).values(state=state, updated=now)
            )
    record(
        connection, "decided", staff.actor, now=now, item=item.number, decision=number, version=version,
        kind=kind, outcome=choice.outcome, rule=choice.rule, state=state,
    )  # fmt: skip
    return number, public


def _decide_first(
    connection: Connection,
    task: Row[Any],
    item: Row[Any],
    staff: Staff,
    choice: Choice,
    rulebook: int | None,
    seconds: float | None,
    copies: bool,
    settings: DeskSettings,
    now: datetime,
) -> Decided:
    release = now + timedelta(seconds=settings.undo_seconds)
    kind = "comment.removed" if choice.outcome == "remove" else "comment.allowed"

    def one(each: Row[Any], number: int, batch: str | None) -> tuple[int, str]:
        earlier = connection.execute(
            select(decisions.c.number).where(
                decisions.c.item == each.number,
                decisions.c.version == each.version,
                decisions.c.effective.is_(True),
            )
        ).scalar()
        decision, public = write(
            connection, each, each.version, "first", choice, rulebook, staff, effective=True,
            release=release, task=number, seconds=seconds, batch=batch, supersedes=earlier, now=now,
        )  # fmt: skip
        tell(connection, decision, each.number, kind, settings=settings, not_before=release, now=now)
        return decision, public

    number, public = one(item, task.number, None)
    if second.draw(connection, item, choice.outcome, settings):
        look_again(connection, number, item, "second", (staff.number,), now=now)
    others = list(_copies(connection, item, staff, now)) if copies else []
    for other, other_task in others:
        connection.execute(
            update(tasks)
            .where(tasks.c.number == other_task)
            .values(open=False, closed=now, lease_by=None, lease_until=None)
        )
        one(other, other_task, public)
    return Decided(number, public, "first", len(others), release if release > now else None)


def _decide_second(
    connection: Connection,
    task: Row[Any],
    item: Row[Any],
    staff: Staff,
    choice: Choice,
    rulebook: int | None,
    seconds: float | None,
    now: datetime,
) -> Decided:
    first = connection.execute(select(decisions).where(decisions.c.number == task.decision)).one()
    number, public = write(
        connection, item, first.version, "second", choice, rulebook, staff, effective=False,
        task=task.number, seconds=seconds, now=now,
    )  # fmt: skip
    if first.outcome != choice.outcome and first.effective:
        people = (staff.number, *((first.staff,) if first.staff is not None else ()))
        look_again(connection, first.number, item, "disagreement", people, now=now)
    return Decided(number, public, "second")


def _decide_between(
    connection: Connection,
    task: Row[Any],
    item: Row[Any],
    staff: Staff,
    choice: Choice,
    rulebook: int | None,
    seconds: float | None,
    settings: DeskSettings,
    now: datetime,
) -> Decided:
    first = connection.execute(select(decisions).where(decisions.c.number == task.decision)).one()
    changes = bool(first.effective and first.outcome != choice.outcome)
    release = now + timedelta(seconds=settings.undo_seconds if changes else 0)
    number, public = write(
        connection, item, first.version, "final", choice, rulebook, staff, effective=changes,
        supersedes=first.number if changes else None, release=release, task=task.number, seconds=seconds,
        now=now,
    )  # fmt: skip
    if changes and item.version == first.version:  # of a text that was edited since there is nothing to do
        kind = "comment.removed" if choice.outcome == "remove" else "comment.restored"
        tell(connection, number, item.number, kind, settings=settings, not_before=release, now=now)
    return Decided(number, public, "final", 0, release if changes and release > now else None)


def look_again(
    connection: Connection,
    decision: int,
    item: Row[Any],
    kind: str,
    people: Iterable[int],
    *,
    now: datetime,
    actor: str = "machine",
) -> int:
    """Open a task for other people to look at a decision.

    Args:
        connection: In a writing transaction.
        decision: The decision.
        item: Its item.
        kind: "second", "disagreement" or "appeal".
        people: Numbers of those who may not take it.
        now: The moment.
        actor: Who wants it.

    Returns:
        The task's number.
    """
    like = connection.execute(
        select(tasks).where(tasks.c.item == item.number).order_by(tasks.c.number.desc()).limit(1)
    ).one_or_none()
    result = connection.execute(
        insert(tasks).values(
            kind=kind, item=item.number, decision=decision, community=item.community,
            attribute=like.attribute if like else "toxicity", language=item.language, source=item.source,
            rank=like.rank if like else -now.timestamp() / 86_400, open=True,
            for_lead=kind == "disagreement", created=now,
        )
    )  # fmt: skip
    number = int(result.inserted_primary_key[0])  # type: ignore[index]
    for person in dict.fromkeys(people):
        bar(connection, number, person, "decided")
    if kind != "appeal":  # which has an event of its own
        record(connection, f"{kind}-opened", actor, now=now, item=item.number, decision=decision, task=number)
    return number


def _copies(
    connection: Connection, item: Row[Any], staff: Staff, now: datetime
) -> Sequence[tuple[Row[Any], int]]:
    """Return the near-identical comments that wait and are in nobody else's hands, each with its task."""
    if item.fingerprint is None:
        return []
    same = connection.execute(
        select(items)
        .where(
            items.c.community == item.community,
            items.c.fingerprint == item.fingerprint,
            items.c.number != item.number,
            items.c.state.in_(WAITING),
        )
        .order_by(items.c.number)
        .limit(_MOST_COPIES)
    ).all()
    free = connection.execute(
        select(tasks.c.item, tasks.c.number).where(
            tasks.c.item.in_([row.number for row in same]),
            tasks.c.open.is_(True),
            tasks.c.kind == "first",
            tasks.c.for_lead.is_(False) if not staff.is_lead else true(),
            or_(
                tasks.c.lease_until.is_(None),
                tasks.c.lease_until <= now,
                tasks.c.lease_by == staff.number,
            ),
        )
    )
    task_of = {row.item: row.number for row in free}
    return [(row, task_of[row.number]) for row in same if row.number in task_of]


def _checked(connection: Connection, community: str, choice: Choice) -> tuple[Choice, int | None]:
    """Check a choice against the rule book; return it tidied, and the book's version if it names a rule."""
    if choice.outcome not in OUTCOMES:
        raise DeskError(f"the outcome of a decision is one of {', '.join(OUTCOMES)}")
    note = (choice.note or "").replace("\0", "").strip() or None
    if note is not None and len(note) > LONGEST_NOTE:
        raise DeskError("a note has up to 4,000 characters")
    if choice.outcome == "allow":
        return Choice("allow", None, note), None
    if not choice.rule:
        raise DeskError("name the rule for which the comment is removed")
    book = read_rulebook(connection, community)
    rule = book.rule(choice.rule)
    if rule.legal == IN_THE_NOTE and note is None:
        raise DeskError("name the provision of the law in the note to the author")
    return Choice("remove", rule.id, note), book.version
