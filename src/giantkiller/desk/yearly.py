"""The year's counts that Art. 15 and 24 of the DSA ask for, and the report that shows them."""

import calendar
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from typing import Any

from jinja2 import Environment
from markupsafe import Markup
from sqlalchemy import ColumnElement, Connection, Row, and_, func, select

from giantkiller.desk.figures import bar_chart, line_chart, spelled
from giantkiller.desk.rules import Rule, Rulebook, read_rulebook
from giantkiller.desk.tables import appeals, decisions, items, reports, statements, versions

FIRST_YEAR, LAST_YEAR = 2000, 9000
"""The years that a report can be of."""

_MADE = ("first", "automatic", "final")

LABELS = {
    "notices": "Notices and reports, by kind",
    "notices_removed": "Reported comments that were removed",
    "notices_removed_by_ground": "Of these, by ground",
    "notices_automatic": "Of these, by a program alone",
    "notices_median_hours": "Median hours from a report to the decision",
    "decisions": "Decisions",
    "people": "People who decided",
    "removals": "Removals",
    "removals_by_detection": "How they were found",
    "removals_by_ground": "By ground",
    "removals_by_category": "By category of the transparency database",
    "removals_by_rule": "By rule",
    "removals_by_language": "By language",
    "removals_by_community": "By community",
    "removals_overturned": "Overturned since",
    "appeals": "Appeals",
    "appeals_by_complainant": "By whom",
    "appeals_by_state": "How they ended",
    "appeals_median_hours": "Median hours to the answer",
    "removals_automatic": "Removals by a program alone",
    "automation_error_share": "Share of these that people overturned",
    "flagged": "Comments that a program sent to people, decided",
    "flagged_allowed": "Of these, allowed by people",
    "flagged_allowed_share": "As a share: how often the program was wrong",
}
"""What each count is called on a page."""

SECTIONS: dict[str, tuple[str, ...]] = {
    "Notices and reports (Art. 15(1)(b))": tuple(name for name in LABELS if name.startswith("notices")),
    "Moderation on one's own initiative (Art. 15(1)(c))": (
        "decisions",
        "people",
        *(name for name in LABELS if name.startswith("removals") and name != "removals_automatic"),
    ),
    "Appeals (Art. 15(1)(d))": tuple(name for name in LABELS if name.startswith("appeals")),
    "Automated means (Art. 15(1)(e))": (
        "removals_automatic",
        "automation_error_share",
        "flagged",
        "flagged_allowed",
        "flagged_allowed_share",
    ),
}
"""The report's tables."""

BY_HAND = (
    "Orders of authorities (Art. 15(1)(a))",
    "Training and assistance of the people who decide (Art. 15(1)(c))",
    "Disputes before out-of-court bodies (Art. 24(1)(a))",
    "Suspensions for misuse (Art. 23, 24(1)(b))",
)
"""What the law asks for and no desk knows."""


@dataclass(frozen=True)
class Within:
    """A year, as a condition on a moment."""

    begin: datetime
    end: datetime

    def __call__(self, column: Any) -> ColumnElement[bool]:
        """Return the condition that a column lies in the year."""
        return and_(column >= self.begin, column < self.end)


@dataclass(frozen=True)
class Notices:
    """Reports by kind, and the first decision that each led to within the year."""

    notices: dict[str, int]
    notices_removed: int
    notices_removed_by_ground: dict[str, int]
    notices_automatic: int
    notices_median_hours: float | None


@dataclass(frozen=True)
class Moderation:
    """Decisions, the people who made them, and the removals among them by what a report tells apart."""

    decisions: int
    people: int
    removals: int
    removals_automatic: int
    removals_overturned: int
    removals_by_detection: dict[str, int]
    removals_by_ground: dict[str, int]
    removals_by_category: dict[str, int]
    removals_by_rule: dict[str, int]
    removals_by_language: dict[str, int]
    removals_by_community: dict[str, int]
    removals_by_month: dict[str, int]


@dataclass(frozen=True)
class Appeals:
    """Appeals that were filed in the year, and how they ended."""

    appeals: int
    appeals_by_state: dict[str, int]
    appeals_by_complainant: dict[str, int]
    appeals_by_month: dict[str, int]
    appeals_median_hours: float | None


@dataclass(frozen=True)
class Automation:
    """How often people found a program wrong, in what it removed and in what it sent to them."""

    automation_error_share: float | None
    flagged: int
    flagged_allowed: int
    flagged_allowed_share: float | None


