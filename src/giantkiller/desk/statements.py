"""The statement of reasons: what an author, or who reported a comment, gets to know, at their own link."""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from giantkiller.desk.config import DeskSettings
from giantkiller.desk.errors import NotFoundError
from giantkiller.desk.events import Event, lock, record_all
from giantkiller.desk.rules import read_rulebook
from giantkiller.desk.tables import appeals, communities, decisions, items, statements, versions

AUTHOR = "author"
NOTIFIER = "notifier"


@dataclass(frozen=True)
class Statement:
    """A statement as its reader sees it.

    Attributes:
        number: Its number.
        facts: What `make` gathered when the decision was made; see there.
        text: The comment as it was judged; None once it was purged.
        note: What the person who decided wrote to the author.
        reversed: Whether the decision has been reversed since.
        appeal: The row of the appeal, if there is one.
        may_appeal: Whether an appeal can be filed now.
        appeal_until: Until when; None while nobody has been told.
        row: The statement's row.
    """

    number: int
    facts: dict[str, Any]
    text: str | None
    note: str | None
    reversed: bool
    appeal: Row[Any] | None
    may_appeal: bool
    appeal_until: datetime | None
    row: Row[Any]


def make(
    connection: Connection,
    decision: int,
    audience: str,
    *,
    settings: DeskSettings,
    now: datetime,
    report: int | None = None,
) -> tuple[int, str]:
    """Write the statement of a decision.

    The facts hold no text of the comment: outcome, since and until when, where, the rule as it read, how the
    comment was found, and whether a machine found or decided it.

    Returns:
        The statement's number, and the token of its link, of which only the hash is kept here.
    """
    row = connection.execute(
        select(
            decisions, items.c.community, items.c.external, items.c.url, items.c.posted, items.c.reports,
            items.c.language, versions.c.why, versions.c.attribute, versions.c.score, versions.c.model,
            communities.c.name, communities.c.language.label("house_language"),
        )
        .join(items, items.c.number == decisions.c.item)
        .join(communities, communities.c.id == items.c.community)
        .join(
            versions, (versions.c.item == decisions.c.item) & (versions.c.version == decisions.c.version)
        )
        .where(decisions.c.number == decision)
    ).one()  # fmt: skip
    rule = None
    if row.rule is not None:
        book = read_rulebook(connection, row.community, row.rulebook)
        rule = asdict(book.rule(row.rule)) | {"version": book.version}
    found = "machine" if row.why in ("threshold", "watched") else "report" if row.reports else "own"
    facts = {
        "outcome": row.outcome,
        "community": row.community,
        "community_name": row.name,
        "comment": row.external,
        "url": row.url,
        "posted": row.posted,
        "decided": row.created.date().isoformat(),
        "until": None,
        "rule": rule,
        "found": found,
        "automated_detection": found == "machine",
        "automated_decision": row.staff is None,
        "attribute": row.attribute,
        "score": row.score,
        "model": row.model,
    }
    language = row.language[:2].lower() if row.language != "und" else row.house_language[:2].lower()
    token = secrets.token_urlsafe(32)
    result = connection.execute(
        insert(statements).values(
            decision=decision, item=row.item, audience=audience, report=report, token=_hash(token),
            language=language, facts=facts, created=now,
        )
    )  # fmt: skip
    return int(result.inserted_primary_key[0]), token  # type: ignore[index]


def payload(connection: Connection, decision: int, statement: int, token: str) -> dict[str, Any]:
    """Return what a webhook tells of a decision and its statement; never the comment's text."""
    row = connection.execute(
        select(items, decisions.c.outcome, decisions.c.note, decisions.c.id.label("decision"),
               decisions.c.version.label("judged"), statements.c.facts, statements.c.audience)
        .join(decisions, decisions.c.item == items.c.number)
        .join(statements, statements.c.decision == decisions.c.number)
        .where(statements.c.number == statement, decisions.c.number == decision)
    ).one()  # fmt: skip
    return {
        "item": row.id,
        "community": row.community,
        "comment": row.external,
        "version": row.judged,
        "decision": row.decision,
        "outcome": row.outcome,
        "state": row.state,
        "statement": {**row.facts, "audience": row.audience, "note": row.note, "path": f"/s/{token}"},
    }


def find(connection: Connection, token: str, settings: DeskSettings, *, now: datetime) -> Statement:
    """Return the statement behind a link.

    Raises:
        NotFoundError: If there is none, it was taken back, or its decision has not left the house yet.
    """
    row = connection.execute(select(statements).where(statements.c.token == _hash(token))).one_or_none()
    if row is None or row.void:
        raise NotFoundError("there is no such statement")
    return _read(connection, row, settings, now)


def rows_of(connection: Connection, decision: int) -> Sequence[Row[Any]]:
    """Return the rows of a decision's statements."""
    return connection.execute(select(statements).where(statements.c.decision == decision)).all()


def mark_told(connection: Connection, numbers: Sequence[int], now: datetime) -> None:
    """Note, with an event, that somebody was told: from the first time on, the time to appeal runs."""
    untold = (statements.c.number.in_(numbers), statements.c.told.is_(None))
    if connection.execute(select(statements.c.number).where(*untold).limit(1)).first() is None:
        return
    lock(connection)
    told = connection.execute(
        update(statements)
        .where(*untold)
        .values(told=now)
        .returning(statements.c.item, statements.c.decision, statements.c.audience)
    ).all()
    if told:
        happened = [
            Event("told", "machine", row.item, {"decision": row.decision, "audience": row.audience})
            for row in sorted(told, key=lambda row: row.decision)
        ]
        record_all(connection, happened, now=now)


def void(connection: Connection, decision: int) -> None:
    """Take the statements of a decision back that was undone in time."""
    connection.execute(update(statements).where(statements.c.decision == decision).values(void=True))


def _read(connection: Connection, row: Row[Any], settings: DeskSettings, now: datetime) -> Statement:
    decision = connection.execute(select(decisions).where(decisions.c.number == row.decision)).one()
    if decision.release > now:
        raise NotFoundError("there is no such statement")
    text = connection.execute(
        select(versions.c.text).where(
            versions.c.item == decision.item, versions.c.version == decision.version
        )
    ).scalar()
    appeal = connection.execute(select(appeals).where(appeals.c.statement == row.number)).one_or_none()
    until = row.told + timedelta(days=settings.appeal_days) if row.told else None
    contestable = decision.outcome == ("remove" if row.audience == AUTHOR else "allow")
    final = decision.kind == "appeal"  # its own answer says where else to turn
    in_time = until is None or now < until
    return Statement(
        number=row.number,
        facts=row.facts,
        text=text,
        note=decision.note if row.audience == AUTHOR else None,
        reversed=not decision.effective,
        appeal=appeal,
        may_appeal=contestable and appeal is None and in_time and decision.effective and not final,
        appeal_until=until,
        row=row,
    )


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
