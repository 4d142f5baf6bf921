"""Statements for the DSA transparency database."""

import json
import re
import urllib.error
import urllib.request
from collections.abc import Sequence
from datetime import date, datetime, timezone
from typing import Any

from sqlalchemy import Connection, and_, select

from giantkiller.desk.rules import CATEGORIES, IN_THE_NOTE, KEYWORDS, read_rulebook
from giantkiller.desk.tables import decisions, items, reports, versions
from giantkiller.errors import UserError

MOST_POSTED = 100
"""Statements that the database takes at once."""

_ID = re.compile(r"[a-zA-Z0-9-_]{1,500}")
_DAY = re.compile(r"20[2-9]\d-\d\d-\d\d")
_TIMEOUT = 30
_ENUMS = {
    "decision_ground": ("DECISION_GROUND_ILLEGAL_CONTENT", "DECISION_GROUND_INCOMPATIBLE_CONTENT"),
    "category": tuple(f"STATEMENT_CATEGORY_{name}" for name in CATEGORIES),
    "source_type": (
        "SOURCE_ARTICLE_16",
        "SOURCE_TRUSTED_FLAGGER",
        "SOURCE_TYPE_OTHER_NOTIFICATION",
        "SOURCE_VOLUNTARY",
    ),
    "automated_detection": ("Yes", "No"),
    "automated_decision": (
        "AUTOMATED_DECISION_FULLY",
        "AUTOMATED_DECISION_PARTIALLY",
        "AUTOMATED_DECISION_NOT_AUTOMATED",
    ),
}
_LISTS = {
    "decision_visibility": ("DECISION_VISIBILITY_CONTENT_REMOVED", "DECISION_VISIBILITY_CONTENT_DISABLED"),
    "content_type": ("CONTENT_TYPE_TEXT",),
    "category_specification": tuple(f"KEYWORD_{name}" for name in KEYWORDS),
}
_LENGTHS = {
    "decision_facts": 5000,
    "illegal_content_legal_ground": 500,
    "illegal_content_explanation": 2000,
    "incompatible_content_ground": 500,
    "incompatible_content_explanation": 2000,
}


def statements(connection: Connection, since: date, until: date, *, now: datetime) -> list[dict[str, Any]]:
    """Return the removals that left the house in some days, as the transparency database takes them.

    They hold no personal data: no text, no author, no id of the platform.

    Args:
        connection: With one consistent view.
        since: First day.
        until: Last day.
        now: Decisions that can still be taken back are left out.

    Raises:
        UserError: If one breaks the database's rules; the message says which and how.
    """
    rows = connection.execute(
        select(decisions, items.c.community, items.c.posted, items.c.language, versions.c.why,
               versions.c.attribute, versions.c.score)
        .join(items, items.c.number == decisions.c.item)
        .join(
            versions,
            and_(versions.c.item == decisions.c.item, versions.c.version == decisions.c.version),
        )
        .where(
            decisions.c.outcome == "remove",
            decisions.c.kind.in_(("first", "final", "appeal", "automatic")),
            decisions.c.undone.is_(None),
            decisions.c.release <= now,
            decisions.c.release >= _midnight(since),
        )
        .order_by(decisions.c.number)
    ).all()  # fmt: skip
    made = []
    for row in rows:
        if row.release.date() > until or (row.kind in ("final", "appeal") and not _changed(row)):
            continue
        statement = _statement(connection, row)
        problems = check(statement)
        if problems:
            raise UserError(f"statement {statement['puid']}: {problems[0]}")
        made.append(statement)
    return made


def check(statement: dict[str, Any]) -> list[str]:
    """Return what in a statement breaks the rules of the transparency database."""
    problems = []
    for name, values in _ENUMS.items():
        if statement.get(name) not in values:
            problems.append(f"{name} is none of {', '.join(values)}")
    for name, values in _LISTS.items():
        given = statement.get(name, [] if name == "category_specification" else None)
        if not isinstance(given, list) or (name != "category_specification" and not given):
            problems.append(f"{name} is missing")
        elif set(given) - set(values):
            problems.append(f"{name} has other values than {', '.join(values)}")
    ground = statement.get("decision_ground")
    kind = "illegal_content" if ground == "DECISION_GROUND_ILLEGAL_CONTENT" else "incompatible_content"
    names = ["decision_facts", f"{kind}_explanation"]
    names.append("illegal_content_legal_ground" if kind == "illegal_content" else f"{kind}_ground")
    for name in names:
        if not 1 <= len(statement.get(name) or "") <= _LENGTHS[name]:
            problems.append(f"{name} has 1 to {_LENGTHS[name]} characters")
    for name in ("content_date", "application_date"):
        if not _DAY.fullmatch(str(statement.get(name))):
            problems.append(f"{name} is no day from 2020 on, YYYY-MM-DD")
    if not _ID.fullmatch(str(statement.get("puid", ""))):
        problems.append("puid has letters, digits, - and _ only")
    language = statement.get("content_language")
    if language is not None and not re.fullmatch("[A-Z]{2}", language):
        problems.append("content_language has two capital letters")
    return problems


