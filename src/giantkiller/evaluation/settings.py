"""What a bundle ships along with its weights, fitted on labelled rows: calibration, thresholds, policy.

Fitted in one place, for export and evaluation alike. A calibration maps a logit to a probability by a slope
and an intercept, `sigmoid(slope * logit + intercept)`: temperature scaling when the intercept is 0 (Guo et
al. 2017), Platt scaling otherwise (Platt 1999, with his smoothed targets). It keeps the order of comments.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from giantkiller.attributes import ATTRIBUTES, POSITIVE
from giantkiller.calibration import Calibration, calibrate, sigmoid
from giantkiller.errors import MissingExtraError, UserError
from giantkiller.evaluation.metrics import MIN_CLASS, TooFewRowsError, require_classes
from giantkiller.evaluation.thresholds import PolicyAims, fit_policy, fit_thresholds
from giantkiller.policy import Policy

Floats = NDArray[np.float64]
METHODS = ("none", "temperature", "platt")
FOLDS = 5
LARGEST_LOGIT = 30.0
"""Beyond this a probability is 0 or 1 in every respect; keeps stored scores of exactly 0 or 1 finite."""


class WrongWayRoundError(UserError):
    """Scores that are lower for positive rows than for negative ones."""


@dataclass(frozen=True)
class CalibrationFit:
    """The method with the least cross-validated log loss, fitted on all rows, and each method's loss."""

    method: str
    calibration: Calibration
    losses: dict[str, float]


@dataclass(frozen=True)
class FittedSettings:
    """Calibration, thresholds and policy, and how they came about.

    Attributes:
        calibration: Attribute to its line; slope 1 and intercept 0 where nothing could be fitted.
        threshold: Attribute to the score from which on a comment is called positive; 0.5 likewise.
        policy: Thresholds of the actions.
        methods: Attribute to the method of its calibration, or why there is none.
        losses: Attribute to each method's cross-validated log loss.
        notes: Attribute to why it has no actions, or no `remove`.
        wrong_way_round: Attribute to what was said of its scores, where they are lower for positive rows than
            for negative ones: no policy may decide by them.
    """

    calibration: dict[str, Calibration]
    threshold: dict[str, float]
    policy: Policy
    methods: dict[str, str]
    losses: dict[str, dict[str, float]]
    notes: dict[str, str]
    wrong_way_round: dict[str, str] = field(default_factory=dict)


def to_logits(scores: ArrayLike) -> Floats:
    """Return the logits of probabilities; those of 0 and 1 are -30 and 30."""
    score = np.asarray(scores, dtype=np.float64)
    edge = sigmoid(-LARGEST_LOGIT)
    score = np.clip(score, edge, 1 - edge)
    return np.asarray(np.clip(np.log(score) - np.log1p(-score), -LARGEST_LOGIT, LARGEST_LOGIT))


def fit_settings(
    logits: ArrayLike,
    targets: ArrayLike,
    *,
    aims: PolicyAims | None = None,
    enriched: Mapping[str, str] | None = None,
    seed: int = 0,
) -> FittedSettings:
    """Fit calibration, thresholds and policy, each attribute for itself.

    Args:
        logits: (n, 7) in the order of ATTRIBUTES.
        targets: (n, 7) fractions of raters, NaN where missing; rows that neither training nor a test uses.
        aims: What the policy aims at; those of `PolicyAims` if not given.
        enriched: Attribute to the name of the file that its rows are from, where that file holds more toxic
            comments than come in daily. Such an attribute never leads to `remove`: a precision reached on
            these rows is not one on daily comments.
        seed: Of the folds of the cross-validation.

    Raises:
        UserError: No attribute can be fitted (too few labels, or scores that rank them the wrong way round),
            or rows that don't match.
    """
    logit, target = np.asarray(logits, dtype=np.float64), np.array(targets, dtype=np.float64)
    calibration: dict[str, Calibration] = {}
    methods: dict[str, str] = {}
    losses: dict[str, dict[str, float]] = {}
    refused: dict[str, str] = {}
    for column, attribute in enumerate(ATTRIBUTES):
        try:
            fit = choose_calibration(logit[:, column], target[:, column], seed=seed, name=attribute)
        except (TooFewRowsError, WrongWayRoundError) as reason:
            calibration[attribute], methods[attribute] = Calibration(), f"none: {reason}"
            if isinstance(reason, WrongWayRoundError):
                refused[attribute] = str(reason)
                target[:, column] = np.nan  # thresholds of such scores would flag the harmless ones
            continue
        calibration[attribute], methods[attribute] = fit.calibration, fit.method
        losses[attribute] = fit.losses
    if not losses:
        reasons = "; ".join(dict.fromkeys(method.removeprefix("none: ") for method in methods.values()))
        raise UserError(f"nothing can be fitted on these rows: {reasons}")
    # In float32, as the screener returns them: a threshold must fall between the same two scores there.
    scores = calibrate(logit, calibration).astype(np.float32)
    policy, notes = fit_policy(scores, target, aims=aims or PolicyAims(), enriched=enriched or {})
    for attribute, method in methods.items():
        if attribute not in losses:
            notes[attribute] = f"{attribute} leads to no action: {method.removeprefix('none: ')}"
    return FittedSettings(
        calibration=calibration,
        threshold=fit_thresholds(scores, target),
        policy=policy,
        methods=methods,
        losses=losses,
        notes=notes,
        wrong_way_round=refused,
    )


