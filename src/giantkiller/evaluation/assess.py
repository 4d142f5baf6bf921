"""Everything a report says, computed once, as one dictionary that JSON can hold."""

import datetime
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from giantkiller import __version__
from giantkiller.attributes import ATTRIBUTES, POSITIVE
from giantkiller.errors import UserError
from giantkiller.evaluation import bias, calibration, identities, metrics, thresholds
from giantkiller.evaluation.metrics import Ranked, Scorer, draws, labelled
from giantkiller.policy import ACTIONS, Policy

FORMAT = 1
"""Version of report.json."""
GRID = 101
BAND_SAMPLES = 200
"""Bootstrap samples behind the bands of curves; figures use as many as were asked for."""
HISTOGRAM_BINS = 40
TOXICITY = ATTRIBUTES.index("toxicity")

Explain = Callable[[str], Sequence[tuple[int, int, float]]]
"""A text to the words that carried its score: begin, end, contribution."""


@dataclass(frozen=True)
class Wishes:
    """How a model is to be judged.

    Attributes:
        thresholds: name to a threshold per attribute, beside 0.5; the first one decides where one must.
        policy: attribute to thresholds of the actions; may be empty.
        base_rate: share of toxic comments at the site in question; that of the rows if None.
        samples: bootstrap samples.
        seed: of every random draw.
        errors: how many of the hardest errors of each kind are shown with their text.
    """

    thresholds: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    policy: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    base_rate: float | None = None
    samples: int = metrics.SAMPLES
    seed: int = 0
    errors: int = 10

    @property
    def decision(self) -> float:
        """The threshold from which on a comment is called toxic where one number is needed."""
        for each in self.thresholds.values():
            if "toxicity" in each:
                return float(each["toxicity"])
        return 0.5


def assess(
    texts: Sequence[str],
    targets: ArrayLike,
    scores: ArrayLike,
    wishes: Wishes,
    *,
    columns: Mapping[str, NDArray[Any]] | None = None,
    scorer: Scorer | None = None,
    explain: Explain | None = None,
    progress: Callable[[str], object] | None = None,
) -> dict[str, Any]:
    """Judge one model on one labelled file, in all respects.

    Args:
        texts: n comments.
        targets: (n, 7) fractions of raters, NaN where missing.
        scores: (n, 7) probabilities, a column of NaN where the model has no such attribute.
        wishes: thresholds, policy, samples.
        columns: the file's other columns; identity columns are taken from them.
        scorer: texts to scores, for the identity swap; left out for stored scores.
        explain: which words carried a toxicity score; used for the hardest errors.
        progress: called with the name of each step.

    Returns:
        a dictionary of plain JSON values; docs/guides/judging.md names its parts.

    Raises:
        UserError: see `metrics.judge`.
    """
    score, target = np.asarray(scores, dtype=np.float64), np.asarray(targets, dtype=np.float64)
    say = progress or (lambda step: None)
    report = metrics.judge(
        score, target, thresholds=wishes.thresholds, samples=wishes.samples, seed=wishes.seed, progress=say
    )
    now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    head = {"format": FORMAT, "giantkiller": __version__, "created": now}
    head["settings"] = {"samples": wishes.samples, "seed": wishes.seed, "positive_from": POSITIVE}
    for attribute, block in report["attributes"].items():
        say(f"curves of {attribute}")
        column = score[:, ATTRIBUTES.index(attribute)], target[:, ATTRIBUTES.index(attribute)]
        block["curves"] = curves(*column, samples=min(wishes.samples, BAND_SAMPLES), seed=wishes.seed)
        block["sweep"] = swept(*column)
        kept, positive, _ = labelled(*column)
        block["reliability"] = calibration.reliability(kept, positive)
        block["histogram"] = histogram(kept, positive)
    if "toxicity" in report["attributes"]:
        say("identities")
        report |= _about_toxicity(texts, target, score, wishes, columns, scorer, explain)
    return dict(metrics.as_json(head | report))


