"""Where to put a threshold, and what each choice of one means in comments.

Thresholds are chosen on validation rows and reported on others. A comment is called toxic from the threshold
on (score >= threshold). A threshold lies halfway between two scores that occur, so that the last digit of a
score decides nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from giantkiller.attributes import ATTRIBUTES
from giantkiller.errors import UserError
from giantkiller.evaluation.figures import Figure, interval
from giantkiller.evaluation.metrics import (
    MIN_CLASS,
    SAMPLES,
    TooFewRowsError,
    labelled,
    require_classes,
)
from giantkiller.evaluation.ranked import Ranked
from giantkiller.policy import ACTIONS, FLAGGED, Policy

BY = ("f1", "precision", "recall", "cost", "capacity")
PER = 10_000
"""Consequences are counted per this many comments."""
MIN_FLAGGED = 20
"""A precision estimated from fewer comments than this decides nothing."""
POLICY_CLASS = 3 * MIN_CLASS
"""Fewer rows of a class than this give no threshold."""


@dataclass(frozen=True)
class PolicyAims:
    """What a fitted policy aims at, each attribute for itself.

    Reviewing nine toxic comments in ten would mean reading a third of all: review's aim is lower.

    Attributes:
        remove_precision: Share of removed comments that must be toxic.
        review_recall: Share of toxic comments that must be removed or reviewed.
        monitor_recall: Share of toxic comments that must not be allowed without a trace.

    Raises:
        UserError: Aims that are no shares, or a recall of review above that of monitor.
    """

    remove_precision: float = 0.9
    review_recall: float = 0.7
    monitor_recall: float = 0.9

    def __post_init__(self) -> None:
        if not 0 < self.remove_precision <= 1:
            raise UserError(f"`remove_precision` is {self.remove_precision:g}: give a share above 0, up to 1")
        if not 0 < self.review_recall <= self.monitor_recall <= 1:
            raise UserError(
                f"`review_recall` ({self.review_recall:g}) and `monitor_recall` ({self.monitor_recall:g}) "
                "must be shares above 0, and review's must not exceed monitor's"
            )

    def __str__(self) -> str:
        return (
            f"{self.remove_precision:.0%} of what is removed toxic, {self.review_recall:.0%} of the toxic "
            f"removed or reviewed, {self.monitor_recall:.0%} of it not allowed"
        )


@dataclass(frozen=True)
class ActionCounts:
    """What one action means per 10,000 comments, and the share of its comments that is toxic."""

    comments: Figure
    toxic: Figure
    not_toxic: Figure
    precision: Figure


@dataclass(frozen=True)
class Consequences:
    """What a policy means per 10,000 comments.

    Attributes:
        base_rate: Share of toxic comments that is assumed.
        actions: Action to its counts.
        caught: Share of toxic comments that is removed or reviewed.
        removed_wrongly: Share of other comments that is removed.
    """

    base_rate: float
    actions: dict[str, ActionCounts]
    caught: Figure
    removed_wrongly: Figure


@dataclass(frozen=True)
class Sweep:
    """Figures at every threshold that makes a difference, from the highest threshold to the lowest."""

    threshold: NDArray[np.float64]
    tp: NDArray[np.float64]
    fp: NDArray[np.float64]
    flagged: NDArray[np.float64]  # share of comments
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    f1: NDArray[np.float64]
    false_positive_rate: NDArray[np.float64]


def sweep(scores: ArrayLike, targets: ArrayLike, name: str = "toxicity") -> Sweep:
    """Try every threshold that makes a difference.

    Args:
        scores: (n,) probabilities.
        targets: (n,) fractions of raters, NaN where missing.
        name: Of the attribute, for error messages.

    Raises:
        UserError: See `metrics.measure`.
    """
    score, positive, _ = labelled(scores, targets, name)
    require_classes(positive, name)
    ranked = Ranked.of(score, positive)
    up, down = ranked.counts()
    tp, fp = np.cumsum(up).astype(np.float64), np.cumsum(down).astype(np.float64)
    levels = ranked.levels
    return Sweep(
        threshold=np.append((levels[:-1] + levels[1:]) / 2, levels[-1]),
        tp=tp,
        fp=fp,
        flagged=(tp + fp) / len(score),
        precision=tp / (tp + fp),
        recall=tp / tp[-1],
        f1=2 * tp / (tp + fp + tp[-1]),
        false_positive_rate=fp / fp[-1],
    )


def choose_threshold(
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
        value: What `by` asks for; nothing for `f1`.
        name: Of the attribute, for error messages.

    Raises:
        UserError: An aim that is unknown or can't be reached; see also `metrics.measure`.
    """
    if by not in BY:
        raise UserError(f"thresholds are chosen by {', '.join(BY)}, not by {by!r}")
    if by != "f1" and (value is None or not 0 < value <= (np.inf if by == "cost" else 1)):
        wanted = "a positive number" if by == "cost" else "a share between 0 and 1"
        raise UserError(f"choosing a threshold by {by} needs {wanted}, not {value}")
    table = sweep(scores, targets, name)
    value = 0.0 if value is None else float(value)
    flagged = table.tp + table.fp
    if by == "f1":
        index = int(np.argmax(table.f1))
    elif by == "cost":
        index = int(np.argmin((table.tp[-1] - table.tp) * value + table.fp))
    elif by == "recall":
        index = int(np.argmax(table.recall >= value))
    elif by == "precision":
        enough = flagged >= min(MIN_FLAGGED, flagged[-1])
        reaches = np.flatnonzero(enough & (table.precision >= value))
        if not len(reaches):
            best = float(table.precision[enough].max())
            raise UserError(
                f"no threshold for {name} reaches {value:.0%} precision on {MIN_FLAGGED} comments or more; "
                f"the best is {best:.1%}: ask for less"
            )
        index = int(reaches[-1])
    else:
        within = np.flatnonzero(table.flagged <= value)
        if not len(within):
            raise UserError(
                f"even the highest score of {name} flags more than {value:.2%} of comments: they tie"
            )
        index = int(within[-1])
    return float(table.threshold[index])


