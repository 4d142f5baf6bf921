"""Do scores mean what they say? Of comments scored 0.8, four in five should be toxic."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from giantkiller.evaluation.figures import Figure, share
from giantkiller.evaluation.ranked import ECE_BINS

MIN_ROWS = 50
"""Fewer rows than this in a group give no figure."""


@dataclass(frozen=True)
class ReliabilityBin:
    """One bin of a reliability diagram: its edges, its mean score, the share of its rows that is positive."""

    begin: float
    end: float
    rows: int
    score: float
    rate: Figure


@dataclass(frozen=True)
class CalibrationGap:
    """Mean score and share positive of a group of rows; None where the group is too small.

    Attributes:
        rows: Rows of the group.
        score: Mean score.
        rate: Share positive.
        gap: score - rate; above 0 the model is too suspicious of the group.
    """

    rows: int
    score: float | None = None
    rate: Figure | None = None
    gap: float | None = None


def reliability(scores: ArrayLike, positive: ArrayLike, bins: int = ECE_BINS) -> list[ReliabilityBin]:
    """Compute a reliability diagram with bins of equal width; those without rows are left out.

    Args:
        scores: (n,) probabilities.
        positive: (n,) True or False.
        bins: How many.
    """
    score, truth = np.asarray(scores, dtype=np.float64), np.asarray(positive, dtype=bool)
    bin_of = np.minimum((score * bins).astype(int), bins - 1)
    found = []
    for index in range(bins):
        inside = bin_of == index
        rows = int(inside.sum())
        if rows:
            found.append(
                ReliabilityBin(
                    begin=index / bins,
                    end=(index + 1) / bins,
                    rows=rows,
                    score=float(score[inside].mean()),
                    rate=share(truth[inside].sum(), rows),
                )
            )
    return found


def calibration_gaps(
    scores: ArrayLike,
    positive: ArrayLike,
    groups: Mapping[str, NDArray[np.bool_]],
    min_rows: int = MIN_ROWS,
) -> dict[str, CalibrationGap]:
    """Compare mean score and share positive inside each group, since a good average can hide a bad one.

    A group is anything that selects rows: an identity that is mentioned, an action that a policy takes.

    Args:
        scores: (n,) calibrated probabilities.
        positive: (n,) True or False.
        groups: Name to (n,) True where a row belongs to it.
        min_rows: Rows below which a group gets no figure.
    """
    score, truth = np.asarray(scores, dtype=np.float64), np.asarray(positive, dtype=bool)
    found = {}
    for name, inside in groups.items():
        rows = int(inside.sum())
        if rows < min_rows:
            found[name] = CalibrationGap(rows)
            continue
        mean, rate = float(score[inside].mean()), share(truth[inside].sum(), rows)
        found[name] = CalibrationGap(rows, mean, rate, mean - rate.value)
    return found