def _about_toxicity(
    texts: Sequence[str],
    target: NDArray[np.float64],
    score: NDArray[np.float64],
    wishes: Wishes,
    columns: Mapping[str, NDArray[Any]] | None,
    scorer: Scorer | None,
    explain: Explain | None,
) -> dict[str, Any]:
    column, positive, rows = labelled(score[:, TOXICITY], target[:, TOXICITY])
    some = [texts[row] for row in rows]
    # Only columns that the search for identities reads; others may be anything.
    found = identities.find(
        some,
        {name: columns[name][rows] for name in identities.COLUMNS if name in columns} if columns else None,
    )
    once: dict[str, Any] = {"samples": wishes.samples, "seed": wishes.seed}
    report: dict[str, Any] = {"bias": bias.audit(column, positive, found, threshold=wishes.decision, **once)}
    report["bias"]["calibration"] = calibration.gaps(
        column, positive, {name: mask & found.known for name, mask in found.masks.items()}
    )
    if wishes.policy:
        taken = Policy(wishes.policy).actions(score[rows])
        report["policy"] = {
            "thresholds": {name: dict(steps) for name, steps in wishes.policy.items()},
            "consequences": thresholds.consequences(taken, positive, base_rate=wishes.base_rate, **once),
            "calibration": calibration.gaps(column, positive, {name: taken == name for name in ACTIONS}),
        }
    if scorer is not None:
        report["swaps"] = bias.swapped(texts, scorer, threshold=wishes.decision, **once)
    report["errors"] = hardest(some, column, positive, wishes.decision, wishes.errors, explain)
    for error in report["errors"]:
        error["row"] = int(rows[error["row"]]) + 1
    return report


def curves(scores: ArrayLike, targets: ArrayLike, *, samples: int, seed: int = 0) -> dict[str, Any]:
    """Trace ROC and precision-recall curves with pointwise bootstrap bands.

    Args:
        scores: (n,) probabilities.
        targets: (n,) fractions of raters, NaN where missing.
        samples: bootstrap samples of the bands; 0 for none.
        seed: of the bootstrap.

    Returns:
        `grid` (101 points from 0 to 1): false-positive rates of `roc`, recalls of `pr`; for both `value`,
        `low`, `high` at each point of the grid. The ROC value is the recall reached without exceeding the
        rate, the PR value the precision at the threshold where the recall is first reached.
    """
    score, positive, _ = labelled(scores, targets)
    ranked = Ranked.of(score, positive)
    grid = np.linspace(0, 1, GRID)
    ups, downs = len(ranked.positive), len(ranked.negative)

    def trace(draw: Any) -> NDArray[np.float64]:
        up, down = ranked.counts(draw)
        tp, fp = np.r_[0, np.cumsum(up)], np.r_[0, np.cumsum(down)]
        recall = tp[np.searchsorted(fp, np.floor(grid * downs + 1e-9), side="right") - 1] / ups
        place = np.searchsorted(tp, np.maximum(np.ceil(grid * ups - 1e-9), 1))
        return np.stack([recall, tp[place] / (tp[place] + fp[place])])

    values = trace(None)
    drawn = np.array([trace(draw) for draw in draws(ups, downs, samples, seed)])
    low, high = (
        np.percentile(drawn, q, axis=0) if samples else np.full_like(values, np.nan) for q in (2.5, 97.5)
    )
    result: dict[str, Any] = {"grid": grid.round(4).tolist()}
    for place, name in enumerate(("roc", "pr")):
        result[name] = {
            "value": values[place].round(5).tolist(),
            "low": low[place].round(5).tolist(),
            "high": high[place].round(5).tolist(),
        }
    return result


def swept(scores: ArrayLike, targets: ArrayLike) -> dict[str, list[float]]:
    """Thin out `thresholds.sweep` to 101 even thresholds, for a picture."""
    table = thresholds.sweep(scores, targets)
    at = np.linspace(0, 1, GRID)
    place = np.searchsorted(-table["threshold"], -at, side="right") - 1
    result = {"threshold": at.round(4).tolist()}
    for name, empty in (("precision", np.nan), ("recall", 0.0), ("f1", 0.0), ("flagged", 0.0)):
        result[name] = np.where(place >= 0, table[name][place], empty).round(5).tolist()
    return result


