"""How good scores are on labelled rows, each figure with a bootstrap 95 % interval.

Scores are probabilities in [0, 1], targets fractions of raters in [0, 1] with NaN for "nobody asked";
a row is positive from `attributes.POSITIVE` on. Intervals are percentile intervals of a bootstrap that is
stratified by class and seeded (Efron and Tibshirani 1993, chapter 13): every sample has as many positive
and negative rows as the file, so base rates carry no uncertainty in them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from giantkiller.attributes import ATTRIBUTES, POSITIVE
from giantkiller.errors import UserError
from giantkiller.evaluation.figures import Draw, Figure, draws, interval
from giantkiller.evaluation.ranked import ECE_BINS, Ranked, inner

Floats = NDArray[np.float64]
Scorer = Callable[[Sequence[str]], NDArray[Any]]
"""Texts to scores (n, 7) in [0, 1], in the order of ATTRIBUTES; NaN columns where a model has no such one."""

SAMPLES = 1000
MIN_CLASS = 10
"""Fewer rows of a class than this give no interval worth printing."""


class TooFewRowsError(UserError):
    """A column has no labels, one class, or too few rows of a class for what was asked."""


@dataclass(frozen=True)
class ThresholdFigures:
    """Figures at one threshold; a comment is called positive from the threshold on."""

    threshold: float
    accuracy: Figure
    precision: Figure
    recall: Figure
    f1: Figure
    precision_negative: Figure
    recall_negative: Figure
    f1_negative: Figure
    f1_macro: Figure
    f1_weighted: Figure
    false_positive_rate: Figure
    tn: Figure
    fp: Figure
    fn: Figure
    tp: Figure


@dataclass(frozen=True)
class Measured:
    """Figures of one column of scores: without a threshold, and those `at` each threshold by name."""

    rows: int
    positives: int
    roc_auc: Figure
    average_precision: Figure
    best_f1: Figure
    best_f1_threshold: Figure
    recall_at_fpr_1: Figure
    recall_at_fpr_5: Figure
    brier: Figure
    ece: Figure
    at: dict[str, ThresholdFigures]

    @property
    def decided_at(self) -> tuple[str, ThresholdFigures]:
        """The threshold that decides: the model's own or the fitted one where there is one, else 0.5."""
        named = list(self.at.items())
        return named[min(1, len(named) - 1)]


RANKING = tuple(field.name for field in fields(Measured) if field.type in (Figure, "Figure"))
"""Figures that need no threshold."""
AT_THRESHOLD = tuple(field.name for field in fields(ThresholdFigures) if field.name != "threshold")
"""Figures at one threshold."""
NAMES = {
    "roc_auc": "ROC-AUC",
    "average_precision": "average precision",
    "best_f1": "best F1",
    "best_f1_threshold": "threshold of the best F1",
    "recall_at_fpr_1": "recall at 1 % false positives",
    "recall_at_fpr_5": "recall at 5 % false positives",
    "brier": "Brier score",
    "ece": f"calibration error (ECE, {ECE_BINS} bins)",
    "accuracy": "accuracy",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "precision_negative": "precision of not toxic",
    "recall_negative": "recall of not toxic",
    "f1_negative": "F1 of not toxic",
    "f1_macro": "F1, mean of both classes",
    "f1_weighted": "F1, weighted by class",
    "false_positive_rate": "false-positive rate",
    "tn": "rightly let through",
    "fp": "false alarms",
    "fn": "missed",
    "tp": "caught",
}
"""Figures in words."""


def labelled(
    scores: ArrayLike, targets: ArrayLike, name: str = "toxicity"
) -> tuple[Floats, NDArray[np.bool_], NDArray[np.intp]]:
    """Keep the rows that have a target.

    Args:
        scores: (n,) probabilities.
        targets: (n,) fractions of raters, NaN where missing.
        name: What the column is called in an error message.

    Returns:
        Scores (m,), positive or not (m,), and the indices of the rows kept (m,).

    Raises:
        TooFewRowsError: Nothing is labelled.
        UserError: Lengths differ, or a score is missing or outside [0, 1].
    """
    score, target = _column(scores, f"the scores for {name}"), _column(targets, f"the targets for {name}")
    if len(score) != len(target):
        raise UserError(
            f"{len(score)} scores for {len(target)} rows of {name}: give exactly one score for each row"
        )
    rows = np.flatnonzero(~np.isnan(target))
    if not len(rows):
        raise TooFewRowsError(f"no row has a target for {name}: give a file that labels it")
    score, target = score[rows], target[rows]
    if target.min() < 0 or target.max() > 1:
        raise UserError(
            f"a target for {name} is {target.min():g} to {target.max():g}: "
            "targets are fractions of raters between 0 and 1"
        )
    if np.isnan(score).any():
        first = int(rows[np.flatnonzero(np.isnan(score))[0]])
        raise UserError(
            f"row {first + 1} has a target for {name} but no score: score every labelled row, or none"
        )
    if score.min() < 0 or score.max() > 1:
        raise UserError(
            f"scores for {name} reach from {score.min():.4g} to {score.max():.4g}: "
            "they must be probabilities between 0 and 1 (apply a sigmoid to logits first)"
        )
    return score, target >= POSITIVE, rows