@dataclass(frozen=True)
class Year:
    """The counts of one year; hours and shares are None where nothing was counted.

    The parts' fields are named as in JSON and CSV, where all of them stand side by side.
    """

    year: int
    notices: Notices
    moderation: Moderation
    appeals: Appeals
    automation: Automation

    def to_dict(self) -> dict[str, Any]:
        """Return the counts by name, as JSON has them."""
        parts = (self.notices, self.moderation, self.appeals, self.automation)
        return {"year": self.year} | {name: count for part in parts for name, count in asdict(part).items()}


@dataclass(frozen=True)
class Count:
    """One row of the year's table: what was counted, which part of it, how much."""

    count: str
    part: str
    value: int | float | None


def count_year(connection: Connection, year: int) -> Year:
    """Count what happened in a year."""
    within = Within(datetime(year, 1, 1, tzinfo=timezone.utc), datetime(year + 1, 1, 1, tzinfo=timezone.utc))
    made = _decisions(connection, within)
    people = connection.execute(
        select(func.count(decisions.c.staff.distinct())).where(*_made(within))
    ).scalar_one()
    books = _Books(connection)
    return Year(
        year,
        _notices(connection, within, books),
        _moderation(made, people, books, year),
        _appeals(connection, within, year),
        _automation(made),
    )


def rows_of(year: Year) -> list[Count]:
    """Return the counts as the rows of a table."""
    rows = []
    for name, value in year.to_dict().items():
        parts = value.items() if isinstance(value, dict) else [("", value)]
        rows += [Count(name, part, number) for part, number in parts]
    return rows


def charts_of(year: Year, say: Callable[[str], str]) -> dict[str, Markup]:
    """Draw the year's months and its removals by rule; `say` translates."""
    removed, appealed = year.moderation.removals_by_month, year.appeals.appeals_by_month
    rules = year.moderation.removals_by_rule or {"–": 0}
    lines = [(say("removals"), list(removed.values())), (say("appeals"), list(appealed.values()))]
    return {
        "months": line_chart(say("Removals and appeals by month"), lines, list(removed)),
        "rules": bar_chart(say("Removals by rule"), list(rules), list(rules.values())),
    }


def report_page(environment: Environment, year: Year, translate: Callable[..., str], language: str) -> str:
    """Make a report as one HTML file, without scripts and without anything from elsewhere.

    Args:
        environment: Of the templates.
        year: Its counts.
        translate: Translates a text of the catalogue.
        language: Into which.
    """
    charts = charts_of(year, translate)
    return environment.get_template("year_file.html").render(
        counts=year.to_dict(), charts=charts, sections=SECTIONS, labels=LABELS, by_hand=BY_HAND, _=translate,
        lang=language,
    )  # fmt: skip


def _made(within: Within) -> list[ColumnElement[bool]]:
    return [within(decisions.c.created), decisions.c.undone.is_(None), decisions.c.kind.in_(_MADE)]


def _decisions(connection: Connection, within: Within) -> Sequence[Row[Any]]:
    """Return the decisions of the year counted by all that the report tells apart: few rows for many."""
    parts = (
        decisions.c.kind, decisions.c.outcome, decisions.c.rule, decisions.c.rulebook, decisions.c.overturned,
        items.c.community, items.c.language, versions.c.why, decisions.c.staff.is_(None).label("automatic"),
        (items.c.reports > 0).label("reported"), spelled(connection, decisions.c.created, 7).label("month"),
    )  # fmt: skip
    return connection.execute(
        select(*parts, func.count().label("total"))
        .join(items, items.c.number == decisions.c.item)
        .join(versions, and_(versions.c.item == decisions.c.item, versions.c.version == decisions.c.version))
        .where(*_made(within))
        .group_by(*parts[:-3], "automatic", "reported", "month")
    ).all()