def post(made: Sequence[dict[str, Any]], url: str, token: str) -> int:
    """Send statements to the transparency database, at most a hundred at a time.

    Returns:
        How many it took.

    Raises:
        UserError: If it refuses some; those before them were taken.
    """
    for begin in range(0, len(made), MOST_POSTED):
        body = json.dumps({"statements": made[begin : begin + MOST_POSTED]}).encode()
        request = urllib.request.Request(
            url,
            data=body,
            headers={
                "Authorization": f"Bearer {token}",
                "Content-Type": "application/json",
                "Accept": "application/json",
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT) as response:
                response.read()
        except urllib.error.HTTPError as error:
            with error:
                said = error.read(500).decode("utf-8", "replace")
            raise UserError(
                f"the transparency database answered {error.code} after {begin} statements: {said}"
            ) from None
        except (OSError, ValueError) as error:
            raise UserError(f"can't reach {url} after {begin} statements: {error}") from None
    return len(made)


def _changed(row: Any) -> bool:
    """Whether a second look or an appeal removed what was there: it superseded an approval."""
    return row.supersedes is not None


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=timezone.utc)


def _statement(connection: Connection, row: Any) -> dict[str, Any]:
    automatic = row.staff is None
    found = row.why in ("threshold", "watched")
    kinds = set(
        connection.execute(
            select(reports.c.kind).where(reports.c.item == row.item, reports.c.created <= row.created)
        ).scalars()
    )
    source = "SOURCE_VOLUNTARY"
    if not found:
        for kind, name in (
            ("trusted", "SOURCE_TRUSTED_FLAGGER"),
            ("notice", "SOURCE_ARTICLE_16"),
            ("other", "SOURCE_TYPE_OTHER_NOTIFICATION"),
        ):
            if kind in kinds:
                source = name
                break
    how = "Found by own screening" if found else "Reported by somebody" if kinds else "Found by the staff"
    who = "a program removed it by its score" if automatic else "a person read and removed it"
    statement: dict[str, Any] = {
        "decision_visibility": ["DECISION_VISIBILITY_CONTENT_REMOVED"],
        "content_type": ["CONTENT_TYPE_TEXT"],
        "content_date": row.posted,
        "application_date": row.release.date().isoformat(),
        "decision_facts": f"{how}; {who}.",
        "source_type": source,
        "automated_detection": "Yes" if found else "No",
        "automated_decision": "AUTOMATED_DECISION_FULLY" if automatic
        else "AUTOMATED_DECISION_NOT_AUTOMATED",
        "puid": f"desk-{row.id}",
    }  # fmt: skip
    if row.language[:2].isalpha() and row.language != "und":
        statement["content_language"] = row.language[:2].upper()
    return statement | (_by_policy(row) if row.rule is None else _by_rule(connection, row))


def _by_policy(row: Any) -> dict[str, Any]:
    """Return the ground of what a program removed by itself."""
    return {
        "decision_ground": "DECISION_GROUND_INCOMPATIBLE_CONTENT",
        "incompatible_content_ground": "House rules: no abusive language",
        "incompatible_content_explanation": (
            f"Scored {row.score:.2f} for {row.attribute.replace('_', ' ')} by a program, which the "
            "community's policy removes."
        ),
        "category": "STATEMENT_CATEGORY_OTHER_VIOLATION_TC",
    }


def _by_rule(connection: Connection, row: Any) -> dict[str, Any]:
    """Return the ground of what a person removed: the rule as it read then."""
    rule = read_rulebook(connection, row.community, row.rulebook).rule(row.rule)
    given: dict[str, Any] = {"category": f"STATEMENT_CATEGORY_{rule.category}"}
    if rule.keyword:
        given["category_specification"] = [f"KEYWORD_{rule.keyword}"]
    if rule.ground == "law":
        # The note itself may name somebody: it is between the desk and the author.
        named = "The provision that the author was told" if rule.legal == IN_THE_NOTE else rule.legal or ""
        return given | {
            "decision_ground": "DECISION_GROUND_ILLEGAL_CONTENT",
            "illegal_content_legal_ground": named[:500],
            "illegal_content_explanation": rule.text[:2000],
        }
    return given | {
        "decision_ground": "DECISION_GROUND_INCOMPATIBLE_CONTENT",
        "incompatible_content_ground": f"House rules: {rule.title}"[:500],
        "incompatible_content_explanation": rule.text[:2000],
    }
