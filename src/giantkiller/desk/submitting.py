"""Submissions: comments kept with an event and a place in the queue, many in one go.

Each statement to the database has a price of its own, so that comments that come at the same time share them.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, select, update

from giantkiller.desk import outbox, statements
from giantkiller.desk.config import DeskSettings
from giantkiller.desk.errors import DeskError
from giantkiller.desk.events import Event, digest_of, lock, record, record_all
from giantkiller.desk.items import (
    LONGEST_TEXT,
    WAITING,
    Comment,
    Submitted,
    cut,
    fingerprint,
    queue_first,
    rank,
    storable,
    task_row,
    version_of,
)
from giantkiller.desk.policies import STATES, Judgement
from giantkiller.desk.tables import decisions, items, tasks, versions

_AT_ONCE = 500  # ids in one question to the database
# Made once: to put a statement together costs about as much as to run it.
_KNOWN = select(items).where(
    items.c.community == bindparam("community"), items.c.external.in_(bindparam("externals", expanding=True))
)
_NEW_ITEMS = insert(items).returning(items.c.number, sort_by_parameter_order=True)
_NEW_VERSIONS = insert(versions)
_NEW_TASKS = insert(tasks)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A comment with what is kept of its text: as databases can hold it, and its marks.

    Attributes:
        comment: As it was sent.
        text: Without what databases can't hold.
        fingerprint: What near-identical texts share.
        salt: Of the digest.
        digest: By which events name the text.
    """

    comment: Comment
    text: str
    fingerprint: str | None
    salt: str
    digest: str


@dataclass(frozen=True, slots=True)
class Submission:
    """A comment with what was made of it.

    Attributes:
        prepared: The comment.
        scores: By attribute.
        judgement: What the community's policy calls for.
        model: The name of what scored.
        policy: The version of the policy.
        actor: Who submits.
    """

    prepared: Prepared
    scores: Mapping[str, float]
    judgement: Judgement
    model: str
    policy: int
    actor: str


def prepare(comment: Comment) -> Prepared:
    """Do what takes time about a comment, and needs no database.

    Raises:
        DeskError: If its text is too long.
    """
    text = storable(comment.text)
    if len(text) > LONGEST_TEXT:
        raise DeskError(f"the text is longer than {LONGEST_TEXT:,} characters")
    salt = secrets.token_hex(16)
    return Prepared(comment, text, fingerprint(text), salt, digest_of(salt, text))


def submit(
    connection: Connection, submissions: Sequence[Submission], *, settings: DeskSettings, now: datetime
) -> list[Submitted]:
    """Keep comments, or new versions of them, and put those in the queue whose judgement says so.

    Args:
        connection: In a writing transaction.
        submissions: The comments.
        settings: The desk's.
        now: The moment.

    Returns:
        What became of each.
    """
    lock(connection)
    done: dict[int, Submitted] = {}
    left = list(enumerate(submissions))
    while left:
        some, left = _each_once(left)
        known = _known(connection, [one.prepared.comment for _, one in some])
        new = [(i, one) for i, one in some if _name(one.prepared.comment) not in known]
        for i, one in some:
            row = known.get(_name(one.prepared.comment))
            if row is not None:
                done[i] = _submit_again(connection, row, one, settings, now)
        kept = _insert(connection, [one for _, one in new], settings, now)
        done.update((i, submitted) for (i, _), submitted in zip(new, kept, strict=True))
    return [done[i] for i in range(len(submissions))]


def find_submitted(connection: Connection, comment: Comment) -> Submitted | None:
    """Return what became of a comment that was submitted before, by the platform's id; None if it wasn't."""
    known = _known(connection, [comment]).get(_name(comment))
    return None if known is None else _as_it_is(known)


_Name = tuple[str, str | None]


def _name(comment: Comment) -> _Name:
    return comment.community, cut(comment.external, 200)


def _each_once(
    numbered: list[tuple[int, Submission]],
) -> tuple[list[tuple[int, Submission]], list[tuple[int, Submission]]]:
    """Part submissions into the first of each comment and later ones, which then find the first."""
    names: set[_Name] = set()
    first: list[tuple[int, Submission]] = []
    later: list[tuple[int, Submission]] = []
    for i, one in numbered:
        name = _name(one.prepared.comment)
        (later if name in names else first).append((i, one))
        if name[1] is not None:
            names.add(name)
    return first, later


def _known(connection: Connection, comments: Sequence[Comment]) -> dict[_Name, Row[Any]]:
    """Return the items that comments have already, by community and the platform's id."""
    wanted: dict[str, list[str]] = {}
    for comment in comments:
        community, external = _name(comment)
        if external is not None:
            wanted.setdefault(community, []).append(external)
    found: dict[_Name, Row[Any]] = {}
    for community, externals in wanted.items():
        for begin in range(0, len(externals), _AT_ONCE):
            some = externals[begin : begin + _AT_ONCE]
            rows = connection.execute(_KNOWN, {"community": community, "externals": some})
            found.update({(community, row.external): row for row in rows})
    return found


