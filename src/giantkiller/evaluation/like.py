"""Scores like another service's: its thresholds in ours, and a curve from our scores to its own.

Two models agree on a comment only so far; what a curve can mend is the scale. It matches quantiles: the score
that a tenth of the comments reach with us becomes the score that a tenth reach with them, so that a threshold
carried over sends as many comments on as before.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from giantkiller.attributes import ATTRIBUTES, attribute_of
from giantkiller.bundle import DISTRIBUTION, Bundle, score_distribution
from giantkiller.calibration import Curve, follow
from giantkiller.data.holdout import is_held_out, merge_key
from giantkiller.data.labelled import Labelled
from giantkiller.errors import UserError
from giantkiller.evaluation.figures import to_json
from giantkiller.policy import Policy

CUTS = (0.7, 0.8, 0.9)
"""Thresholds of the other service that the report is about."""

LEAST_ROWS = 200
"""Fewer scored comments make no curve."""

POINTS = 60
"""Points of a curve, about: half evenly over the comments, half ever closer towards the highest scores."""

_IN_TAIL = 5  # comments above the last point; one alone would be chance
_RISE = 1e-4  # the least slope of a curve: where their scores stand still, ours must keep their order

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Distance:
    """How far our scores are from theirs.

    Attributes:
        mean_absolute_error: Comment by comment.
        ks: The Kolmogorov-Smirnov distance: the largest difference between the shares of comments that lie
            below a score with us and with them.
    """

    mean_absolute_error: float
    ks: float


@dataclass(frozen=True)
class Cut:
    """A threshold of theirs, in shares of the held-out comments but for `ours`.

    Attributes:
        threshold: Theirs.
        theirs: Comments that reach it by their scores.
        before: By ours as they are.
        after: By ours along the curve.
        ours: The threshold that sends as many of all comments on, by our scores as they are; None if no
            comment reaches theirs.
        same: Of those comments, the share that reach both.
    """

    threshold: float
    theirs: float
    before: float
    after: float
    ours: float | None
    same: float | None


@dataclass(frozen=True)
class AttributeLikeness:
    """One attribute.

    Attributes:
        rows: Comments with a score of theirs.
        held_out: How many of them `before`, `after` and the shares of `cuts` are measured on. The curve that
            is measured is fitted on the others, the one that is written on all.
        rank_correlation: Spearman's, of ours and theirs, which no curve changes.
        before: Of our scores as they are.
        after: Along the curve.
        cuts: For each of `CUTS`.
    """

    rows: int
    held_out: int
    rank_correlation: float
    before: Distance
    after: Distance
    cuts: tuple[Cut, ...]


@dataclass(frozen=True)
class Likeness:
    """What a log of another service's scores says.

    Attributes:
        model: The bundle's name and version.
        file: The log.
        rows: Its comments with a text.
        attributes: By name.
        skipped: Attributes with too little to go by, and why.
        curves: By attribute, fitted on all rows; not part of the report.
    """

    model: str
    file: str
    rows: int
    attributes: dict[str, AttributeLikeness]
    skipped: dict[str, str]
    curves: dict[str, Curve]


def with_scores(log: Labelled, columns: Mapping[str, str], *, file: str) -> Labelled:
    """Return a log whose scores are those of some columns, whatever their names, and no others.

    Args:
        log: The log.
        columns: Column to attribute, by our name or another system's.
        file: The log's name, for messages.

    Raises:
        UserError: There is no such column or attribute, or something in it is no score.
    """
    targets = np.full_like(log.targets, np.nan)
    for column, label in columns.items():
        attribute = attribute_of(label)
        if attribute is None:
            raise UserError(f"{label!r} is no attribute; `scores` takes COLUMN={'|'.join(ATTRIBUTES)}")
        if column not in log.extra:
            raise UserError(f"{file} has no column {column!r} besides texts and attributes; see `scores`")
        values = log.extra[column]
        if values.dtype != np.float64:
            raise UserError(f"{file}: the column {column!r} holds something that is not a number")
        outside = np.flatnonzero(~(np.isnan(values) | ((values >= 0) & (values <= 1))))
        if len(outside):
            row = int(outside[0])
            raise UserError(
                f"{file}: row {row + 1} has {values[row]:g} in {column!r}; scores lie between 0 and 1, "
                "so divide percentages by 100"
            )
        targets[:, ATTRIBUTES.index(attribute)] = values
    return replace(log, targets=targets)


def compare_scores(scores: NDArray[np.float32], log: Labelled, *, model: str, file: str) -> Likeness:
    """Compare our scores with a log's, and fit the curves.

    Args:
        scores: (n, 7), ours of the log's texts.
        log: Comments, and another service's scores as their targets.
        model: What scored, for the report.
        file: The log's name, for the report and for messages.

    Raises:
        UserError: The log has no column of scores, too few rows, or scores that don't go with ours.
    """
    if np.isnan(log.targets).all():
        raise UserError(
            f"{file} has no scores: call their columns TOXICITY, INSULT and so on, or by our names"
        )
    held_out = np.array([is_held_out(merge_key(text), 0.5) for text in log.texts], bool)
    found: dict[str, AttributeLikeness] = {}
    fitted: dict[str, Curve] = {}
    skipped: dict[str, str] = {}
    for column, attribute in enumerate(ATTRIBUTES):
        theirs = log.targets[:, column].astype(np.float64)
        known = ~np.isnan(theirs)
        ours, theirs = scores[known, column].astype(np.float64), theirs[known]
        if not known.any():
            skipped[attribute] = "no column, or no score in it"
        elif reason := _unfit(theirs, held_out[known]):
            skipped[attribute] = reason
        else:
            found[attribute] = _compare(ours, theirs, held_out[known], f"{file}: {attribute}")
            fitted[attribute] = fit_curve(ours, theirs)
    if not found:
        reasons = "; ".join(f"{a}: {why}" for a, why in skipped.items() if not why.startswith("no column"))
        raise UserError(f"{file} is too little to go by ({reasons}); collect a log of more comments")
    return Likeness(model, file, len(log), found, skipped, fitted)


def fit_curve(ours: Floats, theirs: Floats) -> Curve:
    """Fit a curve that gives our scores the distribution of theirs.

    Args:
        ours: (n,), from 0 to 1.
        theirs: (n,), of the same comments, though their pairs don't matter.
    """
    rows = len(ours)
    # Shares of comments above a point: even steps, and steps that shrink towards the highest scores.
    even = np.linspace(1, 0, POINTS // 2 + 2)[1:-1]
    tail = np.geomspace(min(_IN_TAIL / rows, 0.5), 0.5, POINTS // 2)
    levels = 1 - np.unique(np.r_[even[even >= _IN_TAIL / rows], tail])[::-1]
    x = np.clip(np.quantile(ours, levels), 0, 1)
    y = np.clip(np.quantile(theirs, levels), 0, 1)
    x, first, count = np.unique(np.round(x, 7), return_index=True, return_counts=True)
    y = np.add.reduceat(y, first) / count
    inside = (x > 0) & (x < 1)
    x, y = np.r_[0.0, x[inside], 1.0], np.r_[0.0, y[inside], 1.0]
    y = (1 - _RISE) * y + _RISE * x
    return tuple(zip(x.tolist(), y.tolist(), strict=True))


def with_curves(bundle: Bundle, likeness: Likeness, scores: NDArray[np.float32], *, name: str) -> Bundle:
    """Return a bundle whose scores follow the curves.

    Its thresholds and policies follow, too, so that they call for the same actions as before; figures that
    depend on the scale are left out.

    Args:
        bundle: The bundle.
        likeness: What `compare_scores` found by this bundle's scores.
        scores: Those scores, (n, 7).
        name: The new bundle's.

    Raises:
        UserError: The bundle has curves already.
    """
    if any(line.curve for line in bundle.calibration.values()):
        raise UserError(
            f"{bundle.name} follows another service already; start from the bundle it was made of"
        )
    curves = likeness.curves

    def moved(attribute: str, cut: float) -> float:
        return float(np.float32(follow(curves[attribute], cut))) if attribute in curves else cut

    def moved_policy(policy: Policy) -> Policy:
        return Policy({a: {step: moved(a, cut) for step, cut in cuts.items()} for a, cuts in policy.items()})

    after = scores.astype(np.float64)
    for column, attribute in enumerate(ATTRIBUTES):
        after[:, column] = follow(curves.get(attribute, ()), after[:, column])
    methods = dict.fromkeys(curves, f"like {likeness.file}, by quantiles")
    figures = {key: value for key, value in bundle.figures.items() if key != "test"}
    figures["calibration"] = {**figures.get("calibration", {}), **methods}
    figures[DISTRIBUTION] = score_distribution(likeness.file, after)
    return replace(
        bundle,
        name=name,
        calibration={a: replace(line, curve=curves.get(a, ())) for a, line in bundle.calibration.items()},
        policy=moved_policy(bundle.policy),
        policies={key: moved_policy(policy) for key, policy in bundle.policies.items()},
        threshold={a: moved(a, cut) for a, cut in bundle.threshold.items()},
        provenance={
            **bundle.provenance,
            "calibrated_like": {
                "file": likeness.file,
                "rows": likeness.rows,
                "bundle": bundle.digest,
                "base": f"{bundle.name} {bundle.version}",
            },
        },
        figures=figures,
    )


def with_distribution(bundle: Bundle, scores: NDArray[np.float32], file: str) -> Bundle:
    """Return a bundle with another reference for the drift of a service's scores.

    Args:
        bundle: The bundle.
        scores: Its scores of comments as they come, (n, 7).
        file: Where these are from.

    Raises:
        UserError: There are too few.
    """
    if len(scores) < LEAST_ROWS:
        raise UserError(f"{file} has {len(scores):,} comments; a reference takes at least {LEAST_ROWS}")
    return replace(bundle, figures={**bundle.figures, DISTRIBUTION: score_distribution(file, scores)})


def _unfit(theirs: Floats, held_out: NDArray[np.bool_]) -> str | None:
    """Return why a column can't be used, or return None."""
    if len(theirs) < LEAST_ROWS:
        return f"{len(theirs):,} comments with a score, of at least {LEAST_ROWS}"
    if np.ptp(theirs) == 0:
        return f"all scores are {theirs[0]:g}"
    if min(held_out.sum(), (~held_out).sum()) < LEAST_ROWS // 4:
        return "too many of the comments are the same"
    return None