def fit_thresholds(scores: ArrayLike, targets: ArrayLike) -> dict[str, float]:
    """Choose the threshold of the best F1 of each attribute; 0.5 for one without enough labels.

    Args:
        scores: (n, 7) calibrated probabilities in the order of ATTRIBUTES.
        targets: (n, 7) fractions of raters, NaN where missing; validation rows.
    """
    score, target = np.asarray(scores), np.asarray(targets)
    found = {}
    for index, attribute in enumerate(ATTRIBUTES):
        try:
            _require_labels(score[:, index], target[:, index], attribute, "a threshold")
        except TooFewRowsError:
            found[attribute] = 0.5
            continue
        found[attribute] = choose_threshold(score[:, index], target[:, index], name=attribute)
    return found


def _require_labels(scores: NDArray[Any], targets: NDArray[Any], attribute: str, purpose: str) -> None:
    _, positive, _ = labelled(scores, targets, attribute)
    require_classes(positive, attribute, POLICY_CLASS, purpose)


def fit_policy(
    scores: ArrayLike,
    targets: ArrayLike,
    *,
    aims: PolicyAims,
    enriched: Mapping[str, str] | None = None,
) -> tuple[Policy, dict[str, str]]:
    """Fit the four actions on validation rows, each attribute for itself.

    remove: the most recall at `remove_precision`; review: what remains until `review_recall` of the toxic
    comments is removed or reviewed; monitor: what remains until `monitor_recall` is; allow: the rest.

    Args:
        scores: (n, 7) calibrated probabilities in the order of ATTRIBUTES.
        targets: (n, 7) fractions of raters, NaN where missing.
        aims: What the policy aims at.
        enriched: Attribute to the file that its rows are from, where it holds more toxic comments than come
            in daily; nothing is removed by such an attribute.

    Returns:
        The policy, and attribute to why it has no actions, or no `remove`.
    """
    score, target = np.asarray(scores), np.asarray(targets)
    policy: dict[str, dict[str, float]] = {}
    notes: dict[str, str] = {}
    for index, attribute in enumerate(ATTRIBUTES):
        column, wanted = score[:, index], target[:, index]
        try:
            _require_labels(column, wanted, attribute, "a policy")
        except TooFewRowsError as reason:
            notes[attribute] = f"{attribute} leads to no action: {reason}"
            continue
        monitor = choose_threshold(column, wanted, by="recall", value=aims.monitor_recall, name=attribute)
        review = choose_threshold(column, wanted, by="recall", value=aims.review_recall, name=attribute)
        policy[attribute] = {"monitor": monitor, "review": review}
        if file := (enriched or {}).get(attribute):
            notes[attribute] = (
                f"nothing is removed by {attribute}: its thresholds come from {file}, which holds more toxic "
                "comments than come in daily, so that a precision reached on it is none on daily comments"
            )
            continue
        try:
            remove = choose_threshold(
                column, wanted, by="precision", value=aims.remove_precision, name=attribute
            )
        except UserError as reason:
            notes[attribute] = f"nothing is removed by {attribute}: {reason}"
            continue
        # Where precision is so good that removal alone finds enough, review and monitor have nothing left.
        policy[attribute] = {"monitor": min(monitor, remove), "review": min(review, remove), "remove": remove}
    return Policy(policy), notes


