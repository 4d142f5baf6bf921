"""What a policy would have done with the comments of the last days."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypedDict

from sqlalchemy import Connection, func, select

from giantkiller.desk.policies import CommunityPolicy, judge, phrase_pattern, without_allowed
from giantkiller.desk.tables import items, versions
from giantkiller.policy import ACTIONS

PREVIEW_DAYS = 30
MOST_PREVIEWED = 20_000
"""Comments of those days that a preview looks at, newest first."""

MOST_RESCORED = 2_000
"""Comments with an allowed phrase that a preview scores anew, newest first."""

Scorer = Callable[[Sequence[str]], Sequence[Mapping[str, float]]]
"""Texts to scores by attribute."""


class Changed(TypedDict):
    """A comment that two policies call different actions for."""

    item: int
    text: str | None
    now: str
    then: str


@dataclass(frozen=True)
class Preview:
    """What a policy would have done with the comments of the last days.

    Attributes:
        days: Days that the comments come from.
        comments: How many were looked at.
        now: Counts by action under the policy in force.
        then: Counts by action under the new one.
        changed: Up to 20 of those whose action differs.
        phrases: How many comments have each phrase of the new policy's lists, the most frequent first.
        stale: Comments with an allowed phrase whose scores are still those of the policy of their day,
            because a preview scores `MOST_RESCORED` anew at most.
    """

    days: float
    comments: int
    now: dict[str, int]
    then: dict[str, int]
    changed: list[Changed]
    phrases: dict[str, int] = field(default_factory=dict)
    stale: int = 0

    def per_day(self, action: str) -> tuple[float, float]:
        """Return how many comments a day get an action: now, then."""
        return self.now[action] / self.days, self.then[action] / self.days


def preview(
    connection: Connection,
    community: str,
    old: CommunityPolicy,
    new: CommunityPolicy,
    *,
    now: datetime,
    scorer: Scorer | None = None,
) -> Preview:
    """Compare two policies on the comments of the last 30 days.

    Args:
        connection: To read by.
        community: Whose comments.
        old: The policy in force.
        new: The one that may follow.
        now: The moment.
        scorer: Scores texts anew that have a phrase which either policy allows; the scores stored with the
            comments count without it, and for all the others.
    """
    begin = now - timedelta(days=PREVIEW_DAYS)
    rows = connection.execute(
        select(versions.c.item, versions.c.text, versions.c.scores, versions.c.created)
        .join(items, items.c.number == versions.c.item)
        .where(items.c.community == community, versions.c.created >= begin)
        .order_by(versions.c.created.desc())
        .limit(MOST_PREVIEWED)
    ).all()
    both = [[row.scores for row in rows], [row.scores for row in rows]]
    stale = _score_anew(rows, (old, new), both, scorer)
    counts = [dict.fromkeys(ACTIONS, 0), dict.fromkeys(ACTIONS, 0)]
    changed: list[Changed] = []
    for i, row in enumerate(rows):
        actions = [judge(p, both[n][i], row.text or "").action for n, p in enumerate((old, new))]
        for count, action in zip(counts, actions, strict=True):
            count[action] += 1
        if actions[0] != actions[1] and len(changed) < 20:
            changed.append({"item": row.item, "text": row.text, "now": actions[0], "then": actions[1]})
    full = len(rows) == MOST_PREVIEWED
    first = connection.execute(select(func.min(items.c.created)).where(items.c.community == community))
    oldest = rows[-1].created if full else max(begin, first.scalar() or now)
    days = max((now - oldest).total_seconds() / 86_400, 1.0)
    return Preview(days, len(rows), counts[0], counts[1], changed, _frequencies(rows, new), stale)


def _score_anew(
    rows: Sequence[Any],
    pair: tuple[CommunityPolicy, CommunityPolicy],
    both: list[list[Mapping[str, float]]],
    scorer: Scorer | None,
) -> int:
    """Put the scores that each policy's allowed phrases make into `both`; return how many it left as is."""
    phrases = tuple(dict.fromkeys((*pair[0].allowed, *pair[1].allowed)))
    if not phrases:
        return 0
    found = [i for i, row in enumerate(rows) if row.text and phrase_pattern(phrases).search(row.text)]
    chosen = found[:MOST_RESCORED] if scorer is not None else []
    for scores, policy in zip(both, pair, strict=True):
        if chosen and scorer is not None:
            anew = scorer([without_allowed(policy, rows[i].text) for i in chosen])
            for i, values in zip(chosen, anew, strict=True):
                scores[i] = values
    return len(found) - len(chosen)


def _frequencies(rows: Sequence[Any], policy: CommunityPolicy) -> dict[str, int]:
    """Count the comments that have each phrase of a policy's lists."""
    counts = Counter[str]()
    for phrases in (policy.allowed, policy.watched):
        if phrases:
            known = {phrase.casefold(): phrase for phrase in phrases}
            for row in rows:
                counts.update(
                    {known.get(m.casefold(), m) for m in phrase_pattern(phrases).findall(row.text or "")}
                )
            counts.update(dict.fromkeys(phrases, 0))
    return dict(counts.most_common())