def _column(values: ArrayLike, what: str) -> Floats:
    try:
        column = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise UserError(f"{what} are not numbers: give a numeric column") from None
    if column.ndim != 1:
        raise UserError(f"{what} have {column.ndim} dimensions: give one number for each row")
    return column


def require_classes(
    positive: NDArray[np.bool_], name: str, least: int = 1, purpose: str = "an interval (`samples` above 0)"
) -> None:
    """Refuse rows of one class only, or with too few of one class.

    Args:
        positive: (n,) True where positive.
        name: What the column is called in an error message.
        least: Rows of each class that are needed.
        purpose: What needs them.

    Raises:
        TooFewRowsError: Fewer than `least` rows are positive, or negative.
    """
    counts = {"positive": int(positive.sum()), "negative": int((~positive).sum())}
    for kind, count in counts.items():
        if count == 0:
            raise TooFewRowsError(
                f"no {kind} row for {name} among {len(positive)}: ranking and thresholds need both classes"
            )
    for kind, count in counts.items():
        if count < least:
            raise TooFewRowsError(
                f"only {count} {kind} row{'s' * (count > 1)} for {name}: {purpose} needs at least {least} "
                "of each class"
            )


def ranking(ranked: Ranked, positive: NDArray[Any], negative: NDArray[Any]) -> dict[str, float]:
    """Compute the figures named in RANKING from counts at each level."""
    up, down = positive.astype(np.float64), negative.astype(np.float64)
    tp, fp = np.cumsum(up), np.cumsum(down)
    all_positive, all_negative = float(tp[-1]), float(fp[-1])
    rows, levels = all_positive + all_negative, ranked.levels
    auc = inner(down, tp - up / 2) / (all_positive * all_negative)
    flagged = tp + fp
    average_precision = inner(up, tp / np.maximum(flagged, 1)) / all_positive
    f1 = 2 * tp / (flagged + all_positive)
    best = int(np.argmax(f1))
    recalls = []
    for rate in (0.01, 0.05):
        # The most recall whose false positives stay within the rate: no interpolation between points.
        reached = int(np.searchsorted(fp, rate * all_negative, side="right")) - 1
        recalls.append(float(tp[reached]) / all_positive if reached >= 0 else 0.0)
    squares = levels * levels
    brier = (inner(up, 1 - 2 * levels + squares) + inner(down, squares)) / rows
    gap = (up + down) * levels - up
    ece = float(np.abs(np.add.reduceat(gap, ranked.bins)).sum()) / rows
    return {
        "roc_auc": auc,
        "average_precision": average_precision,
        "best_f1": float(f1[best]),
        "best_f1_threshold": float(levels[best]),
        "recall_at_fpr_1": recalls[0],
        "recall_at_fpr_5": recalls[1],
        "brier": brier,
        "ece": ece,
    }


def at_threshold(tp: float, fp: float, positives: int, negatives: int) -> dict[str, float]:
    """Compute the figures named in AT_THRESHOLD from a confusion matrix; an undefined ratio is 0."""
    fn, tn = positives - tp, negatives - fp

    def ratio(part: float, whole: float) -> float:
        return part / whole if whole else 0.0

    f1, f1_negative = ratio(2 * tp, 2 * tp + fp + fn), ratio(2 * tn, 2 * tn + fp + fn)
    rows = positives + negatives
    return {
        "accuracy": (tp + tn) / rows,
        "precision": ratio(tp, tp + fp),
        "recall": ratio(tp, positives),
        "f1": f1,
        "precision_negative": ratio(tn, tn + fn),
        "recall_negative": ratio(tn, negatives),
        "f1_negative": f1_negative,
        "f1_macro": (f1 + f1_negative) / 2,
        "f1_weighted": (f1 * positives + f1_negative * negatives) / rows,
        "false_positive_rate": ratio(fp, negatives),
        "tn": tn,
        "fp": fp,
        "fn": fn,
        "tp": tp,
    }


