"""What platforms send to a hook, and what becomes of it: by the bundle's policy, or by the desk's."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from giantkiller.attributes import ATTRIBUTES
from giantkiller.bundle import Bundle
from giantkiller.policy import FLAGGED
from giantkiller.serve.errors import ApiError

if TYPE_CHECKING:
    from giantkiller.serve.service import Service

LONGEST_TEXT = 20_480
"""Characters of a comment that are read; a hook cuts what is longer."""

WAITING = FLAGGED
"""Actions that a person has to look at."""


@dataclass(frozen=True)
class Incoming:
    """A comment as a platform sends it.

    Attributes:
        text: What was written.
        external: The platform's own id; the same one with another text is an edit.
        author: A pseudonym, the same for the same person.
        url: Where the comment stands.
        parent: The text that it answers.
        title: Of the page.
        language: A language tag; detected if None.
        posted: The day, YYYY-MM-DD; the day of its arrival if None.
    """

    text: str
    external: str | None = None
    author: str | None = None
    url: str | None = None
    parent: str | None = None
    title: str | None = None
    language: str | None = None
    posted: str | None = None


@dataclass(frozen=True)
class Decided:
    """What a comment came to.

    Attributes:
        action: One of `ACTIONS`.
        attribute: The one whose score called for it.
        score: Its score.
        scores: By attribute.
        bundle: What scored.
        item: The desk's id of the comment; None where the desk did not keep it.
        state: The desk's state of the comment; None likewise.
    """

    action: str
    attribute: str
    score: float
    scores: dict[str, float]
    bundle: Bundle
    item: str | None = None
    state: str | None = None


class Intake(Protocol):
    """How comments come into the desk; `Service.intake` has the desk's."""

    async def __call__(
        self,
        comments: Sequence[Incoming],
        *,
        community: str,
        source: str,
        everything: bool,
        message: str | None,
    ) -> list[Decided]:
        """Score, judge and keep comments, as `decide` says."""


async def decide(
    service: "Service",
    comments: Sequence[Incoming],
    *,
    source: str,
    community: str | None = None,
    everything: bool = False,
    message: str | None = None,
) -> list[Decided]:
    """Decide about comments, and let the desk keep those that call for a person.

    Args:
        service: The service.
        comments: The comments.
        source: The name of the hook.
        community: Of the desk; its policy decides. None for the bundle's policy, and nothing is kept.
        everything: Keep also those that call for nobody.
        message: The id of a signed message; when it comes again, the desk changes nothing.

    Raises:
        ApiError: If there is no such community, or no desk in this process.
    """
    if community is not None:
        if service.intake is None:
            raise ApiError(404, "There is no desk here; leave the community out of the address.", "NOT_FOUND")
        return await service.intake(
            comments, community=community, source=source, everything=everything, message=message
        )
    batcher = service.batcher
    policy = batcher.screener.policy
    rows = await batcher.scores([comment.text for comment in comments])
    verdicts = [policy.judge(dict(zip(ATTRIBUTES, row, strict=True))) for row in rows.astype(float).tolist()]
    bundle = batcher.screener.bundle
    return [Decided(v.action, v.attribute, v.score, dict(v.scores), bundle) for v in verdicts]
