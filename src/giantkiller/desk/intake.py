"""Comments from a file into the queue."""

from collections.abc import Iterable
from itertools import islice

from giantkiller.attributes import ATTRIBUTES
from giantkiller.desk.config import read_settings
from giantkiller.desk.items import LONGEST_TEXT, Comment, submit
from giantkiller.desk.policies import judge, read_policy, without_allowed
from giantkiller.screener import Screener
from giantkiller.serve.language import detect
from giantkiller.serve.native import model_name
from giantkiller.store import Store, utc_now

_TOGETHER = 256


def submit_texts(
    store: Store, screener: Screener, texts: Iterable[str], community: str, source: str
) -> dict[str, int]:
    """Score texts and submit them, some at a time; the same ones again change nothing.

    Args:
        store: The database.
        screener: What scores.
        texts: Comments; their place in the order is their id.
        community: Where they belong.
        source: The name of the file.

    Returns:
        How many came into each state; "known" counts those that were there already.

    Raises:
        UserError: If there is no such community, or a text is too long; what came before it is kept.
    """
    counts: dict[str, int] = {}
    numbered = enumerate(texts, 1)
    while some := list(islice(numbered, _TOGETHER)):
        with store.read() as connection:
            policy = read_policy(connection, community, screener.policy)
        rows = screener.scores([without_allowed(policy, text[:LONGEST_TEXT]) for _, text in some])
        with store.write() as connection:
            settings = read_settings(connection)
            for (number, text), row in zip(some, rows.astype(float).tolist(), strict=True):
                scores = dict(zip(ATTRIBUTES, row, strict=True))
                comment = Comment(
                    text=text, community=community, external=f"{source[:180]}:{number}", source=source[:64],
                    language=detect(text).languages[0],
                )  # fmt: skip
                done = submit(
                    connection, comment, scores, judge(policy, scores, text),
                    model=model_name(screener.bundle), policy=policy.version, settings=settings,
                    actor="command", now=utc_now(),
                )  # fmt: skip
                state = done.state if done.new else "known"
                counts[state] = counts.get(state, 0) + 1
    return counts
