"""A scoring function and what is known of the model behind it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from giantkiller.evaluation.facts import ModelFacts
from giantkiller.evaluation.metrics import Scorer

if TYPE_CHECKING:
    from giantkiller.bundle import Bundle

CHUNK = 2048
"""Comments scored between two steps of the progress bar."""


@dataclass
class ScoringModel:
    """A scoring function and what is known of the model behind it.

    Attributes:
        name: For people.
        kind: bundle, checkpoint, scores or endpoint.
        source: The name that it was loaded by.
        score: Texts to scores (n, 7).
        thresholds: Attribute to the score from which on the model itself calls a comment positive.
        policy: Attribute to thresholds of the actions.
        about: What else is known; shown in reports.
        explain: A text to the words that carried its toxicity score: begin, end, contribution.
        bundle: The bundle, if it is one.
    """

    name: str
    kind: str
    score: Scorer
    source: str = ""
    thresholds: dict[str, float] = field(default_factory=dict)
    policy: dict[str, dict[str, float]] = field(default_factory=dict)
    about: ModelFacts = field(default_factory=ModelFacts)
    explain: Callable[[str], list[tuple[int, int, float]]] | None = None
    bundle: "Bundle | None" = None

    def scores(self, texts: Sequence[str]) -> NDArray[Any]:
        """Score texts, with a progress bar on a terminal."""
        if self.kind == "scores" or len(texts) <= CHUNK:
            return np.asarray(self.score(texts))
        parts = []
        about = f"scoring with {self.name!r}"  # escaped: a stranger may have named it
        with tqdm(total=len(texts), desc=about, unit="comment", disable=None) as bar:
            for begin in range(0, len(texts), CHUNK):
                parts.append(np.asarray(self.score(texts[begin : begin + CHUNK])))
                bar.update(len(parts[-1]))
        return np.concatenate(parts)
