"""Decisions as labelled data: what training reads, one row a comment that people decided."""

import json
from collections.abc import Iterator
from datetime import datetime
from itertools import chain
from typing import Any, TextIO

from sqlalchemy import Connection, and_, func, or_, select

from giantkiller.attributes import ATTRIBUTES
from giantkiller.desk.rules import read_rulebook
from giantkiller.desk.tables import decisions, items, versions
from giantkiller.serve.feedback import feedback_table

KIND = "decision"
"""The `label_kind` of a decision made here."""

SUGGESTION = "suggestion"
"""The `label_kind` of what a client suggested, such as Coral of its moderators' decisions."""

_PAGE = 2000


def labelled(
    connection: Connection, *, now: datetime, community: str | None = None
) -> Iterator[dict[str, Any]]:
    """Yield a row for each comment that a person decided and whose text is still there.

    The decision that holds counts: one that a second look or an appeal has overturned appears as what it was
    corrected to, with `corrected` true. A removal under a rule that stands for an attribute sets that
    attribute and toxicity to 1; a removal under any other rule (spam, off the topic) says nothing of the
    attributes; an approval sets toxicity and the attribute that called for a look to 0. Attributes that
    nobody judged are missing (null), and never train.

    Args:
        connection: With one consistent view.
        now: Decisions that can still be taken back are left out.
        community: Of this one only.
    """
    rules: dict[tuple[str, int], dict[str, str | None]] = {}
    last = 0
    while page := connection.execute(_query(community, now, last)).all():
        for row in page:
            yield _row(connection, row, rules)
        last = page[-1].number


def suggested(connection: Connection, *, community: str | None = None) -> Iterator[dict[str, Any]]:
    """Yield a row for each comment whose scores a client suggested (`comments:suggestscore`), oldest first.

    Those whose text was purged are left out.

    Of suggestions for one comment of one community, by the client's token, the last one counts.

    Args:
        connection: With one consistent view.
        community: As the client named it; of this one only.
    """
    table = feedback_table
    last_ones = select(func.max(table.c.number)).group_by(
        table.c.source, table.c.community, table.c.client_token
    )
    counts = or_(table.c.client_token.is_(None), table.c.number.in_(last_ones))
    query = select(table).where(counts, table.c.text != "").order_by(table.c.number).limit(_PAGE)
    if community is not None:
        query = query.where(table.c.community == community)
    last = 0
    while page := connection.execute(query.where(table.c.number > last)).all():
        for row in page:
            yield {
                "text": row.text,
                **{attribute: row.scores.get(attribute) for attribute in ATTRIBUTES},
                "label_kind": SUGGESTION,
                "community": row.community,
                "source": row.source,
                "decided": row.received.isoformat(),
                "client_token": row.client_token,
            }
        last = page[-1].number


def write_labelled(
    connection: Connection,
    file: TextIO,
    *,
    now: datetime,
    community: str | None = None,
    suggestions: bool = False,
) -> int:
    """Write the rows as JSON Lines; return how many.

    Args:
        connection: With one consistent view.
        file: An open text file.
        now: The moment.
        community: Of this one only.
        suggestions: Then also what clients suggested.
    """
    count = 0
    rows = labelled(connection, now=now, community=community)
    more = suggested(connection, community=community) if suggestions else ()
    for row in chain(rows, more):
        file.write(json.dumps(row, ensure_ascii=False) + "\n")
        count += 1
    return count


def _query(community: str | None, now: datetime, last: int) -> Any:
    query = (
        select(decisions, items.c.id.label("item_id"), items.c.community, items.c.language, items.c.source,
               versions.c.text, versions.c.scores, versions.c.action, versions.c.attribute, versions.c.model)
        .join(items, items.c.number == decisions.c.item)
        .join(
            versions,
            and_(versions.c.item == decisions.c.item, versions.c.version == decisions.c.version),
        )
        .where(
            decisions.c.number > last,
            decisions.c.effective.is_(True),
            decisions.c.staff.is_not(None),
            decisions.c.release <= now,
            versions.c.text.is_not(None),
        )
        .order_by(decisions.c.number)
        .limit(_PAGE)
    )  # fmt: skip
    return query.where(items.c.community == community) if community else query


def _row(
    connection: Connection, row: Any, rules: dict[tuple[str, int], dict[str, str | None]]
) -> dict[str, Any]:
    targets: dict[str, float | None] = dict.fromkeys(ATTRIBUTES)
    if row.outcome == "allow":
        targets["toxicity"] = 0.0
        targets[row.attribute] = 0.0
    else:
        book = (row.community, row.rulebook)
        if book not in rules:
            rules[book] = {r.id: r.attribute for r in read_rulebook(connection, *book).rules}
        attribute = rules[book].get(row.rule)
        if attribute is not None:
            targets["toxicity"] = targets[attribute] = 1.0
    return {
        "text": row.text,
        **targets,
        "label_kind": KIND,
        "outcome": row.outcome,
        "rule": row.rule,
        "corrected": row.supersedes is not None,
        "decided_by": row.kind,
        "decided": row.created.isoformat(),
        "item": row.item_id,
        "community": row.community,
        "language": row.language,
        "source": row.source,
        "machine_action": row.action,
        "machine_attribute": row.attribute,
        "model": row.model,
        **{f"score_{attribute}": row.scores.get(attribute) for attribute in ATTRIBUTES},
    }
