"""Scores that mean what they say: of comments scored 0.8, four in five are toxic.

All methods map a logit to a probability and keep the order of comments (isotonic: up to ties). What ships in
a bundle is a slope and an intercept per attribute, `sigmoid(slope * logit + intercept)`: temperature scaling
when the intercept is 0 (Guo et al. 2017), Platt scaling otherwise (Platt 1999; fitted by Newton's method on
his smoothed targets as in Lin, Lin and Weng 2007). Isotonic regression (Zadrozny and Elkan 2002) is there to
compare with.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from giantkiller.attributes import ATTRIBUTES, POSITIVE
from giantkiller.errors import UserError
from giantkiller.evaluation.metrics import BINS, MIN_CLASS, TooFewRowsError, both_classes

Floats = NDArray[np.float64]
LARGEST_LOGIT = 30.0
"""Beyond this a probability is 0 or 1 in every respect; keeps stored scores of exactly 0 or 1 finite."""
FOLDS = 5


def sigmoid(logits: ArrayLike) -> Floats:
    """Turn logits into probabilities without overflow."""
    clipped = np.clip(np.asarray(logits, dtype=np.float64), -700, 700)
    return np.asarray(1 / (1 + np.exp(-clipped)), dtype=np.float64)


def to_logits(scores: ArrayLike) -> Floats:
    """Turn probabilities back into logits; 0 and 1 become -30 and 30."""
    score = np.asarray(scores, dtype=np.float64)
    edge = sigmoid(-LARGEST_LOGIT)
    score = np.clip(score, edge, 1 - edge)
    return np.asarray(np.clip(np.log(score) - np.log1p(-score), -LARGEST_LOGIT, LARGEST_LOGIT))


@dataclass(frozen=True)
class Line:
    """`sigmoid(slope * logit + intercept)`: nothing (1, 0), temperature scaling (1/T, 0) or Platt scaling."""

    slope: float = 1.0
    intercept: float = 0.0

    def __call__(self, logits: ArrayLike) -> Floats:
        """Give calibrated probabilities."""
        return sigmoid(self.slope * np.asarray(logits, dtype=np.float64) + self.intercept)

    def shifted(self, fitted_at: float, wanted: float) -> "Line":
        """Move from the base rate of the rows it was fitted on to that of another site.

        Bayes' rule for a changed class prior (Saerens, Latinne and Decaestecker 2002, equation 2.4): the odds
        are multiplied by the ratio of prior odds, which on logits is a step of the intercept.

        Args:
            fitted_at: share of positive comments where it was fitted, between 0 and 1.
            wanted: share of positive comments at the new site.

        Raises:
            UserError: a rate is not strictly between 0 and 1.
        """
        return Line(self.slope, self.intercept + prior_step(fitted_at, wanted))


@dataclass(frozen=True)
class Steps:
    """An isotonic map: linear between its corners, flat outside."""

    logits: tuple[float, ...]
    scores: tuple[float, ...]

    def __call__(self, logits: ArrayLike) -> Floats:
        """Give calibrated probabilities."""
        return np.interp(np.asarray(logits, dtype=np.float64), self.logits, self.scores)


Calibration = Line | Steps
METHODS = ("none", "temperature", "platt", "isotonic")


def prior_step(before: float, after: float) -> float:
    """Give the step on logits from one base rate to another.

    Raises:
        UserError: a rate is not strictly between 0 and 1.
    """
    for rate in (before, after):
        if not 0 < rate < 1:
            raise UserError(f"a base rate of {rate:g} is none: give a share between 0 and 1, such as 0.08")
    return float(np.log(after / (1 - after)) - np.log(before / (1 - before)))


def shift_prior(scores: ArrayLike, before: float, after: float) -> Floats:
    """Move calibrated probabilities from one base rate to another (see `Line.shifted`)."""
    return sigmoid(to_logits(scores) + prior_step(before, after))


def _rows(logits: ArrayLike, targets: ArrayLike, name: str) -> tuple[Floats, NDArray[np.bool_]]:
    logit, target = np.asarray(logits, dtype=np.float64), np.asarray(targets, dtype=np.float64)
    if logit.shape != target.shape or logit.ndim != 1:
        raise UserError(f"{logit.shape} logits for {target.shape} targets of {name}: give one for each row")
    kept = ~np.isnan(target)
    if not kept.any():
        raise TooFewRowsError(f"no row has a target for {name}: calibration needs labelled rows")
    logit, positive = np.clip(logit[kept], -LARGEST_LOGIT, LARGEST_LOGIT), target[kept] >= POSITIVE
    if np.isnan(logit).any():
        raise UserError(f"a row labelled for {name} has no logit: score every labelled row")
    both_classes(positive, name, MIN_CLASS)
    return logit, positive


def fit(method: str, logits: ArrayLike, targets: ArrayLike, name: str = "toxicity") -> Calibration:
    """Fit one method on labelled rows (never on those that will be reported).

    Args:
        method: one of METHODS.
        logits: (n,) before the sigmoid.
        targets: (n,) fractions of raters, NaN where missing.
        name: of the attribute, for error messages.

    Raises:
        TooFewRowsError: fewer than MIN_CLASS rows of a class.
        UserError: shapes differ, an unknown method, or scores that rank the rows the wrong way round.
    """
    logit, positive = _rows(logits, targets, name)
    return _fit(method, logit, positive, name)


def _fit(method: str, logit: Floats, positive: NDArray[np.bool_], name: str) -> Calibration:
    if method == "none":
        return Line()
    if method == "isotonic":
        from sklearn.isotonic import IsotonicRegression

        steps = IsotonicRegression(y_min=0, y_max=1).fit(logit, positive.astype(float))
        return Steps(tuple(map(float, steps.X_thresholds_)), tuple(map(float, steps.y_thresholds_)))
    if method not in METHODS:
        raise UserError(f"there is no calibration {method!r}: choose one of {', '.join(METHODS)}")
    ups, downs = int(positive.sum()), int((~positive).sum())
    if method == "platt":
        wanted = np.where(positive, (ups + 1) / (ups + 2), 1 / (downs + 2))
        features = np.stack([logit, np.ones_like(logit)], axis=1)
    else:
        wanted, features = positive.astype(np.float64), logit[:, None]
    weights = _newton(features, wanted)
    if weights[0] <= 0:
        raise UserError(f"the scores for {name} rank labelled rows the wrong way round: is the column right?")
    return Line(float(weights[0]), float(weights[1]) if method == "platt" else 0.0)


def _newton(features: Floats, wanted: Floats) -> Floats:
    """Maximise the likelihood of a logistic regression without penalty, halving steps that overshoot."""

    def loss(weights: Floats) -> float:
        z = features @ weights
        return float(np.mean(np.logaddexp(0, z) - wanted * z))

    weights = np.zeros(features.shape[1])
    weights[0] = 1.0
    here = loss(weights)
    for _ in range(100):
        p = sigmoid(features @ weights)
        gradient = features.T @ (p - wanted) / len(wanted)
        curvature = (features * (p * (1 - p))[:, None]).T @ features / len(wanted)
        step = np.linalg.solve(curvature + 1e-12 * np.eye(len(weights)), gradient)
        size = 1.0
        while size > 1e-6 and loss(weights - size * step) > here:
            size /= 2
        moved = weights - size * step
        there = loss(moved)
        if here - there < 1e-12:
            break
        weights, here = moved, there
    return weights


class Choice(NamedTuple):
    """The method with the least cross-validated log loss, fitted on all rows, and every method's loss."""

    method: str
    calibration: Calibration
    losses: dict[str, float]