def _notices(connection: Connection, within: Within, books: "_Books") -> Notices:
    """Count reports, and the first decision that each led to within the year."""
    filed = connection.execute(
        select(reports.c.item, reports.c.kind, reports.c.created)
        .where(within(reports.c.created))
        .order_by(reports.c.number)
    ).all()
    reported = select(reports.c.item).where(within(reports.c.created))
    decided: dict[int, list[Row[Any]]] = {}
    for row in connection.execute(
        select(decisions, items.c.community)
        .join(items, items.c.number == decisions.c.item)
        .where(*_made(within), decisions.c.item.in_(reported))
        .order_by(decisions.c.number)
    ):
        decided.setdefault(row.item, []).append(row)
    hours, ended = [], {}
    for report in filed:
        after = next((row for row in decided.get(report.item, ()) if row.created >= report.created), None)
        if after is not None:
            hours.append((after.created - report.created).total_seconds() / 3600)
            ended[report.item] = after
    removed = [row for row in ended.values() if row.outcome == "remove"]
    return Notices(
        notices=_counted((row.kind, 1) for row in filed),
        notices_removed=len(removed),
        notices_removed_by_ground=_counted((books.of(row).ground, 1) for row in removed),
        notices_automatic=sum(row.staff is None for row in removed),
        notices_median_hours=_median(hours),
    )


def _moderation(made: Sequence[Row[Any]], people: int, books: "_Books", year: int) -> Moderation:
    removed = [row for row in made if row.outcome == "remove"]
    return Moderation(
        decisions=_total(made),
        people=people,
        removals=_total(removed),
        removals_automatic=_total(row for row in removed if row.automatic),
        removals_overturned=_total(row for row in removed if row.overturned),
        removals_by_detection=_counted((_found(row), row.total) for row in removed),
        removals_by_ground=_counted((books.of(row).ground, row.total) for row in removed),
        removals_by_category=_counted((books.of(row).category, row.total) for row in removed),
        removals_by_rule=_counted((row.rule or "automatic", row.total) for row in removed),
        removals_by_language=_counted((row.language, row.total) for row in removed),
        removals_by_community=_counted((row.community, row.total) for row in removed),
        removals_by_month=_by_month(year, ((row.month, row.total) for row in removed)),
    )


def _automation(made: Sequence[Row[Any]]) -> Automation:
    automatic = [row for row in made if row.outcome == "remove" and row.automatic]
    flagged = [row for row in made if row.kind == "first" and row.why in ("threshold", "watched")]
    allowed = _total(row for row in flagged if row.outcome == "allow")
    return Automation(
        automation_error_share=_share(_total(row for row in automatic if row.overturned), automatic),
        flagged=_total(flagged),
        flagged_allowed=allowed,
        flagged_allowed_share=_share(allowed, flagged),
    )


def _appeals(connection: Connection, within: Within, year: int) -> Appeals:
    filed = connection.execute(
        select(appeals.c.state, appeals.c.created, appeals.c.decided, statements.c.audience)
        .join(statements, statements.c.number == appeals.c.statement)
        .where(within(appeals.c.created))
    ).all()
    hours = [(row.decided - row.created).total_seconds() / 3600 for row in filed if row.decided]
    return Appeals(
        appeals=len(filed),
        appeals_by_state=_counted((row.state, 1) for row in filed),
        appeals_by_complainant=_counted((row.audience, 1) for row in filed),
        appeals_by_month=_by_month(year, ((f"{row.created:%Y-%m}", 1) for row in filed)),
        appeals_median_hours=_median(hours),
    )


class _Books:
    """Rules as they read when they were named; each version of a book is read once."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._read: dict[tuple[str, int], Rulebook] = {}

    def of(self, decision: Row[Any]) -> Rule:
        if decision.rule is None:  # a program removed it by the community's policy
            return Rule("automatic", "", "")
        key = (decision.community, decision.rulebook)
        if key not in self._read:
            self._read[key] = read_rulebook(self._connection, *key)
        return self._read[key].rule(decision.rule)


def _found(row: Row[Any]) -> str:
    return "machine" if row.why in ("threshold", "watched") else "report" if row.reported else "own"


def _total(rows: Iterable[Row[Any]]) -> int:
    return sum(row.total for row in rows)


def _counted(values: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Add up numbers by name, the largest first."""
    counts = Counter[str]()
    for name, number in values:
        counts[name] += number
    return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))


def _by_month(year: int, values: Iterable[tuple[str, int]]) -> dict[str, int]:
    counts = _counted(values)
    months = [f"{year}-{month:02}" for month in range(1, len(calendar.month_name))]
    return {month: counts.get(month, 0) for month in months}


def _median(values: list[float]) -> float | None:
    return round(sorted(values)[len(values) // 2], 2) if values else None


def _share(part: int, rows: Sequence[Row[Any]]) -> float | None:
    return round(part / _total(rows), 4) if rows else None
