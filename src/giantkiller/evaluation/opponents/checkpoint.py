"""A Hugging Face classifier, from a folder or from the hub, as a scoring function."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from giantkiller.attributes import ATTRIBUTES
from giantkiller.calibration import sigmoid
from giantkiller.evaluation.facts import ModelFacts
from giantkiller.evaluation.opponents.scoring import ScoringModel


def checkpoint(name: str, max_length: int | None) -> ScoringModel:
    """Load a classifier, cutting comments at `max_length` tokens or, if None, at its own limit.

    Raises:
        UserError: It can't be had, or none of its labels is an attribute.
        MissingExtraError: torch or transformers are not installed.
    """
    from giantkiller.models.loading import load_checkpoint

    classifier = load_checkpoint(name)
    columns, softmax = classifier.columns
    limit = min(max_length or classifier.max_length, classifier.max_length)
    logits_of = classifier.logits_function(limit)

    def score(texts: Sequence[str]) -> NDArray[Any]:
        logits = logits_of(texts).astype(np.float64)
        result = np.full((len(texts), len(ATTRIBUTES)), np.nan, dtype=np.float32)
        if softmax:
            odds = np.exp(logits - logits.max(axis=1, keepdims=True))
            probabilities = odds / odds.sum(axis=1, keepdims=True)
        else:
            probabilities = sigmoid(logits)
        for attribute, column in columns.items():
            result[:, ATTRIBUTES.index(attribute)] = probabilities[:, column]
        return result

    missing = classifier.missing
    return ScoringModel(
        name=name,
        kind="checkpoint",
        source=name,
        score=score,
        about=ModelFacts(
            parameters=sum(p.numel() for p in classifier.model.parameters()),
            disk=sum(path.stat().st_size for path in classifier.files),
            max_length=limit,
            fine_tuned=not any("classifier" in key or "score" in key for key in missing),
            missing_weights=tuple(missing),
            labels=tuple(classifier.labels),
        ),
    )
