"""Comments into the desk: from programs, from hooks, from a file."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from giantkiller.attributes import ATTRIBUTES
from giantkiller.bundle import Bundle
from giantkiller.desk.config import read_settings
from giantkiller.desk.current import current_policies
from giantkiller.desk.errors import DeskError
from giantkiller.desk.events import lock
from giantkiller.desk.items import LONGEST_TEXT, Comment, Submitted
from giantkiller.desk.policies import CommunityPolicy, Judgement, judge, read_policy, without_allowed
from giantkiller.desk.submitting import Submission, find_submitted, prepare, submit
from giantkiller.desk.work import in_thread, written_together
from giantkiller.screener import Screener
from giantkiller.serve.hooks.messages import remember
from giantkiller.serve.incoming import WAITING, Decided, Incoming, Intake
from giantkiller.serve.language import detect
from giantkiller.serve.native import model_name
from giantkiller.serve.service import Service
from giantkiller.store import Store, utc_now

LONGEST_ID = 200
"""Characters of a platform's own id."""

_TOGETHER = 256
_SHORT = 2000  # characters whose marks take less time than to hand them to a thread


@dataclass(frozen=True)
class Taken:
    """What a comment came to: its scores, what scored it, what that calls for, and what is kept of it."""

    scores: dict[str, float]
    bundle: Bundle
    judgement: Judgement
    submitted: Submitted | None


async def take(
    service: Service,
    comments: Sequence[Comment],
    *,
    actor: str,
    everything: bool = True,
    message: str | None = None,
) -> list[Taken]:
    """Score comments, judge them by their communities' policies, and keep them: all or none.

    Args:
        service: The service.
        comments: The comments.
        actor: Who submits.
        everything: Keep also those that call for nobody.
        message: The id of a signed message that carried them; the same one again changes nothing.

    Raises:
        ApiError: If there is no such community, or a comment to keep is too long.
    """
    communities = {comment.community for comment in comments}
    batcher = service.batcher
    screener = batcher.screener
    policies = await current_policies(service.store, communities, screener.policy)
    texts = [without_allowed(policies[comment.community], comment.text) for comment in comments]
    rows = (found := await batcher.scores(texts, offered=False)).astype(float).tolist()
    scored = [dict(zip(ATTRIBUTES, row, strict=True)) for row in rows]
    judged = [
        judge(policies[comment.community], scores, comment.text)
        for comment, scores in zip(comments, scored, strict=True)
    ]
    kept = [i for i, judgement in enumerate(judged) if everything or judgement.action in WAITING]
    model = model_name(screener.bundle)

    def prepared() -> list[Submission]:
        return [
            Submission(
                prepare(comments[i]), scored[i], judged[i], model, policies[comments[i].community].version,
                actor,
            )
            for i in kept
        ]  # fmt: skip

    done: dict[int, Submitted | None] = {}
    if kept:
        short = sum(len(comments[i].text) for i in kept) <= _SHORT
        delivery = Delivery(prepared() if short else await in_thread(prepared), message)
        done = dict(zip(kept, await written_together(service, keep, delivery), strict=True))
    _offer(service, screener, texts, found, [policies[comment.community] for comment in comments], done)
    return [
        Taken(scores, screener.bundle, judgement, done.get(i))
        for i, (scores, judgement) in enumerate(zip(scored, judged, strict=True))
    ]


@dataclass(frozen=True)
class Delivery:
    """Submissions that come together, and the id of the signed message that carried them."""

    submissions: Sequence[Submission]
    message: str | None = None


def keep(connection: Connection, deliveries: Sequence[Delivery]) -> list[list[Submitted | None]]:
    """Keep the comments of some deliveries, but for those whose message was taken already."""
    settings, now = read_settings(connection), utc_now()
    lock(connection)
    fresh = [one.message is None or remember(connection, one.message, now=now) for one in deliveries]
    first = [one for one, is_fresh in zip(deliveries, fresh, strict=True) if is_fresh]
    submissions = [submission for one in first for submission in one.submissions]
    kept = iter(submit(connection, submissions, settings=settings, now=now))
    return [
        [next(kept) if is_fresh else find_submitted(connection, s.prepared.comment) for s in one.submissions]
        for one, is_fresh in zip(deliveries, fresh, strict=True)
    ]


