"""What the lead's page counts: the backlog, the pace, and how far scores have moved."""

import itertools
from collections.abc import Sequence
from datetime import datetime, timedelta
from html import escape
from typing import TYPE_CHECKING, Any, TypedDict

from markupsafe import Markup
from sqlalchemy import Column, ColumnElement, Connection, String, bindparam, func, select

from giantkiller.attributes import ATTRIBUTES
from giantkiller.desk.queue import KINDS
from giantkiller.desk.tables import decisions, items, tasks, versions

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_SAMPLED = 2000  # comments of a span by which scores are compared: chance alone moves the index by 0.01
_TOGETHER = 500
_BINS = 10
_HOURS = (1, 4, 24, 72, 24 * 7)

AGES = (*(f"up to {hours} h" for hours in _HOURS), f"over {_HOURS[-1]} h")
"""By which what waits is counted."""

BY_PEOPLE = ("first", "second", "final", "known", "appeal")
"""Kinds of decisions that people make."""


class AgeRow(TypedDict):
    """How much of what waits is of one age."""

    age: str
    waiting: int


class HourRow(TypedDict):
    """How many comments came and how many decisions were made in one hour."""

    hour: str
    came: int
    decided: int


class DriftRow(TypedDict):
    """How far an attribute's scores have moved; None where there are too few comments to say."""

    attribute: str
    index: float | None
    mean: float | None
    mean_before: float | None


def backlog(connection: Connection, *, now: datetime) -> list[AgeRow]:
    """Count what waits by age."""
    edges = [now, *(now - timedelta(hours=hours) for hours in _HOURS)]
    created = tasks.c.created
    counts = [
        func.count().filter(created <= upper, *([created > lower] if lower else []))
        for upper, lower in itertools.zip_longest(edges, edges[1:])
    ]
    kinds = [kind for kind in KINDS if kind != "known"]
    row = connection.execute(select(*counts).where(tasks.c.open.is_(True), tasks.c.kind.in_(kinds))).one()
    return [{"age": label, "waiting": count} for label, count in zip(AGES, row, strict=True)]


def per_hour(connection: Connection, hours: int, *, now: datetime) -> list[HourRow]:
    """Count comments that came and decisions that were made in each of the last hours, oldest first."""
    last = now.replace(minute=0, second=0, microsecond=0)
    begins = [last - timedelta(hours=hours) for hours in reversed(range(hours))]
    came = _counts(connection, begins, items.c.created)
    made = _counts(connection, begins, decisions.c.created, decisions.c.kind.in_(BY_PEOPLE))
    return [
        {"hour": f"{begin:%Y-%m-%d %H}:00", "came": one, "decided": other}
        for begin, one, other in zip(begins, came, made, strict=True)
    ]


def _counts(
    connection: Connection,
    begins: Sequence[datetime],
    column: "Column[Any]",
    *conditions: ColumnElement[bool],
) -> list[int]:
    """Count rows in each hour. An index alone answers each question; grouped, all would have to be sorted."""
    count = select(func.count()).where(column >= bindparam("begin"), column < bindparam("end"), *conditions)
    hour = timedelta(hours=1)
    return [connection.execute(count, {"begin": begin, "end": begin + hour}).scalar_one() for begin in begins]


def spelled(connection: Connection, column: "Column[Any]", letters: int) -> "ColumnElement[str]":
    """Return an expression for the first letters of a moment, which is written like 2026-11-24 13, in UTC."""
    if connection.dialect.name == "postgresql":
        return func.to_char(func.timezone("UTC", column), "YYYY-MM-DD HH24"[: letters + 2 * (letters > 11)])
    return func.substr(column, 1, letters, type_=String)  # SQLite keeps moments as such texts


def drift(connection: Connection, *, now: datetime) -> list[DriftRow]:
    """Compare the scores of the last 7 days with those of the 23 days before.

    The index is the sum over ten bins of (now - before) * log(now / before): below 0.1 is calm, above 0.25 a
    shift.
    """
    import numpy as np

    week, month = now - timedelta(days=7), now - timedelta(days=30)
    recent = _sampled_scores(connection, week, now + timedelta(seconds=1))
    before = _sampled_scores(connection, month, week)
    table: list[DriftRow] = []
    for i, attribute in enumerate(ATTRIBUTES):
        index = None
        if len(recent) >= 100 and len(before) >= 100:
            a, b = (np.histogram(part[:, i], _BINS, (0, 1))[0] + 0.5 for part in (recent, before))
            a, b = a / a.sum(), b / b.sum()
            index = round(float(((a - b) * np.log(a / b)).sum()), 4)
        table.append(
            {"attribute": attribute, "index": index, "mean": _mean(recent[:, i]),
             "mean_before": _mean(before[:, i])}
        )  # fmt: skip
    return table