def histogram(scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> dict[str, list[int]]:
    """Count rows of each class in even bins of the score."""
    edges = np.linspace(0, 1, HISTOGRAM_BINS + 1)
    return {
        "positive": np.histogram(scores[positive], edges)[0].tolist(),
        "negative": np.histogram(scores[~positive], edges)[0].tolist(),
    }


def hardest(
    texts: Sequence[str],
    scores: NDArray[np.float64],
    positive: NDArray[np.bool_],
    threshold: float,
    count: int,
    explain: Explain | None = None,
) -> list[dict[str, Any]]:
    """Collect the errors that the model was surest of: missed comments, then false alarms."""
    missed = np.flatnonzero(positive & (scores < threshold))
    alarms = np.flatnonzero(~positive & (scores >= threshold))
    result = []
    for kind, rows in (
        ("missed", missed[np.argsort(scores[missed], kind="stable")]),
        ("false alarm", alarms[np.argsort(-scores[alarms], kind="stable")]),
    ):
        for row in rows[:count]:
            error = {"kind": kind, "row": int(row), "score": float(scores[row]), "text": texts[row]}
            if explain is not None:
                error["words"] = [[int(a), int(b), float(c)] for a, b, c in explain(texts[row])]
            result.append(error)
    return result


def fit(scores: ArrayLike, targets: ArrayLike, choices: Sequence[str] = ()) -> dict[str, Any]:
    """Fit calibration, thresholds and policy for a model on validation rows.

    Args:
        scores: (n, 7) probabilities of the validation rows.
        targets: (n, 7) fractions of raters, NaN where missing.
        choices: further thresholds for toxicity, such as "precision=0.9" or "capacity=0.02"
            (see `thresholds.choose`).

    Returns:
        `lines` (attribute to slope and intercept on the logit), `methods` (attribute to how it was fitted),
        `losses` (calibration method to its cross-validated log loss on toxicity), `thresholds` (name to
        attribute to threshold; "validation" holds the best F1 of each attribute), `policy`, `notes`.

    Raises:
        UserError: a choice that cannot be read or reached; see also `thresholds.choose`.
    """
    score, target = np.asarray(scores, dtype=np.float64), np.asarray(targets, dtype=np.float64)
    present: NDArray[np.bool_] = np.asarray(~np.isnan(score).all(axis=0))
    if not present[TOXICITY]:
        raise UserError("the model gives no toxicity score, so nothing can be fitted for it")
    target = np.where(present, target, np.nan)
    logits = np.where(np.isnan(score), 0.0, calibration.to_logits(score))
    lines, methods = calibration.fit_lines(logits, target)
    calibrated = calibration.apply_lines(logits, lines)
    policy, notes = thresholds.fit_policy(calibrated, target)
    decisions = thresholds.fit_decisions(calibrated, target)
    named = {"validation": {a: t for a, t in decisions.items() if present[ATTRIBUTES.index(a)]}}
    for choice in choices:
        by, _, value = choice.partition("=")
        try:
            number = float(value) if value else None
        except ValueError:
            raise UserError(f"{choice!r} is no choice of a threshold: say it like precision=0.9") from None
        named[choice] = {
            "toxicity": thresholds.choose(calibrated[:, TOXICITY], target[:, TOXICITY], by=by, value=number)
        }
    losses = calibration.choose(logits[:, TOXICITY], target[:, TOXICITY]).losses
    return {
        "lines": lines,
        "methods": methods,
        "losses": losses,
        "thresholds": named,
        "policy": policy,
        "notes": notes,
    }


def recalibrated(scores: ArrayLike, lines: Mapping[str, Mapping[str, float]]) -> NDArray[np.float32]:
    """Apply fitted lines to probabilities; columns of NaN stay so."""
    score = np.asarray(scores, dtype=np.float64)
    result = calibration.apply_lines(np.where(np.isnan(score), 0.0, calibration.to_logits(score)), lines)
    return np.where(np.isnan(score), np.nan, result).astype(np.float32)