def consequences(
    taken: ArrayLike,
    positive: ArrayLike,
    *,
    base_rate: float | None = None,
    samples: int = SAMPLES,
    seed: int = 0,
) -> Consequences:
    """Count what a policy means per 10,000 comments, with bootstrap intervals.

    Args:
        taken: (n,) action of each row by name, as `Policy.actions` returns them.
        positive: (n,) True where the row is toxic.
        base_rate: Share of toxic comments at the site in question; that of the rows if not given.
        samples: Bootstrap samples, stratified by class; 0 gives values without intervals.
        seed: Of the bootstrap.

    Raises:
        UserError: Lengths differ, one class only, or a base rate that is no share.
    """
    names, truth = np.asarray(taken), np.asarray(positive, dtype=bool)
    if len(names) != len(truth):
        raise UserError(f"{len(names)} actions for {len(truth)} rows: give one for each row")
    action = _levels(names)
    require_classes(truth, "the policy", MIN_CLASS if samples else 1)
    rate = float(truth.mean()) if base_rate is None else float(base_rate)
    if not 0 < rate < 1:
        raise UserError(f"`base_rate` is {rate:g}: give a share between 0 and 1, such as 0.08")
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

    actions = {}
    for level, name in enumerate(ACTIONS):
        both = toxic[:, level] + clean[:, level]
        actions[name] = ActionCounts(
            comments=figure(both),
            toxic=figure(toxic[:, level]),
            not_toxic=figure(clean[:, level]),
            precision=figure(
                np.divide(toxic[:, level], both, out=np.full_like(both, np.nan), where=both > 0)
            ),
        )
    return Consequences(
        base_rate=rate,
        actions=actions,
        caught=figure(sum(shares[0][:, ACTIONS.index(name)] for name in FLAGGED)),
        removed_wrongly=figure(shares[1][:, ACTIONS.index("remove")]),
    )


def _levels(names: NDArray[Any]) -> NDArray[np.intp]:
    """Return the index in `ACTIONS` of each action by name."""
    action = np.full(len(names), -1, np.intp)
    for level, name in enumerate(ACTIONS):
        action[names == name] = level
    if (action < 0).any():
        raise UserError(
            f"row {int(np.argmin(action)) + 1} has an action that is none of {', '.join(ACTIONS)}"
        )
    return action
