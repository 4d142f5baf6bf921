"""Reports about comments: they bring them to people, and whoever reported one is told what was decided."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from giantkiller.desk.config import DeskSettings
from giantkiller.desk.errors import DeskError
from giantkiller.desk.events import lock, record
from giantkiller.desk.items import WAITING, cut, find_item, queue_first, version_of
from giantkiller.desk.policies import Judgement
from giantkiller.desk.tables import decisions, items, reports
from giantkiller.desk.telling import tell_reporter

REPORT_KINDS = ("notice", "trusted", "other")
"""By Art. 16 DSA, by a trusted flagger, or any other way."""


def report(
    connection: Connection,
    item_id: str,
    *,
    settings: DeskSettings,
    actor: str,
    now: datetime,
    reporter: str | None = None,
    reason: str | None = None,
    kind: str = "other",
) -> int:
    """Add a report about a comment; one that nobody has looked at comes into the queue.

    A comment that a person has allowed comes back once `reports_reopen` reports have come since. Before that,
    and where it was removed already, whoever reports it is told of the decision that holds.

    Returns:
        The report's number. The same reporter's second report of a version changes nothing.
    """
    if kind not in REPORT_KINDS:
        raise DeskError(f"a report's kind is one of {', '.join(REPORT_KINDS)}")
    lock(connection)
    item = find_item(connection, item_id)
    reporter = cut(reporter, 200)
    if reporter is not None:
        before = connection.execute(
            select(reports.c.number).where(
                reports.c.item == item.number,
                reports.c.version == item.version,
                reports.c.reporter == reporter,
            )
        ).scalar()
        if before is not None:
            return int(before)
    result = connection.execute(
        insert(reports).values(
            item=item.number, version=item.version, reporter=reporter, kind=kind,
            reason=cut(reason, 4000), created=now,
        )
    )  # fmt: skip
    number = int(result.inserted_primary_key[0])  # type: ignore[index]
    holds = _decision_that_holds(connection, item)
    reopened = item.state in ("allowed", "monitored") or (
        item.state == "approved" and _reports_since(connection, item, holds) >= settings.reports_reopen
    )
    state = "review" if reopened else item.state
    connection.execute(
        update(items)
        .where(items.c.number == item.number)
        .values(reports=item.reports + 1, state=state, updated=now)
    )
    record(connection, "reported", actor, now=now, item=item.number, report=number, kind=kind, state=state)
    version = version_of(connection, item.number, item.version)
    judgement = Judgement(version.action, version.attribute, version.score, "reported")
    if state in WAITING:
        queue_first(connection, item.number, state, version.scores, judgement, settings, now)
    elif holds is not None and reporter is not None:
        tell_reporter(
            connection, holds.number, item.number, number, settings=settings,
            not_before=max(now, holds.release), now=now,
        )  # fmt: skip
    return number


def _decision_that_holds(connection: Connection, item: Row[Any]) -> Row[Any] | None:
    return connection.execute(
        select(decisions).where(
            decisions.c.item == item.number,
            decisions.c.version == item.version,
            decisions.c.effective.is_(True),
        )
    ).first()


def _reports_since(connection: Connection, item: Row[Any], decision: Row[Any] | None) -> int:
    since = item.created if decision is None else decision.created
    return connection.execute(
        select(func.count())
        .select_from(reports)
        .where(reports.c.item == item.number, reports.c.created >= since)
    ).scalar_one()
