"""How good decisions are: what second looks, appeals and known items say."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from giantkiller.desk.tables import appeals, decisions, known, tasks, versions


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


def overturned_machine(connection: Connection, since: datetime) -> list[dict[str, Any]]:
    """Count how people decided what the machine sent them, by attribute and action.

    A removal agrees with "review" and "remove"; an approval overturns them.
    """
    rows = connection.execute(
        select(versions.c.attribute, versions.c.action, decisions.c.outcome)
        .join(
            versions,
            (versions.c.item == decisions.c.item) & (versions.c.version == decisions.c.version),
        )
        .where(decisions.c.kind == "first", decisions.c.undone.is_(None), decisions.c.created >= since)
    )
    counts: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for row in rows:
        counts[row.attribute, row.action][row.outcome == "remove"] += 1
    return [
        {"attribute": attribute, "action": action, "allowed": allowed, "removed": removed,
         "overturned": allowed / (allowed + removed)}
        for (attribute, action), (allowed, removed) in sorted(counts.items())
    ]  # fmt: skip


def appeals_by_rule(connection: Connection, since: datetime) -> list[dict[str, Any]]:
    """Count appeals and how they went, by the rule of the contested decision."""
    rows = connection.execute(
        select(decisions.c.rule, appeals.c.state)
        .join(decisions, decisions.c.number == appeals.c.decision)
        .where(appeals.c.created >= since)
    )
    counts: dict[str, dict[str, int]] = defaultdict(lambda: {"open": 0, "upheld": 0, "reversed": 0})
    for row in rows:
        counts[row.rule or "–"][row.state] += 1
    return [{"rule": rule, **states} for rule, states in sorted(counts.items())]


def known_answers(connection: Connection, since: datetime, people: dict[int, str]) -> list[dict[str, Any]]:
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


def by_person(connection: Connection, since: datetime, people: dict[int, str]) -> list[dict[str, Any]]:
    """Count decisions, the share overturned, and the median seconds of each person."""
    rows = connection.execute(
        select(decisions.c.staff, decisions.c.overturned, decisions.c.seconds).where(
            decisions.c.staff.is_not(None), decisions.c.created >= since, decisions.c.undone.is_(None)
        )
    )
    found: dict[str, list[tuple[bool, float | None]]] = defaultdict(list)
    for row in rows:
        found[people.get(row.staff, "?")].append((row.overturned, row.seconds))
    table = []
    for person, made in sorted(found.items()):
        times = sorted(seconds for _, seconds in made if seconds is not None)
        table.append(
            {"person": person, "decisions": len(made),
             "overturned": sum(wrong for wrong, _ in made) / len(made),
             "median_seconds": round(times[len(times) // 2], 1) if times else None}
        )  # fmt: skip
    return table
