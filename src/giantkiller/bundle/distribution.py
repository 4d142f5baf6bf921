"""How scores are spread: what a running service compares its own scores with."""

from typing import TYPE_CHECKING

from giantkiller.attributes import ATTRIBUTES

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BINS = 20
"""Bins of equal width from 0 to 1."""

DISTRIBUTION = "score_distribution"
"""The entry of a bundle's figures with the shares that `score_distribution` returns."""


def bin_counts(scores: "NDArray[np.floating]") -> "NDArray[np.float64]":
    """Count scores in bins.

    Args:
        scores: (n, 7), from 0 to 1, in the order of ATTRIBUTES.

    Returns:
        (7, BINS); 1 counts in the last bin.
    """
    import numpy as np

    bins = np.minimum((scores * BINS).astype(np.intp), BINS - 1)
    flat = (bins + np.arange(len(ATTRIBUTES)) * BINS).ravel()
    counts = np.bincount(flat, minlength=len(ATTRIBUTES) * BINS).reshape(len(ATTRIBUTES), BINS)
    return counts.astype(np.float64)


def score_distribution(file: str, scores: "NDArray[np.floating]") -> dict[str, str | int | list[float]]:
    """Return the share of scores in each bin, by attribute, for a bundle's figures.

    Args:
        file: Where the scored comments, as they come, are from.
        scores: (n, 7), n at least 1.

    Returns:
        `file`, `rows`, and the shares of each attribute.
    """
    shares = (bin_counts(scores) / len(scores)).tolist()
    rounded = ([round(share, 6) for share in row] for row in shares)
    return {"file": file, "rows": len(scores), **dict(zip(ATTRIBUTES, rounded, strict=True))}