def _sampled_scores(connection: Connection, since: datetime, until: datetime) -> "NDArray[np.float64]":
    """Return the scores of all comments of a span, or of `_SAMPLED` that are spread over it evenly."""
    import numpy as np

    table = versions
    within = (table.c.created >= since, table.c.created < until)
    by_time = select(table.c.number).where(*within).limit(1)
    first = connection.execute(by_time.order_by(table.c.created)).scalar()
    last = connection.execute(by_time.order_by(table.c.created.desc())).scalar()
    rows: list[list[float]] = []
    if first is not None and last is not None:
        numbers = np.unique(np.linspace(first, last, _SAMPLED).round().astype(int)).tolist()
        for begin in range(0, len(numbers), _TOGETHER):
            some = table.c.number.in_(numbers[begin : begin + _TOGETHER])
            for scores in connection.execute(select(table.c.scores).where(some, *within)).scalars():
                rows.append([scores.get(attribute, 0.0) for attribute in ATTRIBUTES])
    return np.array(rows, float).reshape(-1, len(ATTRIBUTES))


def line_chart(title: str, series: Sequence[tuple[str, Sequence[float]]], labels: Sequence[str]) -> Markup:
    """Draw one or two lines as an SVG element; its title and description say what it shows.

    Args:
        title: What is shown.
        series: A name and its values, each as many as labels.
        labels: Of the horizontal axis; the first, middle and last are written.
    """
    width, height, left, bottom = 720, 220, 44, 30
    most = max([1.0, *(value for _, values in series for value in values)])
    count = max(len(labels) - 1, 1)

    def at(i: int, value: float) -> str:
        x = left + (width - left - 12) * i / count
        y = 28 + (height - 28 - bottom) * (1 - value / most)
        return f"{x:.1f},{y:.1f}"

    parts = [_axes(width, height, left, bottom, most)]
    for n, (name, values) in enumerate(series):
        points = " ".join(at(i, value) for i, value in enumerate(values))
        kind = "line two" if n else "line"
        parts.append(f'<polyline class="{kind}" points="{points}"/>')
        start = left + 150 * n
        parts.append(f'<line class="{kind}" x1="{start}" y1="12" x2="{start + 20}" y2="12"/>')
        parts.append(f'<text x="{start + 26}" y="16">{escape(name)}</text>')
    for i, anchor in ((0, "start"), (count // 2, "middle"), (count, "end")):
        if i < len(labels):
            x = left + (width - left - 12) * i / count
            parts.append(
                f'<text x="{x:.1f}" y="{height - 8}" text-anchor="{anchor}">{escape(labels[i])}</text>'
            )
    said = "; ".join(f"{name}: {sum(values):g}" for name, values in series)
    return _svg(title, said, width, height, parts)


def bar_chart(title: str, labels: Sequence[str], values: Sequence[float]) -> Markup:
    """Draw horizontal bars as an SVG element."""
    width, row, left = 720, 26, 150
    height = row * max(len(labels), 1) + 8
    most = max([1e-9, *values])
    parts = []
    for i, (label, value) in enumerate(zip(labels, values, strict=True)):
        y = 4 + i * row
        long = (width - left - 80) * value / most
        parts.append(f'<text x="{left - 8}" y="{y + 17}" text-anchor="end">{escape(label)}</text>')
        parts.append(f'<rect class="bar" x="{left}" y="{y + 3}" width="{long:.1f}" height="{row - 8}"/>')
        parts.append(f'<text x="{left + long + 6:.1f}" y="{y + 17}">{value:g}</text>')
    said = "; ".join(f"{label}: {value:g}" for label, value in zip(labels, values, strict=True))
    return _svg(title, said, width, height, parts)


def standalone_bars(title: str, labels: Sequence[str], values: Sequence[float]) -> str:
    """Draw horizontal bars as an SVG file."""
    style = "<style>text{font:12px sans-serif}.bar{fill:#0b57a4}</style>"
    chart = str(bar_chart(title, labels, values)).replace("<title>", style + "<title>", 1)
    return chart.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)


def _axes(width: int, height: int, left: int, bottom: int, most: float) -> str:
    base = height - bottom
    return (
        f'<line class="axis" x1="{left}" y1="{base}" x2="{width - 12}" y2="{base}"/>'
        f'<line class="axis" x1="{left}" y1="28" x2="{left}" y2="{base}"/>'
        f'<text x="{left - 6}" y="34" text-anchor="end">{most:g}</text>'
        f'<text x="{left - 6}" y="{base}" text-anchor="end">0</text>'
    )


def _svg(title: str, said: str, width: int, height: int, parts: Sequence[str]) -> Markup:
    # Every text in it was escaped above.
    return Markup(
        f'<svg class="chart" viewBox="0 0 {width} {height}" role="img">'
        f"<title>{escape(title)}</title><desc>{escape(said)}</desc>{''.join(parts)}</svg>"
    )


def _mean(values: Any) -> float | None:
    return round(float(values.mean()), 4) if len(values) else None
