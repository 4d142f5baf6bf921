"""What somebody who decides gets to see of a comment, and what has been decided before."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, and_, func, select

from giantkiller.attributes import ATTRIBUTES
from giantkiller.desk.decisions import judged_version
from giantkiller.desk.events import ItemEvent, item_events
from giantkiller.desk.items import WAITING
from giantkiller.desk.policies import read_policy
from giantkiller.desk.rules import Rulebook
from giantkiller.desk.staff import Staff, names
from giantkiller.desk.tables import appeals, decisions, items, notes, reports, statements, tasks, versions
from giantkiller.explain import Span
from giantkiller.policy import ACTIONS, Policy, level_of

__all__ = [
    "Contested",
    "Dossier",
    "History",
    "decided_today",
    "decisions_of",
    "gather",
    "history",
    "holds_blind",
    "likely_rule",
    "marked",
    "names",
]

_MOST = 10


class Score(NamedTuple):
    """One score with the thresholds of the community's policy, None where there is none."""

    attribute: str
    score: float
    monitor: float | None
    review: float | None
    remove: float | None
    reached: str


class Contested(NamedTuple):
    """An appeal's row, with the statement's audience and facts, and the decision that it is about."""

    row: Row[Any]
    decision: Row[Any]


@dataclass(frozen=True)
class History:
    """Everything that is known of an item: rows, oldest first, and people's names by number."""

    versions: Sequence[Row[Any]]
    decisions: Sequence[Row[Any]]
    reports: Sequence[Row[Any]]
    notes: Sequence[Row[Any]]
    appeals: Sequence[Row[Any]]
    events: list[ItemEvent]
    people: dict[int, str]


@dataclass(frozen=True)
class Dossier:
    """What is shown beside an item in hand.

    Attributes:
        item: Its row.
        version: The version that is judged.
        text: Its text; None once it was purged.
        scores: The worst first.
        attribute: The one that brought it here.
        why: "threshold", "watched" or "nothing" (then somebody reported it).
        blind: Whether earlier decisions on it are kept from whoever decides.
        author: Earlier decisions on the same author, newest first.
        author_counts: Their number by outcome.
        copies: How many near-identical comments wait.
        copied: Earlier decisions on near-identical comments; empty for a blind look.
        reports: Newest first.
        notes: Internal ones, oldest first.
        decisions: On this item, newest first; empty for a blind look.
        appeal: What the appeal says, with the contested decision and its statement; None without one.
    """

    item: Row[Any]
    version: int
    text: str | None
    scores: list[Score]
    attribute: str
    why: str
    blind: bool
    author: Sequence[Row[Any]]
    author_counts: dict[str, int]
    copies: int
    copied: Sequence[Row[Any]]
    reports: Sequence[Row[Any]]
    notes: Sequence[Row[Any]]
    decisions: Sequence[Row[Any]]
    appeal: Contested | None


def gather(connection: Connection, task: Row[Any], bundle: Policy, *, now: datetime) -> Dossier:
    """Collect what is shown beside the item of a task."""
    item = connection.execute(select(items).where(items.c.number == task.item)).one()
    number = judged_version(connection, task, item)
    version = connection.execute(
        select(versions).where(versions.c.item == item.number, versions.c.version == number)
    ).one()
    policy = read_policy(connection, item.community, bundle)
    blind = task.kind in ("second", "known")
    earlier = decisions_of(connection, item=item.number, most=_MOST) if not blind else []
    same_author: Sequence[Row[Any]] = []
    counts: dict[str, int] = {}
    if item.author is not None:
        where = and_(
            items.c.community == item.community,
            items.c.author == item.author,
            items.c.number != item.number,
            decisions.c.effective.is_(True),
        )
        if blind:  # what was decided about a copy tells what was decided here
            where = and_(where, items.c.fingerprint.is_distinct_from(item.fingerprint))
        same_author = connection.execute(
            _decisions().where(where).order_by(decisions.c.number.desc()).limit(_MOST)
        ).all()
        rows = connection.execute(
            select(decisions.c.outcome, func.count().label("total"))
            .join(items, items.c.number == decisions.c.item)
            .where(where)
            .group_by(decisions.c.outcome)
        )
        counts = {row.outcome: row.total for row in rows}
    copies, copied = _copies(connection, item)
    return Dossier(
        item=item,
        version=number,
        text=version.text,
        scores=scores_of(version.scores, policy.thresholds),
        attribute=version.attribute,
        why=version.why,
        blind=blind,
        author=same_author,
        author_counts=counts,
        copies=copies,
        copied=copied if not blind else [],
        reports=connection.execute(
            select(reports)
            .where(reports.c.item == item.number)
            .order_by(reports.c.number.desc())
            .limit(_MOST)
        ).all(),
        notes=connection.execute(
            select(notes).where(notes.c.item == item.number).order_by(notes.c.number)
        ).all(),
        decisions=earlier,
        appeal=_appeal(connection, task) if task.appeal is not None else None,
    )


def scores_of(scores: Mapping[str, float], thresholds: Mapping[str, Mapping[str, float]]) -> list[Score]:
    """Return the scores with their thresholds, those that reach the sternest action first."""
    rows = []
    for attribute in ATTRIBUTES:
        steps = thresholds.get(attribute, {})
        score = scores.get(attribute, 0.0)
        rows.append(
            Score(
                attribute,
                score,
                steps.get("monitor"),
                steps.get("review"),
                steps.get("remove"),
                ACTIONS[level_of(steps, score)],
            )
        )
    return sorted(rows, key=lambda row: (ACTIONS.index(row.reached), row.score), reverse=True)


