"""What labelled comments are, in numbers."""

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from giantkiller.attributes import ATTRIBUTES, POSITIVE
from giantkiller.data.labelled import Labelled


@dataclass
class AttributeCounts:
    """The labels of one attribute.

    Attributes:
        labelled: Rows that have one.
        positive: Those of at least POSITIVE.
        rate: The positive share of the labelled; None without any.
    """

    labelled: int
    positive: int
    rate: float | None


@dataclass
class Description:
    """Labelled comments in numbers.

    Attributes:
        rows: All of them.
        different_texts: Texts that differ in at least a character.
        empty_texts: Rows without text.
        label_kinds: How many rows were labelled in which way, where the file says it.
        other_columns: Names of the columns that are neither text nor labels.
        attributes: By attribute, in their order.
    """

    rows: int
    different_texts: int
    empty_texts: int
    label_kinds: dict[str, int]
    other_columns: list[str]
    attributes: dict[str, AttributeCounts]

    def to_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return asdict(self)


def describe(labelled: Labelled) -> Description:
    """Count rows, labels and positives."""
    attributes = {}
    for name, column in zip(ATTRIBUTES, labelled.targets.T, strict=True):
        known, positive = int(np.isfinite(column).sum()), int((column >= POSITIVE).sum())
        attributes[name] = AttributeCounts(known, positive, positive / known if known else None)
    return Description(
        rows=len(labelled),
        different_texts=len(set(labelled.texts)),
        empty_texts=sum(not text.strip() for text in labelled.texts),
        label_kinds=dict(Counter(labelled.kinds or [])),
        other_columns=list(labelled.extra),
        attributes=attributes,
    )
