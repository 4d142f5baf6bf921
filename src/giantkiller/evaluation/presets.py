"""Policies for three kinds of site, fitted so that harmless comments pass.

Toxicity decides. A comment that swears at nobody is no reason in `forum` and `adults`, so `obscene` flags
nothing there. Other attributes flag what toxicity misses, each within a small budget of harmless comments;
missing a threat costs more than reading one comment too many, so threats get the largest; on a forum severe
toxicity does, which threats, intimidation and wishes of harm have in common. Budgets are
shares of harmless comments, counted on everyday comments that look harmful and are not
(`giantkiller.data.situations`) and on ordinary ones; the sterner of both decides.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from giantkiller.attributes import ATTRIBUTES
from giantkiller.errors import UserError
from giantkiller.evaluation.thresholds import MIN_FLAGGED, choose_threshold
from giantkiller.policy import Policy

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class PresetAims:
    """What one preset allows itself.

    Attributes:
        review: Share of harmless comments that toxicity may send to review.
        monitor: Share that it may monitor or more.
        remove: Share that it may remove.
        remove_precision: Share of removed ordinary comments that must be toxic.
        more: Attribute to the share of harmless comments that it may send to review beyond those.
    """

    review: float
    monitor: float
    remove: float
    remove_precision: float = 0.9
    more: Mapping[str, float] = field(default_factory=dict)


PRESETS = {
    "family": PresetAims(
        0.16,
        0.30,
        0.005,
        0.85,
        {"threat": 0.02, "identity_attack": 0.01, "sexual_explicit": 0.01, "obscene": 0.02},
    ),
    "forum": PresetAims(
        0.12, 0.20, 0.003, 0.9, {"severe_toxicity": 0.03, "threat": 0.005, "identity_attack": 0.01}
    ),
    "adults": PresetAims(0.04, 0.12, 0.001, 0.95, {"threat": 0.01, "identity_attack": 0.0025}),
}
"""The presets that ship."""
DEFAULT_PRESET = "forum"


def fit_preset(
    aims: PresetAims,
    scores: ArrayLike,
    toxic: ArrayLike,
    situation_scores: ArrayLike,
    harmful: ArrayLike,
    *,
    without: Collection[str] = (),
) -> Policy:
    """Fit one preset on validation rows.

    Args:
        aims: What it allows itself.
        scores: (n, 7) calibrated scores of ordinary comments at their natural rate.
        toxic: (n,) whether each is toxic.
        situation_scores: (m, 7) calibrated scores of situations.
        harmful: (m,) whether each is harmful.
        without: Attributes besides toxicity that flag nothing, whatever the aims allow: their scores mean
            nothing.

    Raises:
        UserError: Shapes differ, or there is no harmless comment in one of the two.
    """
    ordinary, truth = np.asarray(scores, dtype=np.float64), np.asarray(toxic, dtype=bool)
    staged, harm = np.asarray(situation_scores, dtype=np.float64), np.asarray(harmful, dtype=bool)
    for rows, labels, name in ((ordinary, truth, "scores"), (staged, harm, "situation_scores")):
        if rows.shape != (len(labels), len(ATTRIBUTES)):
            raise UserError(f"`{name}` has shape {rows.shape} for {len(labels)} labels of seven attributes")
        if labels.all():
            raise UserError(f"`{name}` has no harmless comment to count false alarms on")
    calm, clean = ordinary[~truth], staged[~harm]
    thresholds: dict[str, dict[str, float]] = {}
    column = ATTRIBUTES.index("toxicity")

    def within(budget: float, index: int, *groups: Floats) -> float:
        """Return the lowest threshold at which no group has more than its budget at or above it."""
        return max(_quantile(group[:, index], budget) for group in groups)

    review = within(aims.review, column, calm, clean)
    remove = max(
        within(aims.remove, column, clean), _precise(ordinary[:, column], truth, aims.remove_precision)
    )
    thresholds["toxicity"] = {
        "monitor": min(within(aims.monitor, column, calm, clean), review),
        "review": min(review, remove),
        "remove": remove,
    }
    for attribute, budget in aims.more.items():
        if attribute in without:
            continue
        index = ATTRIBUTES.index(attribute)
        # Of those that toxicity lets pass, as shares of all harmless ones.
        groups = [rows[rows[:, column] < review] for rows in (calm, clean)]
        shares = [
            budget * len(rows) / max(1, len(left)) for rows, left in zip((calm, clean), groups, strict=True)
        ]
        cut = max(_quantile(left[:, index], share) for left, share in zip(groups, shares, strict=True))
        thresholds[attribute] = {"review": cut}
    return Policy(thresholds)


def _quantile(scores: Floats, share: float) -> float:
    """Return a threshold, halfway between two scores, that at most a share of the scores reaches."""
    if not len(scores):
        return 1.0
    ordered = np.sort(scores)[::-1]
    most = int(share * len(ordered))
    if most >= len(ordered):
        return float(ordered[-1])
    # Scores that tie with the first one too many stay below, too.
    above = ordered[ordered > ordered[most]]
    return float((above[-1] + ordered[most]) / 2) if len(above) else float((1 + ordered[most]) / 2)


def _precise(scores: Floats, toxic: NDArray[np.bool_], precision: float) -> float:
    """Return the lowest threshold from which on `precision` of `MIN_FLAGGED` comments are toxic, or 1."""
    if len(scores) < MIN_FLAGGED:
        return 1.0
    try:
        return choose_threshold(scores, toxic, by="precision", value=precision)
    except UserError:  # nothing is as precise: nothing is removed
        return 1.0
