"""Where to draw the line, and what each choice of a line means in comments.

Thresholds are chosen on validation rows and reported on others. A comment is called toxic from the threshold
on (score >= threshold). A threshold lies halfway between two scores that occur, so that the last digit of a
score decides nothing.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from giantkiller.attributes import ATTRIBUTES
from giantkiller.errors import UserError
from giantkiller.evaluation.metrics import (
    MIN_CLASS,
    SAMPLES,
    Figure,
    Ranked,
    TooFewRowsError,
    both_classes,
    interval,
    labelled,
)
from giantkiller.policy import ACTIONS

BY = ("f1", "precision", "recall", "cost", "capacity")
PER = 10_000
"""Consequences are counted per this many comments."""
MIN_FLAGGED = 20
"""A precision estimated from fewer comments than this decides nothing."""


def sweep(scores: ArrayLike, targets: ArrayLike, name: str = "toxicity") -> dict[str, NDArray[np.float64]]:
    """Try every threshold that makes a difference.

    Args:
        scores: (n,) probabilities.
        targets: (n,) fractions of raters, NaN where missing.
        name: of the attribute, for error messages.

    Returns:
        arrays of one length, from the highest threshold to the lowest: `threshold`, `tp`, `fp`, `flagged`
        (share of comments), `precision`, `recall`, `f1`, `false_positive_rate`.

    Raises:
        UserError: see `metrics.measure`.
    """
    score, positive, _ = labelled(scores, targets, name)
    both_classes(positive, name)
    ranked = Ranked.of(score, positive)
    up, down = ranked.counts()
    tp, fp = np.cumsum(up).astype(np.float64), np.cumsum(down).astype(np.float64)
    levels = ranked.levels
    return {
        "threshold": np.append((levels[:-1] + levels[1:]) / 2, levels[-1]),
        "tp": tp,
        "fp": fp,
        "flagged": (tp + fp) / len(score),
        "precision": tp / (tp + fp),
        "recall": tp / tp[-1],
        "f1": 2 * tp / (tp + fp + tp[-1]),
        "false_positive_rate": fp / fp[-1],
    }


def choose(
    scores: ArrayLike,
    targets: ArrayLike,
    *,
    by: str = "f1",
    value: float | None = None,
    name: str = "toxicity",
) -> float:
    """Choose one threshold on validation rows.

    Args:
        scores: (n,) probabilities.
        targets: (n,) fractions of raters, NaN where missing.
        by: `f1` (the best F1), `precision` (the most recall at this precision or more), `recall` (the fewest
            flagged at this recall or more), `cost` (a missed toxic comment costs this many false alarms) or
            `capacity` (at most this share of comments flagged: 200 a day of 10,000 is 0.02).
        value: what `by` asks for; nothing for `f1`.
        name: of the attribute, for error messages.

    Raises:
        UserError: an unknown or impossible wish, or see `metrics.measure`.
    """
    if by not in BY:
        raise UserError(f"thresholds are chosen by {', '.join(BY)}, not by {by!r}")
    if by != "f1" and (value is None or not 0 < value <= (np.inf if by == "cost" else 1)):
        wanted = "a positive number" if by == "cost" else "a share between 0 and 1"
        raise UserError(f"choosing a threshold by {by} needs {wanted}, not {value}")
    table = sweep(scores, targets, name)
    value = 0.0 if value is None else float(value)
    flagged = table["tp"] + table["fp"]
    if by == "f1":
        place = int(np.argmax(table["f1"]))
    elif by == "cost":
        place = int(np.argmin((table["tp"][-1] - table["tp"]) * value + table["fp"]))
    elif by == "recall":
        place = int(np.argmax(table["recall"] >= value))
    elif by == "precision":
        enough = flagged >= min(MIN_FLAGGED, flagged[-1])
        reaches = np.flatnonzero(enough & (table["precision"] >= value))
        if not len(reaches):
            best = float(table["precision"][enough].max())
            raise UserError(
                f"no threshold for {name} reaches {value:.0%} precision on {MIN_FLAGGED} comments or more; "
                f"the best is {best:.1%}: ask for less"
            )
        place = int(reaches[-1])
    else:
        within = np.flatnonzero(table["flagged"] <= value)
        if not len(within):
            raise UserError(
                f"even the highest score of {name} flags more than {value:.2%} of comments: they tie"
            )
        place = int(within[-1])
    return float(table["threshold"][place])


def fit_decisions(
    scores: ArrayLike, targets: ArrayLike, *, by: str = "f1", value: float | None = None
) -> dict[str, float]:
    """Choose the toxic / not threshold of each attribute that has enough labels, as `choose` does.

    Args:
        scores: (n, 7) calibrated probabilities in the order of ATTRIBUTES.
        targets: (n, 7) fractions of raters, NaN where missing; validation rows.
        by: see `choose`.
        value: see `choose`.

    Returns:
        attribute to threshold; 0.5 for an attribute without enough labels.
    """
    score, target = np.asarray(scores), np.asarray(targets)
    found = {}
    for place, attribute in enumerate(ATTRIBUTES):
        try:
            _enough(score[:, place], target[:, place], attribute)
        except TooFewRowsError:
            found[attribute] = 0.5
            continue
        found[attribute] = choose(score[:, place], target[:, place], by=by, value=value, name=attribute)
    return found


def _enough(scores: NDArray[Any], targets: NDArray[Any], attribute: str) -> None:
    _, positive, _ = labelled(scores, targets, attribute)
    both_classes(positive, attribute, 3 * MIN_CLASS)


def fit_policy(
    scores: ArrayLike,
    targets: ArrayLike,
    *,
    remove_precision: float = 0.95,
    review_recall: float = 0.90,
    monitor_recall: float = 0.97,
) -> tuple[dict[str, dict[str, float]], dict[str, str]]:
    """Fit the four actions on validation rows, each attribute for itself.

    remove: the most recall at `remove_precision`; review: what remains until `review_recall` of the toxic
    comments is removed or reviewed; monitor: what remains until `monitor_recall` is; allow: the rest.

    Args:
        scores: (n, 7) calibrated probabilities in the order of ATTRIBUTES.
        targets: (n, 7) fractions of raters, NaN where missing.
        remove_precision: share of removed comments that must be toxic.
        review_recall: share of toxic comments that must be removed or reviewed.
        monitor_recall: share of toxic comments that must not be allowed without a trace.

    Returns:
        attribute to {"monitor", "review", "remove"} (rising; an action that could not be fitted is left out),
        and notes: attribute to why something was left out.

    Raises:
        UserError: targets that are no shares, or in the wrong order.
    """
    if not 0 < review_recall <= monitor_recall <= 1:
        raise UserError(
            f"recall of review ({review_recall:g}) and of monitor ({monitor_recall:g}) must rise in 0 to 1"
        )
    score, target = np.asarray(scores), np.asarray(targets)
    policy: dict[str, dict[str, float]] = {}
    notes: dict[str, str] = {}
    for place, attribute in enumerate(ATTRIBUTES):
        column, wanted = score[:, place], target[:, place]
        try:
            _enough(column, wanted, attribute)
        except TooFewRowsError as reason:
            notes[attribute] = f"no action by {attribute}: {reason}"
            continue
        monitor = choose(column, wanted, by="recall", value=monitor_recall, name=attribute)
        review = choose(column, wanted, by="recall", value=review_recall, name=attribute)
        policy[attribute] = {"monitor": monitor, "review": review}
        try:
            remove = choose(column, wanted, by="precision", value=remove_precision, name=attribute)
        except UserError as reason:
            notes[attribute] = f"nothing is removed by {attribute}: {reason}"
            continue
        # Where precision is so good that removal alone finds enough, review and monitor have nothing left.
        policy[attribute] = {"monitor": min(monitor, remove), "review": min(review, remove), "remove": remove}
    return policy, notes


def consequences(
    taken: ArrayLike,
    positive: ArrayLike,
    *,
    base_rate: float | None = None,
    samples: int = SAMPLES,
    seed: int = 0,
) -> dict[str, Any]:
    """Say what a policy means per 10,000 comments, with bootstrap intervals.

    Args:
        taken: (n,) action of each row by name, as `Policy.actions` gives them.
        positive: (n,) True where the row is toxic.
        base_rate: share of toxic comments at the site in question; that of the rows if not given.
        samples: bootstrap samples, stratified by class; 0 gives values without intervals.
        seed: of the bootstrap.

    Returns:
        `base_rate`; for each action `comments`, `toxic`, `not_toxic` (all per 10,000) and `precision` (share
        of its comments that are toxic, NaN without comments); `caught` (share of toxic comments removed or
        reviewed), `removed_wrongly` (share of other comments removed).

    Raises:
        UserError: lengths differ, one class only, or a base rate that is none.
    """
    names, truth = np.asarray(taken), np.asarray(positive, dtype=bool)
    if len(names) != len(truth):
        raise UserError(f"{len(names)} actions for {len(truth)} rows: give one for each row")
    action = np.full(len(names), -1)
    for level, name in enumerate(ACTIONS):
        action[names == name] = level
    if (action < 0).any():
        raise UserError(
            f"row {int(np.argmin(action)) + 1} has an action that is none of {', '.join(ACTIONS)}"
        )
    both_classes(truth, "the policy", MIN_CLASS if samples else 1)
    rate = float(truth.mean()) if base_rate is None else float(base_rate)
    if not 0 < rate < 1:
        raise UserError(f"a base rate of {rate:g} is none: give a share between 0 and 1, such as 0.08")
    rng = np.random.default_rng(seed)
    shares = []  # of each class: (1 + samples, 4), the rows themselves first
    for each in (truth, ~truth):
        counts = np.bincount(action[each], minlength=len(ACTIONS))
        # Drawing rows with replacement and counting their actions is one multinomial draw.
        drawn = rng.multinomial(counts.sum(), counts / counts.sum(), size=samples)
        shares.append(np.concatenate([counts[None], drawn]) / counts.sum())
    toxic, clean = shares[0] * rate * PER, shares[1] * (1 - rate) * PER

    def figure(values: NDArray[np.float64]) -> Figure:
        known = values[1:][~np.isnan(values[1:])]
        return Figure(float(values[0]), *interval(known))

    report: dict[str, Any] = {"base_rate": rate}
    for level, name in enumerate(ACTIONS):
        both = toxic[:, level] + clean[:, level]
        report[name] = {
            "comments": figure(both),
            "toxic": figure(toxic[:, level]),
            "not_toxic": figure(clean[:, level]),
            "precision": figure(
                np.divide(toxic[:, level], both, out=np.full_like(both, np.nan), where=both > 0)
            ),
        }
    report["caught"] = figure(shares[0][:, 2] + shares[0][:, 3])
    report["removed_wrongly"] = figure(shares[1][:, 3])
    return report
