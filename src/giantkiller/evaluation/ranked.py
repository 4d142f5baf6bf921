"""Scores sorted once, so that what is drawn from them again and again only has to be counted."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from giantkiller.evaluation.figures import Draw

Floats = NDArray[np.float64]
ECE_BINS = 15
"""Equal-width bins of the expected calibration error (Naeini et al. 2015; Guo et al. 2017)."""


@dataclass(frozen=True)
class Ranked:
    """Scores sorted once, so that a bootstrap sample is two counts and two running sums.

    `levels` are the distinct scores from high to low; `positive` and `negative` give each row's level, in
    the order of the rows, so that two models can be drawn with the same rows; `bins` is where each bin of the
    calibration error begins.
    """

    levels: Floats
    positive: NDArray[np.intp]
    negative: NDArray[np.intp]
    bins: NDArray[np.intp]

    @classmethod
    def of(cls, scores: Floats, positive: NDArray[np.bool_]) -> "Ranked":
        """Sort the scores of labelled rows."""
        levels, level_of = np.unique(-scores, return_inverse=True)
        levels = -levels
        bins = np.minimum((levels * ECE_BINS).astype(np.intp), ECE_BINS - 1)
        return cls(
            levels, level_of[positive], level_of[~positive], np.flatnonzero(np.diff(bins, prepend=ECE_BINS))
        )

    def counts(self, draw: Draw | None = None) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Count positive and negative rows at each level, for the rows themselves or for a draw of them."""
        positive = self.positive if draw is None else self.positive[draw[0]]
        negative = self.negative if draw is None else self.negative[draw[1]]
        size = len(self.levels)
        return np.bincount(positive, minlength=size), np.bincount(negative, minlength=size)

    def above(self, threshold: float) -> int:
        """Count the levels at or above a threshold."""
        return int(np.searchsorted(-self.levels, -threshold, side="right"))


def inner(one: NDArray[Any], other: NDArray[Any]) -> float:
    """Return the inner product on one thread: BLAS would wake all of them for a few microseconds' work."""
    return float(np.einsum("i,i->", one, other))


def roc_auc(positive: NDArray[Any], negative: NDArray[Any]) -> float:
    """Return the probability that a positive row outranks a negative one, ties counting half, from counts."""
    before = np.cumsum(positive) - positive
    wins = inner(negative.astype(np.float64), before + positive / 2)
    return wins / (float(positive.sum()) * float(negative.sum()))