def choose(
    logits: ArrayLike,
    targets: ArrayLike,
    *,
    methods: tuple[str, ...] = METHODS,
    seed: int = 0,
    name: str = "toxicity",
) -> Choice:
    """Choose a method by log loss in stratified five-fold cross-validation.

    Args:
        logits: (n,) before the sigmoid.
        targets: (n,) fractions of raters, NaN where missing.
        methods: to choose from; of two that are equally good the earlier wins.
        seed: of the folds.
        name: of the attribute, for error messages.

    Raises:
        TooFewRowsError: fewer than MIN_CLASS rows of a class.
        UserError: see `fit`.
    """
    logit, positive = _rows(logits, targets, name)
    fold = np.empty(len(logit), dtype=int)
    rng = np.random.default_rng(seed)
    for each in (True, False):
        members = rng.permutation(np.flatnonzero(positive == each))
        fold[members] = np.arange(len(members)) % FOLDS
    losses = dict.fromkeys(methods, 0.0)
    for held in range(FOLDS):
        out = fold == held
        for method in methods:
            p = _fit(method, logit[~out], positive[~out], name)(logit[out])
            # Isotonic steps reach 0 and 1; unclipped, one surprise would cost infinitely much.
            p = np.clip(p, 1e-4, 1 - 1e-4)
            losses[method] -= float(np.log(np.where(positive[out], p, 1 - p)).sum()) / len(logit)
    best = min(methods, key=lambda method: losses[method])
    return Choice(best, _fit(best, logit, positive, name), losses)


