"""From comments to what is added to their rows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from giantkiller.attributes import ATTRIBUTES
from giantkiller.files.chunks import Chunk, Results, text_problem
from giantkiller.policy import ACTIONS

if TYPE_CHECKING:
    from giantkiller.bundle import Bundle
    from giantkiller.screener import Screener


@dataclass
class Verdicts:
    """What was found about some comments.

    Attributes:
        scores: float32 (n, 7).
        actions: One a comment.
        attributes: The attribute that called for the action; None where nothing is done about a comment.
    """

    scores: NDArray[np.float32]
    actions: Sequence[str]
    attributes: Sequence[str | None]


Judge = Callable[[list[str]], Verdicts]
"""Comments in, verdicts out."""


def describe_model(bundle: "Bundle") -> str:
    """Return the name of a bundle, with the beginning of the digest of all that it holds."""
    return f"{bundle.name} {bundle.version} ({bundle.digest[:16]})"


def judge_with(screener: "Screener") -> Judge:
    """Return the function that judges comments by a model and its policy."""

    def judge(texts: list[str]) -> Verdicts:
        scores = screener.scores(texts)
        actions = screener.policy.actions(scores).tolist()
        attributes = [
            None if action == ACTIONS[0] else screener.policy.judge(row.tolist()).attribute
            for action, row in zip(actions, scores, strict=True)
        ]
        return Verdicts(scores, actions, attributes)

    return judge


def screen_chunk(chunk: Chunk, judge: Judge) -> Results:
    """Screen the comments of a chunk; a row that can't be screened gets the reason instead."""
    errors = [
        problem or text_problem(text) for text, problem in zip(chunk.texts, chunk.problems, strict=True)
    ]
    good = [row for row, error in enumerate(errors) if error is None]
    scores = np.full((len(errors), len(ATTRIBUTES)), np.nan, dtype=np.float32)
    actions: list[str | None] = [None] * len(errors)
    attributes: list[str | None] = [None] * len(errors)
    if good:
        found = judge([chunk.texts[row] for row in good])
        scores[good] = found.scores
        for row, action, attribute in zip(good, found.actions, found.attributes, strict=True):
            actions[row] = action
            attributes[row] = attribute
    return Results(scores=scores, actions=actions, attributes=attributes, errors=errors)
