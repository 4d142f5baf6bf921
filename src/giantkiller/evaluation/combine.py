"""Fit `policy.combine`: our score and other signals (user reports, account age ...) in one probability.

The fit is a logistic regression with a small ridge penalty on standardised signals. With two or three signals
and labelled rows it needs no calibration beside it; whether that holds is reported on rows it has not seen.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from giantkiller.errors import UserError
from giantkiller.evaluation.calibration import sigmoid
from giantkiller.evaluation.metrics import MIN_CLASS, SAMPLES, both_classes, measure
from giantkiller.policy import Combination, combine

RIDGE = 1.0
"""Penalty on the weights, as if of one row: it keeps a signal that separates the rows perfectly finite."""
FOLDS = 5


def fit(signals: Mapping[str, ArrayLike], targets: ArrayLike) -> Combination:
    """Fit a combination on labelled rows.

    Args:
        signals: name to (n,) finite numbers: a calibrated score (or better its logit), a count of reports ...
        targets: (n,) fractions of raters; a row without a target is left out.

    Raises:
        UserError: no signal, one that is missing in a row or the same in all, lengths that differ, or fewer
            than 10 rows of a class.
    """
    columns, positive = _rows(signals, targets)
    return _fit(columns, positive)


def _rows(
    signals: Mapping[str, ArrayLike], targets: ArrayLike
) -> tuple[dict[str, NDArray[np.float64]], NDArray[np.bool_]]:
    target = np.asarray(targets, dtype=np.float64)
    if not signals:
        raise UserError("a combination needs at least one signal: name some")
    kept = ~np.isnan(target)
    columns = {}
    for name, values in signals.items():
        try:
            column = np.asarray(values, dtype=np.float64)
        except (TypeError, ValueError):
            raise UserError(f"the signal {name!r} holds words: give numbers") from None
        if column.shape != target.shape:
            raise UserError(
                f"the signal {name!r} has {len(column)} rows for {len(target)} labels: give one each"
            )
        if not np.isfinite(column[kept]).all():
            row = int(np.flatnonzero(kept & ~np.isfinite(column))[0])
            raise UserError(f"the signal {name!r} is missing in row {row + 1}: fill it or drop the row")
        columns[name] = column[kept]
        if kept.any() and columns[name].min() == columns[name].max():
            raise UserError(f"the signal {name!r} is the same in every row: it says nothing, drop it")
    positive = target[kept] >= 0.5
    both_classes(positive, "the combination", MIN_CLASS)
    return columns, positive


def _fit(columns: Mapping[str, NDArray[np.float64]], positive: NDArray[np.bool_]) -> Combination:
    means = {name: float(column.mean()) for name, column in columns.items()}
    scales = {name: float(column.std()) or 1.0 for name, column in columns.items()}
    features = np.stack(
        [(column - means[name]) / scales[name] for name, column in columns.items()]
        + [np.ones(len(positive))],
        axis=1,
    )
    penalty = RIDGE * np.diag([1.0] * len(columns) + [0.0])
    weights = np.zeros(features.shape[1])
    for _ in range(100):
        p = sigmoid(features @ weights)
        gradient = features.T @ (p - positive) + penalty @ weights
        curvature = (features * (p * (1 - p))[:, None]).T @ features + penalty + 1e-9 * np.eye(len(weights))
        step = np.linalg.solve(curvature, gradient)
        # A full Newton step overshoots where p saturates; a bounded one always comes home.
        weights = weights - step * min(1.0, 2.0 / max(float(np.abs(step).max()), 1e-12))
        if np.abs(step).max() < 1e-10:
            break
    return Combination(
        signals=tuple(columns),
        weights=tuple(map(float, weights[:-1])),
        intercept=float(weights[-1]),
        means=tuple(means.values()),
        scales=tuple(scales.values()),
    )


def report(
    signals: Mapping[str, ArrayLike], targets: ArrayLike, *, samples: int = SAMPLES, seed: int = 0
) -> dict[str, Any]:
    """Judge combining in five-fold cross-validation: each row is scored by a fit that has not seen it.

    Args:
        signals: see `fit`.
        targets: see `fit`.
        samples: bootstrap samples.
        seed: of the folds and the bootstrap.

    Returns:
        `combined`: what `metrics.measure` gives; `alone`: the same for each signal by itself, fitted the same
        way; `weights`: of the fit on all rows, per standard deviation of the signal.

    Raises:
        UserError: see `fit`.
    """
    columns, positive = _rows(signals, targets)
    fold = np.empty(len(positive), dtype=int)
    rng = np.random.default_rng(seed)
    for each in (True, False):
        members = rng.permutation(np.flatnonzero(positive == each))
        fold[members] = np.arange(len(members)) % FOLDS

    def judged(names: tuple[str, ...]) -> dict[str, Any]:
        scores = np.empty(len(positive))
        for held in range(FOLDS):
            out = fold == held
            fitted = _fit({name: columns[name][~out] for name in names}, positive[~out])
            scores[out] = combine(fitted, {name: columns[name][out] for name in names})
        return measure(scores, positive, samples=samples, seed=seed, name="the combination")

    whole = _fit(columns, positive)
    return {
        "combined": judged(tuple(columns)),
        "alone": {name: judged((name,)) for name in columns},
        "weights": dict(zip(whole.signals, whole.weights, strict=True)),
    }
