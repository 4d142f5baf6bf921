"""How good decisions are: what second looks, appeals and known items say."""

import bisect
import itertools
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypedDict

from sqlalchemy import ColumnElement, Connection, Integer, cast, func, select

from giantkiller.desk.daily import by_day
from giantkiller.desk.figures import BY_PEOPLE
from giantkiller.desk.tables import appeals, decisions, known, tasks, versions
from giantkiller.policy import FLAGGED

_BY_PEOPLE = (decisions.c.kind.in_(BY_PEOPLE), decisions.c.undone.is_(None))


@dataclass(frozen=True)
class Agreement:
    """How often two people who saw the same item agreed.

    Attributes:
        group: Which decisions: a rule, or two people's names.
        pairs: How many.
        agreed: The share with the same outcome.
        alpha: Krippendorff's alpha of the outcomes (nominal); None where it has no value.
    """

    group: str
    pairs: int
    agreed: float
    alpha: float | None


def agreement(connection: Connection, since: datetime, people: dict[int, str]) -> list[Agreement]:
    """Compare blind second decisions with the first ones: all, per rule of the first, and per pair."""
    first, second = decisions.alias("first"), decisions.alias("second")
    rows = connection.execute(
        select(first.c.outcome, first.c.rule, first.c.staff, second.c.outcome, second.c.staff)
        .select_from(second)
        .join(tasks, tasks.c.number == second.c.task)
        .join(first, first.c.number == tasks.c.decision)
        .where(second.c.kind == "second", second.c.created >= since, first.c.undone.is_(None))
    ).all()
    groups: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for outcome, rule, one, other_outcome, two in rows:
        pair = (outcome, other_outcome)
        groups[""].append(pair)
        groups[rule or "–"].append(pair)
        pair_names = sorted(people.get(number, "?") for number in (one, two) if number is not None)
        groups[" · ".join(pair_names)].append(pair)
    return [
        Agreement(group, len(pairs), sum(a == b for a, b in pairs) / len(pairs), alpha(pairs))
        for group, pairs in sorted(groups.items())
    ]


def alpha(pairs: Sequence[tuple[str, str]]) -> float | None:
    """Return Krippendorff's alpha of pairs of outcomes; None if all are alike, when it has no value."""
    if len({outcome for pair in pairs for outcome in pair}) < 2:
        return None
    import krippendorff

    codes = {"allow": 0.0, "remove": 1.0}
    data = [[codes[pair[i]] for pair in pairs] for i in (0, 1)]
    return float(krippendorff.alpha(reliability_data=data, level_of_measurement="nominal"))


class OverturnedRow(TypedDict):
    """How people decided what the machine said of an attribute."""

    attribute: str
    action: str
    allowed: int
    removed: int
    overturned: float


class AppealsRow(TypedDict):
    """How appeals against decisions by a rule went."""

    rule: str
    open: int
    upheld: int
    reversed: int


class KnownRow(TypedDict):
    """How a person did on items whose right answer is known."""

    person: str
    right: int
    wrong: int


class PersonRow(TypedDict):
    """What a person decided: how much, the share overturned, in how many seconds."""

    person: str
    decisions: int
    overturned: float
    median_seconds: float | None


def overturned_machine(connection: Connection, since: datetime, *, now: datetime) -> list[OverturnedRow]:
    """Count how people decided what the machine sent them, by attribute and action.

    An approval overturns "review" and "remove"; a removal overturns "allow" and "monitor", which come to
    people by reports.
    """
    counts: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for (attribute, action, outcome), total in by_day(connection, _judged, since, now).items():
        counts[attribute, action][outcome == "remove"] += total
    return [
        {"attribute": attribute, "action": action, "allowed": allowed, "removed": removed,
         "overturned": (allowed if action in FLAGGED else removed) / (allowed + removed)}
        for (attribute, action), (allowed, removed) in sorted(counts.items())
    ]  # fmt: skip


def _judged(connection: Connection, begin: datetime, end: datetime) -> "Counter[Any]":
    """Count first decisions by what the machine had said, and what people said."""
    grouped = (versions.c.attribute, versions.c.action, decisions.c.outcome)
    rows = connection.execute(
        select(*grouped, func.count().label("total"))
        .join(
            versions,
            (versions.c.item == decisions.c.item) & (versions.c.version == decisions.c.version),
        )
        .where(decisions.c.kind == "first", decisions.c.undone.is_(None), *_within(begin, end))
        .group_by(*grouped)
    )
    return Counter({(row.attribute, row.action, row.outcome): row.total for row in rows})


def _within(begin: datetime, end: datetime) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return decisions.c.created >= begin, decisions.c.created < end


def appeals_by_rule(connection: Connection, since: datetime) -> list[AppealsRow]:
    """Count appeals and how they went, by the rule of the contested decision."""
    rows = connection.execute(
        select(decisions.c.rule, appeals.c.state)
        .join(decisions, decisions.c.number == appeals.c.decision)
        .where(appeals.c.created >= since)
    )
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        counts[row.rule or "–"][row.state] += 1
    return [
        {"rule": rule, "open": states["open"], "upheld": states["upheld"], "reversed": states["reversed"]}
        for rule, states in sorted(counts.items())
    ]


def known_answers(connection: Connection, since: datetime, people: dict[int, str]) -> list[KnownRow]:
    """Count how people did on items whose right answer is known."""
    rows = connection.execute(
        select(decisions.c.staff, decisions.c.outcome, known.c.outcome.label("right"))
        .join(known, known.c.item == decisions.c.item)
        .where(decisions.c.kind == "known", decisions.c.created >= since)
    )
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for row in rows:
        counts[people.get(row.staff, "?")][row.outcome == row.right] += 1
    return [
        {"person": person, "right": right, "wrong": wrong}
        for person, (wrong, right) in sorted(counts.items())
    ]


def by_person(
    connection: Connection, since: datetime, people: dict[int, str], *, now: datetime
) -> list[PersonRow]:
    """Count decisions, the share overturned, and the median seconds of each person."""
    found: dict[str, Counter[int | None]] = defaultdict(Counter)
    for (staff, halves), made in by_day(connection, _made, since, now).items():
        found[people.get(staff, "?")][halves] += made
    wrong = Counter[str]()
    rows = connection.execute(
        select(decisions.c.staff, func.count().label("total"))
        .where(decisions.c.overturned.is_(True), decisions.c.created >= since, *_BY_PEOPLE)
        .group_by(decisions.c.staff)
    )
    for row in rows:
        wrong[people.get(row.staff, "?")] += row.total
    return [
        {"person": person, "decisions": times.total(), "overturned": wrong[person] / times.total(),
         "median_seconds": _median(times)}
        for person, times in sorted(found.items())
    ]  # fmt: skip


def _made(connection: Connection, begin: datetime, end: datetime) -> "Counter[Any]":
    """Count decisions by person and half seconds that they took: few enough to keep for each day."""
    halves = cast(decisions.c.seconds * 2, Integer).label("halves")
    rows = connection.execute(
        select(decisions.c.staff, halves, func.count().label("total"))
        .where(*_BY_PEOPLE, *_within(begin, end))
        .group_by(decisions.c.staff, "halves")
    )
    return Counter({(row.staff, row.halves): row.total for row in rows})


def _median(times: "Counter[int | None]") -> float | None:
    """Return the median of seconds that were counted by halves."""
    timed = sorted((halves, made) for halves, made in times.items() if halves is not None)
    ends = list(itertools.accumulate(made for _, made in timed))
    middle = bisect.bisect_right(ends, ends[-1] // 2) if ends else None
    return None if middle is None else timed[middle][0] / 2