def _compare(ours: Floats, theirs: Floats, held_out: NDArray[np.bool_], what: str) -> AttributeLikeness:
    correlation = rank_correlation(ours, theirs)
    if not correlation > 0:
        raise UserError(
            f"{what}: where their scores are high ours are low (rank correlation {correlation:.2f}); "
            "check that the scores stand beside their own comments"
        )
    curve = fit_curve(ours[~held_out], theirs[~held_out])
    before, target = ours[held_out], theirs[held_out]
    after = follow(curve, before)
    return AttributeLikeness(
        rows=len(ours),
        held_out=int(held_out.sum()),
        rank_correlation=correlation,
        before=_distance(before, target),
        after=_distance(after, target),
        cuts=tuple(_cut(cut, ours, theirs, before, after, target) for cut in CUTS),
    )


def _cut(cut: float, ours: Floats, theirs: Floats, before: Floats, after: Floats, target: Floats) -> Cut:
    wanted = int((theirs >= cut).sum())
    threshold = float(np.sort(ours)[-wanted]) if wanted else None
    same = float((ours[theirs >= cut] >= threshold).mean()) if threshold is not None else None
    flagged, as_they_are, curved = (float((scores >= cut).mean()) for scores in (target, before, after))
    return Cut(cut, flagged, as_they_are, curved, threshold, same)


def _distance(ours: Floats, theirs: Floats) -> Distance:
    return Distance(float(np.abs(ours - theirs).mean()), ks_distance(ours, theirs))


def ks_distance(first: Floats, second: Floats) -> float:
    """Return the Kolmogorov-Smirnov distance of two samples."""
    at = np.r_[first, second]
    ours, theirs = (np.searchsorted(np.sort(each), at, side="right") / len(each) for each in (first, second))
    return float(np.abs(ours - theirs).max())


def rank_correlation(first: Floats, second: Floats) -> float:
    """Return Spearman's rank correlation of pairs, ties at their mean rank; NaN if one side is constant."""
    with np.errstate(invalid="ignore"):
        return float(np.corrcoef(_ranks(first), _ranks(second))[0, 1])


def _ranks(values: Floats) -> Floats:
    _, index, count = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(count) - (count - 1) / 2)[index])


def report_of(likeness: Likeness) -> dict[str, Any]:
    """Return the report as JSON can hold it."""
    whole: dict[str, Any] = to_json(likeness)
    del whole["curves"]
    return whole
