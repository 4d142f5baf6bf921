"""What a candidate would have done otherwise: counts by day, and a few of the desk's ids; no text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Column, Connection, Float, Integer, String, Table, delete, func, insert, select

from giantkiller.attributes import ATTRIBUTES
from giantkiller.policy import ACTIONS, Policy
from giantkiller.store import UTCDateTime, metadata

MOST_FLIPS = 50
"""Ids kept of a pair of bundles, newest first."""

EDGES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
"""Between the bins of how far a comment's scores move at the most."""

counts = Table(
    "model_shadow",
    metadata,
    Column("day", String(10), primary_key=True),
    Column("active", String(64), primary_key=True),
    Column("candidate", String(64), primary_key=True),
    Column("attribute", String(32), primary_key=True),  # "" for a comment as a whole
    Column("measure", String(16), primary_key=True),
    Column("bin", Integer, primary_key=True, autoincrement=False),
    Column("value", Float, nullable=False),
)

flips = Table(
    "model_flip",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("at", UTCDateTime, nullable=False),
    Column("active", String(64), nullable=False),
    Column("candidate", String(64), nullable=False),
    Column("item", String(32), nullable=False),
    Column("before", String(16), nullable=False),
    Column("after", String(16), nullable=False),
)

Tally = dict[tuple[str, str, int], float]
"""Sums by attribute ("" for a comment as a whole), measure and bin."""


@dataclass(frozen=True)
class Pair:
    """Two bundles, by their digests."""

    active: str
    candidate: str


@dataclass(frozen=True)
class Flip:
    """A comment of the desk that the candidate would treat differently: its id, and both actions."""

    item: str
    before: str
    after: str
    at: datetime


@dataclass(frozen=True)
class Difference:
    """What changes in one attribute.

    `mean` and `distance` are means of candidate - active, with its sign and without; `sterner` and `milder`
    count comments for which this attribute alone would call for a sterner or a milder action.
    """

    attribute: str
    mean: float
    distance: float
    sterner: int
    milder: int


@dataclass(frozen=True)
class Comparison:
    """What the candidate would have done otherwise.

    Attributes:
        comments: Scored by both.
        missed: Left out, since the service was busy.
        attributes: By attribute; empty before the first comment.
        actions: (active's action, candidate's action) to comments.
        farthest: Comments by how far any of their scores moves, in the bins between `EDGES`.
        flips: Comments of the desk whose action changes, newest first.
    """

    comments: int
    missed: int
    attributes: list[Difference]
    actions: Mapping[tuple[str, str], int]
    farthest: Sequence[int]
    flips: list[Flip]

    @property
    def changed(self) -> int:
        """Comments whose action changes."""
        return sum(count for (before, after), count in self.actions.items() if before != after)


def tally(
    into: Tally,
    before: NDArray[np.float32],
    after: NDArray[np.float32],
    policies: tuple[Policy, Policy],
) -> list[tuple[str, str]]:
    """Add the scores of some comments to sums.

    Args:
        into: The sums.
        before: The active bundle's scores, shape (n, 7).
        after: The candidate's.
        policies: What decides by the one's scores, and by the other's.

    Returns:
        Both actions for each comment.
    """

    def add(attribute: str, measure: str, value: float, at: int = 0) -> None:
        key = (attribute, measure, int(at))  # a database takes no integers of numpy
        into[key] = into.get(key, 0.0) + float(value)

    moved = after.astype(np.float64) - before.astype(np.float64)
    add("", "comments", len(before))
    for at in np.searchsorted(EDGES, np.abs(moved).max(axis=1), side="right"):
        add("", "farthest", 1, at)
    whole = list(zip(_levels(policies[0], before), _levels(policies[1], after), strict=True))
    for one, other in whole:
        add("", "action", 1, one * len(ACTIONS) + other)
    for column, attribute in enumerate(ATTRIBUTES):
        add(attribute, "difference", moved[:, column].sum())
        add(attribute, "distance", np.abs(moved[:, column]).sum())
        alone = [Policy({attribute: policy.get(attribute, {})}) for policy in policies]
        steps = _levels(alone[1], after) - _levels(alone[0], before)
        add(attribute, "sterner", int((steps > 0).sum()))
        add(attribute, "milder", int((steps < 0).sum()))
    return [(ACTIONS[one], ACTIONS[other]) for one, other in whole]


