"""Drawing train, validation and test comments from labelled ones."""

from dataclasses import dataclass

import numpy as np

from giantkiller.attributes import ATTRIBUTES, POSITIVE
from giantkiller.data.holdout import merge_key
from giantkiller.data.labelled import Labelled
from giantkiller.errors import UserError


@dataclass(frozen=True)
class Quota:
    """How many comments a split has, and how many of them are toxic."""

    name: str
    rows: int
    toxic: int


PUBLISHED = (Quota("train", 5_000, 227), Quota("validation", 1_000, 66), Quota("test", 1_000, 90))
"""The protocol of the published dendritic BERT-Tiny card: 4.54, 6.60 and 9.00 % toxic."""


def published_splits(
    labelled: Labelled, *, seed: int, quotas: tuple[Quota, ...] = PUBLISHED
) -> list[Labelled]:
    """Draw the published card's 5,000 / 1,000 / 1,000 comments, with its toxic rates to the row.

    Only rows with a toxicity label are drawn; no comment is in two splits, and one that the source repeats is
    drawn once (compared by `merge_key`). The rows of a split come in random order.

    Args:
        labelled: where to draw from; the card drew from Civil Comments.
        seed: the same seed and source give the same splits.
        quotas: other sizes than the card's.

    Returns:
        One `Labelled` a quota, in their order.

    Raises:
        UserError: there are too few toxic or too few other comments.
    """
    toxicity = labelled.targets[:, ATTRIBUTES.index("toxicity")]
    order = np.random.default_rng(seed).permutation(len(labelled))
    seen: set[str] = set()
    toxic: list[int] = []
    other: list[int] = []
    for row in order:
        if np.isnan(toxicity[row]):
            continue
        key = merge_key(labelled.texts[row])
        if key and key not in seen:
            seen.add(key)
            (toxic if toxicity[row] >= POSITIVE else other).append(int(row))
    need_toxic = sum(quota.toxic for quota in quotas)
    need_other = sum(quota.rows - quota.toxic for quota in quotas)
    if len(toxic) < need_toxic or len(other) < need_other:
        raise UserError(
            f"the splits need {need_toxic:,} toxic and {need_other:,} other comments, but the source has "
            f"{len(toxic):,} and {len(other):,} different ones; take a larger source"
        )
    splits = []
    shuffle = np.random.default_rng([seed, 1])
    for quota in quotas:
        rows = toxic[: quota.toxic] + other[: quota.rows - quota.toxic]
        toxic, other = toxic[quota.toxic :], other[quota.rows - quota.toxic :]
        splits.append(labelled.take(shuffle.permutation(rows)))
    return splits