def measure(
    scores: ArrayLike,
    targets: ArrayLike,
    *,
    thresholds: Mapping[str, float] | None = None,
    samples: int = SAMPLES,
    seed: int = 0,
    name: str = "toxicity",
) -> Measured:
    """Measure one column of scores.

    Args:
        scores: (n,) probabilities.
        targets: (n,) fractions of raters, NaN where missing.
        thresholds: Name to threshold; 0.5 when not given.
        samples: Bootstrap samples; 0 gives values without intervals.
        seed: Of the bootstrap.
        name: Of the column, for error messages.

    Raises:
        TooFewRowsError: No label, one class only, or too few rows of a class for an interval.
        UserError: See `labelled`.
    """
    score, positive, _ = labelled(scores, targets, name)
    require_classes(positive, name, MIN_CLASS if samples else 1)
    thresholds = {"0.5": 0.5} if thresholds is None else thresholds
    ranked = Ranked.of(score, positive)
    cuts = {label: ranked.above(threshold) for label, threshold in thresholds.items()}
    positives, negatives = len(ranked.positive), len(ranked.negative)

    def compute(draw: Draw | None) -> dict[tuple[str, str], float]:
        up, down = ranked.counts(draw)
        values = {("", name): value for name, value in ranking(ranked, up, down).items()}
        for label, cut in cuts.items():
            found = at_threshold(float(up[:cut].sum()), float(down[:cut].sum()), positives, negatives)
            values |= {(label, name): value for name, value in found.items()}
        return values

    values = compute(None)
    drawn = np.array([list(compute(draw).values()) for draw in draws(positives, negatives, samples, seed)])
    columns = drawn.reshape(samples, len(values)).T
    figures = {
        key: Figure(value, *interval(column))
        for (key, value), column in zip(values.items(), columns, strict=True)
    }
    at = {
        label: ThresholdFigures(float(threshold), **{name: figures[label, name] for name in AT_THRESHOLD})
        for label, threshold in thresholds.items()
    }
    return Measured(
        rows=len(score), positives=positives, at=at, **{name: figures["", name] for name in RANKING}
    )


def measure_attributes(
    scores: ArrayLike,
    targets: ArrayLike,
    *,
    thresholds: Mapping[str, Mapping[str, float]] | None = None,
    samples: int = SAMPLES,
    seed: int = 0,
    progress: Callable[[str], object] | None = None,
) -> tuple[dict[str, Measured], dict[str, str]]:
    """Measure all attributes that the rows label and the model scores.

    Args:
        scores: (n, 7) probabilities in the order of ATTRIBUTES; a column of NaN is an attribute not scored.
        targets: (n, 7) fractions of raters, NaN where missing.
        thresholds: Name to a threshold per attribute, next to 0.5.
        samples: Bootstrap samples.
        seed: Of the bootstrap.
        progress: Called with each attribute's name before it is measured.

    Returns:
        Attribute to its figures, and attribute to the reason in a sentence where it has none.

    Raises:
        UserError: Shapes that differ, scores that are missing or no probabilities, or no attribute at all
            that can be measured.
    """
    score, target = np.asarray(scores), np.asarray(targets)
    if score.ndim != 2 or score.shape[1] != len(ATTRIBUTES):
        raise UserError(f"scores have the shape {score.shape}: give (rows, {len(ATTRIBUTES)})")
    if score.shape != target.shape:
        raise UserError(
            f"{len(score)} rows of scores for {len(target)} rows of targets: they must be the same"
        )
    measured: dict[str, Measured] = {}
    skipped: dict[str, str] = {}
    for column, attribute in enumerate(ATTRIBUTES):
        if np.isnan(score[:, column]).all():
            skipped[attribute] = f"the model gives no score for {attribute}"
            continue
        named = {
            label: float(each[attribute]) for label, each in (thresholds or {}).items() if attribute in each
        }
        if progress:
            progress(attribute)
        try:
            measured[attribute] = measure(
                score[:, column],
                target[:, column],
                thresholds={"0.5": 0.5, **named},
                samples=samples,
                seed=seed,
                name=attribute,
            )
        except TooFewRowsError as reason:
            skipped[attribute] = str(reason)
    if not measured:
        raise UserError("; ".join(dict.fromkeys(skipped.values())))
    return measured, skipped