def keep(
    connection: Connection, pair: Pair, sums: Tally, changed: Sequence[tuple[str, str, str]], *, now: datetime
) -> None:
    """Add sums to the day's, and keep the newest ids of comments that change.

    Args:
        connection: In a transaction that writes.
        pair: The bundles.
        sums: What came since the last time.
        changed: (item, the active's action, the candidate's action).
        now: When.
    """
    row = {"day": f"{now:%Y-%m-%d}", "active": pair.active, "candidate": pair.candidate}
    rows = [
        {**row, "attribute": attribute, "measure": measure, "bin": at, "value": value}
        for (attribute, measure, at), value in sums.items()
    ]
    more = _upserting(connection)(counts)
    more = more.on_conflict_do_update(
        index_elements=list(counts.primary_key.columns), set_={"value": counts.c.value + more.excluded.value}
    )
    if rows:
        connection.execute(more, rows)
    if changed:
        found = [
            {
                "at": now,
                "active": pair.active,
                "candidate": pair.candidate,
                "item": item,
                "before": a,
                "after": b,
            }
            for item, a, b in changed[-MOST_FLIPS:]
        ]
        connection.execute(insert(flips), found)
        newest = select(flips.c.number).where(*_of(flips, pair)).order_by(flips.c.number.desc())
        kept = newest.limit(MOST_FLIPS).scalar_subquery()
        connection.execute(delete(flips).where(*_of(flips, pair), flips.c.number.not_in(kept)))


def _upserting(connection: Connection) -> Any:
    """Return the database's own `insert`; imported here, for PostgreSQL's takes long and few need it."""
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as postgresql_insert

        return postgresql_insert
    from sqlalchemy.dialects.sqlite import insert as sqlite_insert

    return sqlite_insert


def compare(connection: Connection, pair: Pair, day: str | None = None) -> Comparison:
    """Return what the candidate would have done otherwise on a day (YYYY-MM-DD), or on all days with None."""
    query = select(
        counts.c.attribute, counts.c.measure, counts.c.bin, func.sum(counts.c.value).label("value")
    )
    query = query.where(*_of(counts, pair)).group_by(counts.c.attribute, counts.c.measure, counts.c.bin)
    if day is not None:
        query = query.where(counts.c.day == day)
    sums = {(row.attribute, row.measure, row.bin): row.value for row in connection.execute(query)}

    def value(attribute: str, measure: str, at: int = 0) -> float:
        return float(sums.get((attribute, measure, at), 0.0))

    comments = int(value("", "comments"))
    attributes = [
        Difference(
            a, value(a, "difference") / comments, value(a, "distance") / comments,
            int(value(a, "sterner")), int(value(a, "milder")),
        )
        for a in ATTRIBUTES if comments
    ]  # fmt: skip
    actions = {
        (before, after): int(value("", "action", i * len(ACTIONS) + j))
        for i, before in enumerate(ACTIONS)
        for j, after in enumerate(ACTIONS)
    }
    rows = connection.execute(select(flips).where(*_of(flips, pair)).order_by(flips.c.number.desc()))
    return Comparison(
        comments=comments,
        missed=int(value("", "missed")),
        attributes=attributes,
        actions=actions,
        farthest=[int(value("", "farthest", at)) for at in range(len(EDGES) + 1)],
        flips=[Flip(row.item, row.before, row.after, row.at) for row in rows],
    )


def last_active(connection: Connection, candidate: str) -> str:
    """Return the digest of the bundle that a candidate was last compared with, "" if with none yet."""
    query = select(counts.c.active).where(counts.c.candidate == candidate).order_by(counts.c.day.desc())
    return connection.execute(query.limit(1)).scalar() or ""


def forget(connection: Connection, candidate: str) -> None:
    """Remove all that is known of a candidate."""
    for table in (counts, flips):
        connection.execute(delete(table).where(table.c.candidate == candidate))


def _of(table: Table, pair: Pair) -> tuple[Any, Any]:
    return table.c.active == pair.active, table.c.candidate == pair.candidate


def _levels(policy: Policy, scores: NDArray[np.float32]) -> NDArray[np.intp]:
    return np.array([ACTIONS.index(action) for action in policy.actions(scores).tolist()], np.intp)
