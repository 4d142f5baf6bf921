"""How good scores are on labelled rows, each figure with a bootstrap 95 % interval.

Scores are probabilities in [0, 1], targets fractions of raters in [0, 1] with NaN for "nobody asked";
a row is positive from `attributes.POSITIVE` on. Intervals are percentile intervals of a bootstrap that is
stratified by class and seeded (Efron and Tibshirani 1993, chapter 13): every sample has as many positive
and negative rows as the file, so base rates carry no uncertainty in them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from giantkiller.attributes import ATTRIBUTES, POSITIVE
from giantkiller.errors import UserError

Floats = NDArray[np.float64]
Scorer = Callable[[Sequence[str]], NDArray[Any]]
"""Texts to scores (n, 7) in [0, 1], in the order of ATTRIBUTES; NaN columns where a model has no such one."""

SAMPLES = 1000
MIN_CLASS = 10
"""Fewer rows of a class than this give no interval worth printing."""
BINS = 15
"""Equal-width bins of the expected calibration error (Naeini et al. 2015; Guo et al. 2017)."""

RANKING = (
    "roc_auc",
    "average_precision",
    "best_f1",
    "best_f1_threshold",
    "recall_at_fpr_1",
    "recall_at_fpr_5",
    "brier",
    "ece",
)
"""Figures that need no threshold, in the order in which they are computed."""
DECIDED = (
    "accuracy",
    "precision",
    "recall",
    "f1",
    "precision_negative",
    "recall_negative",
    "f1_negative",
    "f1_macro",
    "f1_weighted",
    "false_positive_rate",
    "tn",
    "fp",
    "fn",
    "tp",
)
"""Figures at one threshold (toxic from the threshold on), in the order in which they are computed."""


class TooFewRowsError(UserError):
    """A column cannot be judged because it has no labels, one class, or too few rows of a class."""


class Figure(NamedTuple):
    """A value with its 95 % interval; the ends are NaN where no interval was asked for."""

    value: float
    low: float = float("nan")
    high: float = float("nan")


def as_json(thing: Any) -> Any:
    """Turn figures, arrays and NaN in a report into what JSON can hold (NaN becomes null)."""
    if isinstance(thing, Figure):
        return {name: as_json(value) for name, value in thing._asdict().items()}
    if isinstance(thing, Mapping):
        return {str(key): as_json(value) for key, value in thing.items()}
    if isinstance(thing, (list, tuple, np.ndarray)):
        return [as_json(value) for value in thing]
    if isinstance(thing, np.generic):
        thing = thing.item()
    if isinstance(thing, float):
        return thing if np.isfinite(thing) else None
    return thing


def labelled(
    scores: ArrayLike, targets: ArrayLike, name: str = "toxicity"
) -> tuple[Floats, NDArray[np.bool_], NDArray[np.intp]]:
    """Keep the rows that have a target.

    Args:
        scores: (n,) probabilities.
        targets: (n,) fractions of raters, NaN where missing.
        name: what the column is called in an error message.

    Returns:
        scores (m,), positive or not (m,), and the row numbers kept (m,).

    Raises:
        TooFewRowsError: nothing is labelled.
        UserError: lengths differ, or a score is missing or outside [0, 1].
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


def both_classes(positive: NDArray[np.bool_], name: str, least: int = 1) -> None:
    """Refuse rows of one class only, or with too few of one class.

    Raises:
        TooFewRowsError: fewer than `least` rows are positive, or negative.
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
                f"only {count} {kind} row{'s' * (count > 1)} for {name}: an interval needs at least {least} "
                "of each class; give more rows, or ask for 0 bootstrap samples to get values alone"
            )


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
        levels, place = np.unique(-scores, return_inverse=True)
        levels = -levels
        bins = np.minimum((levels * BINS).astype(np.intp), BINS - 1)
        return cls(levels, place[positive], place[~positive], np.flatnonzero(np.diff(bins, prepend=BINS)))

    def counts(
        self, draw: tuple[NDArray[np.intp], NDArray[np.intp]] | None = None
    ) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Count positive and negative rows at each level, for the rows themselves or for a draw of them."""
        positive = self.positive if draw is None else self.positive[draw[0]]
        negative = self.negative if draw is None else self.negative[draw[1]]
        size = len(self.levels)
        return np.bincount(positive, minlength=size), np.bincount(negative, minlength=size)

    def above(self, threshold: float) -> int:
        """Count the levels at or above a threshold."""
        return int(np.searchsorted(-self.levels, -threshold, side="right"))