def fit_lines(
    logits: ArrayLike, targets: ArrayLike, *, seed: int = 0
) -> tuple[dict[str, dict[str, float]], dict[str, str]]:
    """Fit what ships in a bundle: a slope and an intercept for each attribute.

    The choice is between nothing, temperature and Platt scaling. An attribute without enough labels keeps
    slope 1 and intercept 0.

    Args:
        logits: (n, 7) in the order of ATTRIBUTES.
        targets: (n, 7) fractions of raters, NaN where missing; rows not used for training.
        seed: of the cross-validation.

    Returns:
        attribute to {"slope", "intercept"}, and attribute to the method or the reason for none.
    """
    logit, target = np.asarray(logits, dtype=np.float64), np.asarray(targets, dtype=np.float64)
    lines, notes = {}, {}
    for place, attribute in enumerate(ATTRIBUTES):
        line = Line()
        try:
            choice = choose(
                logit[:, place],
                target[:, place],
                methods=("none", "temperature", "platt"),
                seed=seed,
                name=attribute,
            )
            assert isinstance(choice.calibration, Line)
            line, notes[attribute] = choice.calibration, choice.method
        except TooFewRowsError as reason:
            notes[attribute] = f"none: {reason}"
        lines[attribute] = {"slope": line.slope, "intercept": line.intercept}
    return lines, notes


def apply_lines(logits: ArrayLike, lines: Mapping[str, Mapping[str, float]]) -> NDArray[np.float32]:
    """Give calibrated scores (n, 7) for logits (n, 7) by what `fit_lines` found."""
    logit = np.asarray(logits, dtype=np.float64)
    slope = np.array([lines.get(attribute, {}).get("slope", 1.0) for attribute in ATTRIBUTES])
    intercept = np.array([lines.get(attribute, {}).get("intercept", 0.0) for attribute in ATTRIBUTES])
    return sigmoid(slope * logit + intercept).astype(np.float32)


def wilson(successes: float, trials: float) -> tuple[float, float]:
    """Give the 95 % interval of a share (Wilson 1927); NaN without trials."""
    if not trials:
        return float("nan"), float("nan")
    z = 1.959963984540054
    share = successes / trials
    middle = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z * np.sqrt(share * (1 - share) / trials + z * z / (4 * trials**2)) / (1 + z * z / trials)
    return float(max(middle - half, 0)), float(min(middle + half, 1))


def reliability(scores: ArrayLike, positive: ArrayLike, bins: int = BINS) -> list[dict[str, Any]]:
    """Give the bars of a reliability diagram: equal-width bins, those without rows left out.

    Args:
        scores: (n,) probabilities.
        positive: (n,) True or False.
        bins: how many.

    Returns:
        for each bin `begin`, `end`, `rows`, `score` (mean), `rate` (share positive), `low`, `high` (of rate).
    """
    score, truth = np.asarray(scores, dtype=np.float64), np.asarray(positive, dtype=bool)
    place = np.minimum((score * bins).astype(int), bins - 1)
    result = []
    for each in range(bins):
        inside = place == each
        rows = int(inside.sum())
        if rows:
            ups = int(truth[inside].sum())
            low, high = wilson(ups, rows)
            bar = {"begin": each / bins, "end": (each + 1) / bins, "rows": rows}
            bar |= {"score": float(score[inside].mean()), "rate": ups / rows, "low": low, "high": high}
            result.append(bar)
    return result


def gaps(
    scores: ArrayLike, positive: ArrayLike, groups: Mapping[str, NDArray[np.bool_]], least: int = 50
) -> dict[str, dict[str, Any]]:
    """Compare mean score and share positive inside each group, since a good average can hide a bad one.

    A group is anything that selects rows: an identity that is mentioned, an action that a policy takes.

    Args:
        scores: (n,) calibrated probabilities.
        positive: (n,) True or False.
        groups: name to (n,) True where a row belongs to it.
        least: rows below which no figure is given.

    Returns:
        group to `rows` and, where there are enough, `score`, `rate`, its interval `low` and `high`, and `gap`
        (score - rate: above 0 the model is too suspicious of the group).
    """
    score, truth = np.asarray(scores, dtype=np.float64), np.asarray(positive, dtype=bool)
    result: dict[str, dict[str, Any]] = {}
    for name, inside in groups.items():
        rows = int(inside.sum())
        result[name] = {"rows": rows}
        if rows >= least:
            ups = int(truth[inside].sum())
            low, high = wilson(ups, rows)
            mean = float(score[inside].mean())
            result[name] |= {"score": mean, "rate": ups / rows, "low": low, "high": high}
            result[name]["gap"] = mean - ups / rows
    return result
