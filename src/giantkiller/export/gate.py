"""Making the optional gate: a linear model of tokens learns which comments the bundle sends to review."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from giantkiller.attributes import ATTRIBUTES
from giantkiller.encoding import ID
from giantkiller.errors import MissingExtraError, UserError
from giantkiller.evaluation import calibration
from giantkiller.export.onnx import Floats
from giantkiller.gate import WEIGHT, Gate

LOST = 0.001
"""Share of the comments that need review, and of the toxic ones, that the gate may stop."""

HELD_OUT = 0.2
"""Share of the gate's texts that it does not learn from: its threshold is set on them, too."""

INVERSE_PENALTY = 20.0  # of the logistic regression; 1 to 30 differ little, the larger pass fewer comments
FEWEST = 20


@dataclass(frozen=True)
class Judged:
    """Comments' token ids, and the exported model's logits for them, (n, 7)."""

    rows: Sequence[Sequence[int]]
    logits: Floats


def make(
    learn: Judged,
    held_out: NDArray[np.bool_],
    validation: Judged,
    toxic: NDArray[np.bool_],
    *,
    size: int,
    policy: Mapping[str, Mapping[str, float]],
    lines: Mapping[str, Mapping[str, float]],
) -> tuple[Gate, dict[str, Any]]:
    """Teach a gate what the exported model sends to review, and set its threshold.

    The threshold is the highest that stops at most a share `LOST` of the comments that the model sends to
    review, and of the toxic ones among them; of comments that the gate has not learned from.

    Args:
        learn: comments that it learns on.
        held_out: which of them are kept for the threshold instead.
        validation: the calibration rows, on which the threshold is set, too.
        toxic: which of them raters call toxic.
        size: number of token ids.
        policy: the bundle's.
        lines: its calibration.

    Returns:
        the gate, and what to write down about it.

    Raises:
        UserError: no review thresholds, too few comments of either kind, or it could stop nobody.
    """
    scores = calibration.apply_lines(learn.logits, lines)
    reviewed = review(scores, policy)
    lessons = [row for row, out in zip(learn.rows, held_out, strict=True) if not out]
    gate = fit(lessons, reviewed[~held_out], size)
    judged = [row for row, out in zip(learn.rows, held_out, strict=True) if out] + list(validation.rows)
    scores = np.concatenate([scores[held_out], calibration.apply_lines(validation.logits, lines)])
    reviewed = review(scores, policy)
    ours = np.arange(len(judged)) >= held_out.sum()
    called = np.zeros(len(judged), bool)
    called[ours] = toxic
    margins = gate.margins([np.array(row, ID).tobytes() for row in judged])
    groups = {
        "reviewed, held out": reviewed & ~ours,
        "reviewed, calibration files": reviewed & ours,
        "reviewed and toxic": reviewed & called,
    }
    threshold = highest(margins, list(groups.values()))
    stopped = margins < threshold
    if not stopped.any():
        raise UserError("a gate would stop no comment without losing too many; export without one")
    groups = {"held out": ~ours, "calibration files": ours, **groups}
    return replace(gate, threshold=threshold, logits=mean_logits(scores[stopped], lines)), {
        "lost_at_most": LOST,
        "judged": {
            name: {"comments": int(group.sum()), "stopped": int((group & stopped).sum())}
            for name, group in groups.items()
        },
    }


def review(scores: Floats, policy: Mapping[str, Mapping[str, float]]) -> NDArray[np.bool_]:
    """Tell which rows of scores, (n, 7), a policy sends to review or removes.

    Raises:
        UserError: the policy never does.
    """
    cuts = np.array([policy.get(attribute, {}).get("review", np.inf) for attribute in ATTRIBUTES])
    if np.isinf(cuts).all():
        raise UserError(
            "a gate needs a policy with review thresholds: give calibration data, enough of it labelled"
        )
    return np.asarray((scores >= cuts).any(axis=1))


def fit(rows: Sequence[Sequence[int]], reviewed: NDArray[np.bool_], size: int) -> Gate:
    """Learn a weight for each token: logistic regression on counts over the root of a comment's length.

    Args:
        rows: comments' token ids, special ones included.
        reviewed: whether the model sends each to review.
        size: number of token ids.

    Returns:
        a gate that stops nobody yet.

    Raises:
        UserError: too few comments of either kind.
    """
    if min(int(reviewed.sum()), int((~reviewed).sum())) < FEWEST:
        raise UserError(
            f"of the gate's {len(rows):,} texts {int(reviewed.sum()):,} need review; it learns from at least "
            f"{FEWEST} that do and {FEWEST} that don't"
        )
    try:
        from scipy.sparse import csr_matrix, hstack
        from sklearn.linear_model import LogisticRegression
    except ImportError as error:
        raise MissingExtraError("scikit-learn", "train") from error
    lengths = np.fromiter(map(len, rows), np.intp, len(rows))
    places = np.concatenate([[0], np.cumsum(lengths)])
    ids = np.concatenate([np.asarray(row, np.intp) for row in rows])
    shares = np.repeat(1 / np.sqrt(lengths), lengths)
    features = hstack([csr_matrix((shares, ids, places), shape=(len(rows), size)), np.log(lengths)[:, None]])
    regression = LogisticRegression(C=INVERSE_PENALTY, solver="liblinear", max_iter=300)
    model = regression.fit(features.tocsr(), reviewed)
    return Gate(
        weights=model.coef_[0, :size].astype(WEIGHT),
        bias=float(model.intercept_[0]),
        length=float(model.coef_[0, size]),
        threshold=-np.inf,
        logits=np.zeros(len(ATTRIBUTES), np.float32),
    )


def highest(margins: NDArray[np.float64], groups: Sequence[NDArray[np.bool_]], lost: float = LOST) -> float:
    """Give the highest threshold that stops at most a share `lost` of each group's members.

    Args:
        margins: one a comment.
        groups: masks over them; empty ones don't count.
    """
    cuts = [np.sort(margins[group])[int(lost * group.sum())] for group in groups if group.any()]
    return float(min(cuts)) if cuts else -np.inf


def mean_logits(scores: Floats, lines: Mapping[str, Mapping[str, float]]) -> Floats:
    """Give the logits, shape (7,), whose calibrated scores are the mean of some rows of scores, (n, 7)."""
    wanted = calibration.to_logits(scores.astype(np.float64).mean(axis=0))
    slope, intercept = (
        np.array([lines.get(attribute, {}).get(part, default) for attribute in ATTRIBUTES])
        for part, default in (("slope", 1.0), ("intercept", 0.0))
    )
    return np.asarray((wanted - intercept) / slope, np.float32)