def draws(
    positives: int, negatives: int, samples: int, seed: int
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Draw rows with replacement, each class for itself; the same seed gives the same draws."""
    rng = np.random.default_rng(seed)
    for _ in range(samples):
        yield rng.integers(0, positives, positives), rng.integers(0, negatives, negatives)


def interval(samples: NDArray[np.float64]) -> tuple[float, float]:
    """Give the 2.5 % and 97.5 % points of bootstrap samples (NaN without samples)."""
    if not len(samples):
        return float("nan"), float("nan")
    low, high = np.percentile(samples, [2.5, 97.5])
    return float(low), float(high)


def inner(one: NDArray[Any], other: NDArray[Any]) -> float:
    """Give the inner product on one thread: BLAS would wake all of them for a few microseconds' work."""
    return float(np.einsum("i,i->", one, other))


def roc_auc(positive: NDArray[Any], negative: NDArray[Any]) -> float:
    """Give the probability that a positive row outranks a negative one, ties counting half, from counts."""
    before = np.cumsum(positive) - positive
    wins = inner(negative.astype(np.float64), before + positive / 2)
    return wins / (float(positive.sum()) * float(negative.sum()))


def ranking(ranked: Ranked, positive: NDArray[Any], negative: NDArray[Any]) -> list[float]:
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
    return [auc, average_precision, float(f1[best]), float(levels[best]), *recalls, brier, ece]


def decided(tp: float, fp: float, positives: int, negatives: int) -> list[float]:
    """Compute the figures named in DECIDED from a confusion matrix; an undefined ratio is 0."""
    fn, tn = positives - tp, negatives - fp

    def ratio(part: float, whole: float) -> float:
        return part / whole if whole else 0.0

    f1, f1_negative = ratio(2 * tp, 2 * tp + fp + fn), ratio(2 * tn, 2 * tn + fp + fn)
    rows = positives + negatives
    return [
        (tp + tn) / rows,
        ratio(tp, tp + fp),
        ratio(tp, positives),
        f1,
        ratio(tn, tn + fn),
        ratio(tn, negatives),
        f1_negative,
        (f1 + f1_negative) / 2,
        (f1 * positives + f1_negative * negatives) / rows,
        ratio(fp, negatives),
        tn,
        fp,
        fn,
        tp,
    ]


def _all_figures(
    ranked: Ranked, cuts: Sequence[int], draw: tuple[NDArray[np.intp], NDArray[np.intp]] | None
) -> list[float]:
    positive, negative = ranked.counts(draw)
    figures = ranking(ranked, positive, negative)
    for cut in cuts:
        tp, fp = float(positive[:cut].sum()), float(negative[:cut].sum())
        figures += decided(tp, fp, len(ranked.positive), len(ranked.negative))
    return figures


def measure(
    scores: ArrayLike,
    targets: ArrayLike,
    *,
    thresholds: Mapping[str, float] | None = None,
    samples: int = SAMPLES,
    seed: int = 0,
    name: str = "toxicity",
) -> dict[str, Any]:
    """Judge one column of scores.

    Args:
        scores: (n,) probabilities.
        targets: (n,) fractions of raters, NaN where missing.
        thresholds: name to threshold; a comment is called toxic from the threshold on. 0.5 when not given.
        samples: bootstrap samples; 0 gives values without intervals.
        seed: of the bootstrap.
        name: of the column, for error messages.

    Returns:
        `rows`, `positives`, the figures of RANKING, and `at`: for each threshold the figures of DECIDED.

    Raises:
        TooFewRowsError: no label, one class only, or too few rows of a class for an interval.
        UserError: see `labelled`.
    """
    score, positive, _ = labelled(scores, targets, name)
    both_classes(positive, name, MIN_CLASS if samples else 1)
    thresholds = {"0.5": 0.5} if thresholds is None else thresholds
    ranked = Ranked.of(score, positive)
    cuts = [ranked.above(threshold) for threshold in thresholds.values()]
    values = _all_figures(ranked, cuts, None)
    drawn = np.array(
        [
            _all_figures(ranked, cuts, draw)
            for draw in draws(len(ranked.positive), len(ranked.negative), samples, seed)
        ]
    ).reshape(samples, len(values))
    figures = [Figure(value, *interval(drawn[:, place])) for place, value in enumerate(values)]
    report: dict[str, Any] = {"rows": len(score), "positives": int(positive.sum())}
    report |= dict(zip(RANKING, figures[: len(RANKING)], strict=True))
    report["at"] = {}
    for place, (label, threshold) in enumerate(thresholds.items()):
        begin = len(RANKING) + place * len(DECIDED)
        block = dict(zip(DECIDED, figures[begin : begin + len(DECIDED)], strict=True))
        report["at"][label] = {"threshold": float(threshold)} | block
    return report


def judge(
    scores: ArrayLike,
    targets: ArrayLike,
    *,
    thresholds: Mapping[str, Mapping[str, float]] | None = None,
    samples: int = SAMPLES,
    seed: int = 0,
    progress: Callable[[str], object] | None = None,
) -> dict[str, Any]:
    """Judge all attributes that the rows label and the model scores.

    Args:
        scores: (n, 7) probabilities in the order of ATTRIBUTES; a column of NaN is an attribute not scored.
        targets: (n, 7) fractions of raters, NaN where missing.
        thresholds: name to a threshold per attribute, beside 0.5.
        samples: bootstrap samples.
        seed: of the bootstrap.
        progress: called with each attribute's name before it is judged.

    Returns:
        `attributes`: attribute to what `measure` gives; `skipped`: attribute to the reason in a sentence.

    Raises:
        UserError: shapes that differ, scores that are missing or no probabilities, or no attribute at all
            that can be judged.
    """
    score, target = np.asarray(scores), np.asarray(targets)
    if score.ndim != 2 or score.shape[1] != len(ATTRIBUTES):
        raise UserError(f"scores have the shape {score.shape}: give (rows, {len(ATTRIBUTES)})")
    if score.shape != target.shape:
        raise UserError(
            f"{len(score)} rows of scores for {len(target)} rows of targets: they must be the same"
        )
    report: dict[str, Any] = {"rows": len(score), "attributes": {}, "skipped": {}}
    for place, attribute in enumerate(ATTRIBUTES):
        if np.isnan(score[:, place]).all():
            report["skipped"][attribute] = f"the model gives no score for {attribute}"
            continue
        at = {"0.5": 0.5}
        for label, each in (thresholds or {}).items():
            if attribute in each:
                at[label] = float(each[attribute])
        if progress:
            progress(attribute)
        try:
            report["attributes"][attribute] = measure(
                score[:, place], target[:, place], thresholds=at, samples=samples, seed=seed, name=attribute
            )
        except TooFewRowsError as reason:
            report["skipped"][attribute] = str(reason)
    if not report["attributes"]:
        raise UserError("; ".join(dict.fromkeys(report["skipped"].values())))
    return report