def likely_rule(book: Rulebook, seen: Dossier) -> str:
    """Return the id of the rule that a removal is likely to name: that of the highest score with a rule.

    Toxicity goes with every other attribute, so that its own rule comes last.
    """
    scores = {row.attribute: row.score for row in seen.scores}
    rules = [rule for rule in book.rules if rule.attribute is not None]
    specific = [
        rule for rule in rules if scores[rule.attribute or ""] >= 0.3 and rule.attribute != "toxicity"
    ]
    best = max(specific, key=lambda rule: scores[rule.attribute or ""], default=None)
    return (best or next((rule for rule in rules if rule.attribute == seen.attribute), book.rules[0])).id


def marked(text: str, words: Sequence[Span]) -> list[tuple[str, int]]:
    """Cut a text into pieces with the weight of each, from 0 (none) to 3 (the words that carried the score).

    Weights are relative to the word that added the most.
    """
    most = max((word.contribution for word in words), default=0.0)
    pieces: list[tuple[str, int]] = []
    at = 0
    for word in words:
        share = word.contribution / most if most > 0.02 else 0.0
        weight = 3 if share > 0.6 else 2 if share > 0.3 else 1 if share > 0.1 else 0
        if weight and word.begin >= at:
            pieces += [(text[at : word.begin], 0), (text[word.begin : word.end], weight)]
            at = word.end
    pieces.append((text[at:], 0))
    return [piece for piece in pieces if piece[0]]


def decisions_of(
    connection: Connection,
    *,
    staff: int | None = None,
    item: int | None = None,
    differing: bool = False,
    most: int = 100,
) -> Sequence[Row[Any]]:
    """Return decisions with their items' ids, newest first.

    Args:
        connection: To read by.
        staff: Of this person only.
        item: On this item only.
        differing: Those only that a second look, a lead or an appeal overturned.
        most: How many.
    """
    newest = [decisions.c.number.desc()]
    query = _decisions().limit(most)
    if staff is not None:
        query = query.where(decisions.c.staff == staff)
        newest.insert(0, decisions.c.created.desc())  # as the index of a person's decisions has them
    if item is not None:
        query = query.where(decisions.c.item == item)
    if differing:
        query = query.where(decisions.c.overturned.is_(True))
    return connection.execute(query.order_by(*newest)).all()


def decided_today(connection: Connection, staff: Staff, *, now: datetime) -> int:
    """Count what a person has decided in the last twelve hours."""
    return connection.execute(
        select(func.count())
        .select_from(decisions)
        .where(decisions.c.staff == staff.number, decisions.c.created > now - timedelta(hours=12))
    ).scalar_one()


def holds_blind(connection: Connection, item: int, staff: Staff) -> bool:
    """Return whether a person has a blind look at an item in hand."""
    row = connection.execute(
        select(tasks.c.number).where(
            tasks.c.item == item,
            tasks.c.open.is_(True),
            tasks.c.kind.in_(("second", "known")),
            tasks.c.lease_by == staff.number,
        )
    ).first()
    return row is not None


def history(connection: Connection, item: Row[Any]) -> History:
    """Return everything that is known of an item, for its page."""

    def of(table: Any) -> Sequence[Row[Any]]:
        return connection.execute(
            select(table).where(table.c.item == item.number).order_by(table.c.number)
        ).all()

    return History(
        versions=of(versions),
        decisions=decisions_of(connection, item=item.number),
        reports=of(reports),
        notes=of(notes),
        appeals=of(appeals),
        events=item_events(connection, item.number),
        people=names(connection),
    )


def _decisions() -> Any:
    return select(
        decisions,
        items.c.id.label("item_id"),
        items.c.community,
        versions.c.action.label("machine"),
        versions.c.attribute,
        versions.c.text,
    ).join(items, items.c.number == decisions.c.item).join(
        versions,
        and_(versions.c.item == decisions.c.item, versions.c.version == decisions.c.version),
    )  # fmt: skip


def _copies(connection: Connection, item: Row[Any]) -> tuple[int, Sequence[Row[Any]]]:
    if item.fingerprint is None:
        return 0, []
    same = and_(
        items.c.community == item.community,
        items.c.fingerprint == item.fingerprint,
        items.c.number != item.number,
    )
    # By its state: whatever waits has one open task, and to look for that would read the whole queue.
    waiting = connection.execute(
        select(func.count()).select_from(items).where(same, items.c.state.in_(WAITING))
    ).scalar_one()
    decided = connection.execute(
        _decisions()
        .where(same, decisions.c.effective.is_(True))
        .order_by(decisions.c.number.desc())
        .limit(_MOST)
    ).all()
    return waiting, decided


def _appeal(connection: Connection, task: Row[Any]) -> Contested:
    row = connection.execute(
        select(appeals, statements.c.audience, statements.c.facts)
        .join(statements, statements.c.number == appeals.c.statement)
        .where(appeals.c.number == task.appeal)
    ).one()
    contested = connection.execute(_decisions().where(decisions.c.number == row.decision)).one()
    return Contested(row, contested)
