"""What the pictures of a report show: curves with bands, a sweep of thresholds, a histogram."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from giantkiller.evaluation import thresholds
from giantkiller.evaluation.figures import Draw, draws
from giantkiller.evaluation.metrics import labelled
from giantkiller.evaluation.ranked import Ranked

Floats = NDArray[np.float64]
GRID = 101
HISTOGRAM_BINS = 40


@dataclass(frozen=True)
class Band:
    """A curve at each point of a grid, with a pointwise 95 % band."""

    value: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True)
class Curves:
    """ROC and precision-recall curves.

    Attributes:
        grid: 101 points from 0 to 1: false-positive rates of `roc`, recalls of `pr`.
        roc: The recall reached without exceeding the rate.
        pr: The precision at the threshold where the recall is first reached.
    """

    grid: Floats
    roc: Band
    pr: Band


@dataclass(frozen=True)
class EvenSweep:
    """Figures at 101 even thresholds."""

    threshold: Floats
    precision: Floats
    recall: Floats
    f1: Floats
    flagged: Floats


@dataclass(frozen=True)
class Histogram:
    """Rows of each class in 40 even bins of the score."""

    positive: list[int]
    negative: list[int]


def trace_curves(scores: ArrayLike, targets: ArrayLike, *, samples: int, seed: int = 0) -> Curves:
    """Trace ROC and precision-recall curves with pointwise bootstrap bands.

    Args:
        scores: (n,) probabilities.
        targets: (n,) fractions of raters, NaN where missing.
        samples: Bootstrap samples of the bands; 0 for none.
        seed: Of the bootstrap.
    """
    score, positive, _ = labelled(scores, targets)
    ranked = Ranked.of(score, positive)
    grid = np.linspace(0, 1, GRID)
    positives, negatives = len(ranked.positive), len(ranked.negative)

    def trace(draw: Draw | None) -> Floats:
        up, down = ranked.counts(draw)
        tp, fp = np.r_[0, np.cumsum(up)], np.r_[0, np.cumsum(down)]
        recall = tp[np.searchsorted(fp, np.floor(grid * negatives + 1e-9), side="right") - 1] / positives
        index = np.searchsorted(tp, np.maximum(np.ceil(grid * positives - 1e-9), 1))
        return np.stack([recall, tp[index] / (tp[index] + fp[index])])

    values = trace(None)
    drawn = np.array([trace(draw) for draw in draws(positives, negatives, samples, seed)])
    low, high = (
        np.percentile(drawn, q, axis=0) if samples else np.full_like(values, np.nan) for q in (2.5, 97.5)
    )
    roc, pr = (Band(*(part[index].round(5) for part in (values, low, high))) for index in range(2))
    return Curves(grid.round(4), roc, pr)


def sweep_evenly(scores: ArrayLike, targets: ArrayLike) -> EvenSweep:
    """Thin out `thresholds.sweep` to 101 even thresholds."""
    table = thresholds.sweep(scores, targets)
    even = np.linspace(0, 1, GRID)
    index = np.searchsorted(-table.threshold, -even, side="right") - 1

    def thinned(values: Floats, empty: float) -> Floats:
        return np.where(index >= 0, values[index], empty).round(5)

    return EvenSweep(
        threshold=even.round(4),
        precision=thinned(table.precision, np.nan),
        recall=thinned(table.recall, 0.0),
        f1=thinned(table.f1, 0.0),
        flagged=thinned(table.flagged, 0.0),
    )


def histogram(scores: Floats, positive: NDArray[np.bool_]) -> Histogram:
    """Count rows of each class in even bins of the score."""
    edges = np.linspace(0, 1, HISTOGRAM_BINS + 1)
    return Histogram(
        positive=np.histogram(scores[positive], edges)[0].tolist(),
        negative=np.histogram(scores[~positive], edges)[0].tolist(),
    )