def _offer(
    service: Service,
    screener: Screener,
    texts: Sequence[str],
    rows: NDArray[np.float32],
    policies: Sequence[CommunityPolicy],
    done: Mapping[int, Submitted | None],
) -> None:
    """Let a candidate score them, too, by the communities' own thresholds where they have some."""
    ids = [kept.id if (kept := done.get(i)) else None for i in range(len(texts))]
    thresholds = [policy.thresholds if policy.version else None for policy in policies]
    service.shadow.offer(texts, rows, screener, ids, thresholds)


def intake_of(service: Service) -> Intake:
    """Return how hooks hand comments to the desk of a service."""

    async def intake(
        comments: Sequence[Incoming], *, community: str, source: str, everything: bool, message: str | None
    ) -> list[Decided]:
        ours = [
            Comment(
                text=one.text, community=community, external=one.external, author=one.author, url=one.url,
                parent=one.parent, title=one.title, source=source, posted=one.posted,
                language=one.language or detect(one.text).languages[0],
            )
            for one in comments
        ]  # fmt: skip
        taken = await take(service, ours, actor=f"hook:{source}", everything=everything, message=message)
        return [_decided(one) for one in taken]

    return intake


def _decided(taken: Taken) -> Decided:
    judgement, kept = taken.judgement, taken.submitted
    return Decided(
        judgement.action,
        judgement.attribute,
        judgement.score,
        taken.scores,
        taken.bundle,
        item=kept.id if kept else None,
        state=kept.state if kept else None,
    )


def submit_rows(
    store: Store, screener: Screener, rows: Iterable[Mapping[str, str]], community: str, source: str
) -> dict[str, int]:
    """Score comments of a file and submit them, some at a time; the same ones again change nothing.

    Args:
        store: The database.
        screener: What scores.
        rows: Each with a "text", and where there are such an "id", "author", "url" and "parent"; without an
            id, its place in the file is its id.
        community: Where they belong.
        source: The name of the file.

    Returns:
        How many came into each state; "known" counts those that were there already.

    Raises:
        UserError: If there is no such community, or a text is too long; what came before it is kept.
    """
    counts: dict[str, int] = {}
    model = model_name(screener.bundle)
    numbered = enumerate(rows, 1)
    while some := list(islice(numbered, _TOGETHER)):
        with store.read() as connection:
            policy = read_policy(connection, community, screener.policy)
        texts = [without_allowed(policy, row["text"][:LONGEST_TEXT]) for _, row in some]
        scored = screener.scores(texts).astype(float).tolist()
        submissions = []
        for (number, row), values in zip(some, scored, strict=True):
            comment = Comment(
                text=row["text"], community=community, external=_id_of(row, source, number),
                source=source[:64], author=row.get("author"), url=row.get("url"), parent=row.get("parent"),
                language=detect(row["text"]).languages[0],
            )  # fmt: skip
            scores = dict(zip(ATTRIBUTES, values, strict=True))
            judged = judge(policy, scores, comment.text)
            submissions.append(Submission(prepare(comment), scores, judged, model, policy.version, "command"))
        with store.write() as connection:
            done = submit(connection, submissions, settings=read_settings(connection), now=utc_now())
        for one in done:
            state = one.state if one.new else "known"
            counts[state] = counts.get(state, 0) + 1
    return counts


def _id_of(row: Mapping[str, str], source: str, number: int) -> str:
    """Return the platform's id of a comment, or the place where it stands in its file."""
    given = row.get("id", "").strip()
    if len(given) > LONGEST_ID:
        raise DeskError(f"the id of row {number} is longer than {LONGEST_ID} characters")
    return given or f"{source[:180]}:{number}"