def _insert(
    connection: Connection, new: Sequence[Submission], settings: DeskSettings, now: datetime
) -> list[Submitted]:
    """Keep comments that nobody has sent before."""
    if not new:
        return []
    rows = [_item_row(one, now) for one in new]
    numbers = list(connection.execute(_NEW_ITEMS, rows).scalars())
    together = list(zip(numbers, rows, new, strict=True))
    connection.execute(_NEW_VERSIONS, [_version_row(n, 1, one, now) for n, _, one in together])
    record_all(
        connection, [_event("submitted", n, 1, row["state"], one) for n, row, one in together], now=now
    )
    kept, waiting = [], []
    for number, row, one in together:
        state = row["state"]
        if one.judgement.automatic:
            state = _remove_automatically(connection, number, 1, settings, now)
        elif state in WAITING:
            place = rank(settings, one.scores, one.judgement.score, 0, now)
            waiting.append(task_row(number, row, one.judgement.attribute, place, now))
        kept.append(Submitted(row["id"], number, state, 1, True))
    if waiting:
        connection.execute(_NEW_TASKS, waiting)
    return kept


def _submit_again(
    connection: Connection, known: Row[Any], one: Submission, settings: DeskSettings, now: datetime
) -> Submitted:
    """Keep the new version of a comment, if its text is another one."""
    text = one.prepared.text
    current = version_of(connection, known.number, known.version)
    if current.text == text or (
        current.text is None and current.salt and digest_of(current.salt, text) == current.digest
    ):
        return _as_it_is(known)
    number, version = known.number, known.version + 1
    state = _state_after_edit(known, STATES[one.judgement.action])
    connection.execute(
        update(items)
        .where(items.c.number == number)
        .values(
            version=version, state=state, fingerprint=one.prepared.fingerprint, updated=now,
            language=one.prepared.comment.language[:35],
        )
    )  # fmt: skip
    connection.execute(_NEW_VERSIONS, [_version_row(number, version, one, now)])
    record_all(connection, [_event("edited", number, version, state, one)], now=now)
    if one.judgement.automatic and state == "hidden":
        state = _remove_automatically(connection, number, version, settings, now)
    queue_first(connection, number, state, one.scores, one.judgement, settings, now)
    return Submitted(known.id, number, state, version, True)


def _as_it_is(known: Row[Any]) -> Submitted:
    return Submitted(known.id, known.number, known.state, known.version, False)


def _item_row(one: Submission, now: datetime) -> dict[str, Any]:
    comment = one.prepared.comment
    return {
        "id": secrets.token_hex(12),
        "community": comment.community,
        "external": cut(comment.external, 200),
        "author": cut(comment.author, 200),
        "url": cut(comment.url, 2000),
        "parent": cut(comment.parent, LONGEST_TEXT),
        "title": cut(comment.title, 500),
        "language": comment.language[:35],
        "source": comment.source[:64],
        "state": STATES[one.judgement.action],
        "version": 1,
        "fingerprint": one.prepared.fingerprint,
        "reports": 0,
        "posted": comment.posted or now.date().isoformat(),
        "created": now,
        "updated": now,
    }


def _version_row(number: int, version: int, one: Submission, now: datetime) -> dict[str, Any]:
    return {
        "item": number,
        "version": version,
        "text": one.prepared.text,
        "salt": one.prepared.salt,
        "digest": one.prepared.digest,
        "scores": {attribute: round(value, 6) for attribute, value in one.scores.items()},
        "action": one.judgement.action,
        "attribute": one.judgement.attribute,
        "score": round(one.judgement.score, 6),
        "why": one.judgement.why,
        "model": one.model,
        "policy": one.policy,
        "created": now,
    }


def _event(kind: str, number: int, version: int, state: str, one: Submission) -> Event:
    judgement = one.judgement
    data = {
        "version": version, "digest": one.prepared.digest, "state": state, "action": judgement.action,
        "attribute": judgement.attribute, "why": judgement.why, "policy": one.policy,
    }  # fmt: skip
    return Event(kind, one.actor, number, data)


def _state_after_edit(item: Row[Any], state: str) -> str:
    """An edit never brings a removed or hidden comment back by itself: a person looks first."""
    if item.state in ("removed", "hidden"):
        return "hidden"
    return "review" if item.state == "review" and state in ("allowed", "monitored") else state


def _remove_automatically(
    connection: Connection, number: int, version: int, settings: DeskSettings, now: datetime
) -> str:
    """Carry a removal out without a person, and say so to the author."""
    public = secrets.token_hex(12)
    result = connection.execute(
        insert(decisions).values(
            id=public, batch=public, item=number, version=version, kind="automatic", outcome="remove",
            before="hidden", effective=True, created=now, release=now,
        )
    )  # fmt: skip
    decision = int(result.inserted_primary_key[0])  # type: ignore[index]
    connection.execute(update(items).where(items.c.number == number).values(state="removed"))
    record(
        connection, "decided", "machine", now=now, item=number, decision=decision, version=version,
        kind="automatic", outcome="remove", rule=None, state="removed",
    )  # fmt: skip
    statement, token = statements.make(connection, decision, "author", settings=settings, now=now)
    outbox.put(
        connection, "comment.removed", statements.payload(connection, decision, statement, token),
        item=number, statement=statement, not_before=now, now=now,
    )  # fmt: skip
    return "removed"