def choose_calibration(
    logits: ArrayLike, targets: ArrayLike, *, seed: int = 0, name: str = "toxicity"
) -> CalibrationFit:
    """Choose one of METHODS by log loss in stratified five-fold cross-validation, the earlier one on a tie.

    Args:
        logits: (n,).
        targets: (n,) fractions of raters, NaN where missing.
        seed: Of the folds.
        name: Of the attribute, for error messages.

    Raises:
        TooFewRowsError: Fewer than MIN_CLASS rows of a class.
        WrongWayRoundError: The scores rank the rows the wrong way round.
        UserError: Shapes differ, or a labelled row has no logit.
    """
    try:
        from sklearn.model_selection import StratifiedKFold
    except ImportError as error:
        raise MissingExtraError("scikit-learn", "judge") from error
    logit, positive = _labelled_logits(logits, targets, name)
    losses = dict.fromkeys(METHODS, 0.0)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    for train, held_out in folds.split(logit[:, None], positive):
        for method in METHODS:
            line = _fit(method, logit[train], positive[train], name)
            probability = np.clip(line.apply(logit[held_out]), 1e-4, 1 - 1e-4)
            likelihood = np.where(positive[held_out], probability, 1 - probability)
            losses[method] -= float(np.log(likelihood).sum()) / len(logit)
    best = min(METHODS, key=lambda method: losses[method])
    return CalibrationFit(best, _fit(best, logit, positive, name), losses)


def _fit(method: str, logit: Floats, positive: NDArray[np.bool_], name: str) -> Calibration:
    if method == "none":
        return Calibration()
    try:
        from sklearn.linear_model import LogisticRegression
    except ImportError as error:
        raise MissingExtraError("scikit-learn", "judge") from error
    positives, negatives = int(positive.sum()), int((~positive).sum())
    target = positive.astype(np.float64)
    if method == "platt":
        # Platt's smoothed targets keep the line finite where the classes don't overlap.
        target = np.where(positive, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    # A fractional target is its row twice, once of each class, with the two shares as weights.
    with warnings.catch_warnings():
        # Scores that are all but equal: it says so at length and goes on with another solver.
        warnings.simplefilter("ignore")
        regression = LogisticRegression(
            C=np.inf, fit_intercept=method == "platt", solver="newton-cholesky", tol=1e-8, max_iter=100
        ).fit(
            np.r_[logit, logit][:, None],
            np.repeat([1, 0], len(logit)),
            sample_weight=np.r_[target, 1 - target],
        )
    slope = float(regression.coef_[0, 0])
    if slope <= 0:
        raise WrongWayRoundError(
            f"the scores for {name} rank labelled rows the wrong way round: is the column right?"
        )
    return Calibration(slope, float(np.ravel(regression.intercept_)[0]))


def _labelled_logits(logits: ArrayLike, targets: ArrayLike, name: str) -> tuple[Floats, NDArray[np.bool_]]:
    logit, target = np.asarray(logits, dtype=np.float64), np.asarray(targets, dtype=np.float64)
    if logit.shape != target.shape or logit.ndim != 1:
        raise UserError(f"{logit.shape} logits for {target.shape} targets of {name}: give one for each row")
    kept = ~np.isnan(target)
    if not kept.any():
        raise TooFewRowsError(f"no row has a target for {name}: calibration needs labelled rows")
    logit, positive = np.clip(logit[kept], -LARGEST_LOGIT, LARGEST_LOGIT), target[kept] >= POSITIVE
    if np.isnan(logit).any():
        raise UserError(f"a row labelled for {name} has no logit: score every labelled row")
    require_classes(positive, name, MIN_CLASS, purpose="calibration")
    return logit, positive
