"""For whom a model is good: figures for comments that mention an identity and for those that do not.

Worst-group accuracy is that of WILDS (Koh et al. 2021). No figure is given for a group that is too small for
one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from giantkiller.evaluation.figures import Figure, difference, share
from giantkiller.evaluation.identities import WILDS, Identities, Mask
from giantkiller.evaluation.identity_aucs import BiasAucs, auc_by_identity
from giantkiller.evaluation.metrics import SAMPLES
from giantkiller.evaluation.reliability import MIN_ROWS, CalibrationGap, calibration_gaps


@dataclass(frozen=True)
class GroupAccuracy:
    """Accuracy in one group; None where it is too small."""

    rows: int
    accuracy: Figure | None = None


@dataclass(frozen=True)
class WorstGroup:
    """The group with the least accuracy."""

    group: str
    accuracy: Figure


@dataclass(frozen=True)
class GroupAccuracies:
    """Accuracy over all rows, in each of the WILDS groups, and in the worst of those large enough."""

    average: Figure
    groups: dict[str, GroupAccuracy]
    worst: WorstGroup | None


@dataclass(frozen=True)
class RateGap:
    """An error rate with and without a mention; None where the rows are too few.

    Attributes:
        rows: Rows of the class in question that mention the identity.
        mentioned: The rate among them.
        elsewhere: The rate among those that don't.
        difference: mentioned - elsewhere.
    """

    rows: int
    mentioned: Figure | None = None
    elsewhere: Figure | None = None
    difference: Figure | None = None


@dataclass(frozen=True)
class ErrorRates:
    """False-positive and false-negative rates with and without a mention."""

    false_positive_rate: RateGap
    false_negative_rate: RateGap


@dataclass(frozen=True)
class BiasReport:
    """All that is measured by identity, at one threshold, on the rows whose identities are known."""

    source: str
    rows: int
    threshold: float
    jigsaw: BiasAucs
    wilds: GroupAccuracies
    error_rates: dict[str, ErrorRates]
    calibration: dict[str, CalibrationGap] = field(default_factory=dict)


def group_accuracies(
    called: ArrayLike,
    positive: ArrayLike,
    masks: Mapping[str, Mask],
    *,
    least: int = MIN_ROWS,
) -> GroupAccuracies:
    """Compute accuracy in each of the WILDS groups (identity x label) and the worst of them.

    Args:
        called: (n,) True where the model says toxic.
        positive: (n,) True where toxic.
        masks: Identity to (n,) True where mentioned; those named in WILDS count.
        least: Rows below which a group gets no figure and cannot be the worst.
    """
    truth = np.asarray(positive, dtype=bool)
    right = np.asarray(called, dtype=bool) == truth
    groups: dict[str, GroupAccuracy] = {}
    for name in WILDS:
        for label, inside in (("toxic", truth), ("other", ~truth)):
            if name in masks:
                inside = masks[name] & inside
                rows = int(inside.sum())
                accuracy = share(right[inside].sum(), rows) if rows >= least else None
                groups[f"{name}, {label}"] = GroupAccuracy(rows, accuracy)
    judged = [WorstGroup(name, each.accuracy) for name, each in groups.items() if each.accuracy]
    worst = min(judged, key=lambda each: each.accuracy.value) if judged else None
    return GroupAccuracies(share(right.sum(), len(right)), groups, worst)


def error_rates(
    called: ArrayLike,
    positive: ArrayLike,
    masks: Mapping[str, Mask],
    *,
    least: int = MIN_ROWS,
) -> dict[str, ErrorRates]:
    """Compare false-positive and false-negative rates with and without a mention.

    Identities overlap, so that each one is compared with the comments that do not mention it. The interval of
    a difference is Newcombe's (1998, method 10).

    Args:
        called: (n,) True where the model says toxic.
        positive: (n,) True where toxic.
        masks: Identity to (n,) True where mentioned.
        least: Rows of the class in question, with and without the mention, below which there is no figure.
    """
    says, truth = np.asarray(called, dtype=bool), np.asarray(positive, dtype=bool)

    def gap(wrong: Mask, inside: Mask, mask: Mask) -> RateGap:
        mentioned, elsewhere = inside & mask, inside & ~mask
        rows = int(mentioned.sum())
        if min(rows, int(elsewhere.sum())) < least:
            return RateGap(rows)
        with_it, without = (share((wrong & group).sum(), group.sum()) for group in (mentioned, elsewhere))
        return RateGap(rows, with_it, without, difference(with_it, without))

    return {
        name: ErrorRates(gap(says, ~truth, mask), gap(~says, truth, mask)) for name, mask in masks.items()
    }


def measure_bias(
    scores: ArrayLike,
    positive: ArrayLike,
    identities: Identities,
    *,
    threshold: float,
    samples: int = SAMPLES,
    seed: int = 0,
) -> BiasReport:
    """Compute what needs no scoring function, on the rows whose identities are known."""
    score = np.asarray(scores, dtype=np.float64)[identities.known]
    truth = np.asarray(positive, dtype=bool)[identities.known]
    masks = {name: mask[identities.known] for name, mask in identities.masks.items()}
    called = score >= threshold
    return BiasReport(
        source=identities.source,
        rows=len(score),
        threshold=threshold,
        jigsaw=auc_by_identity(score, truth, masks, samples=samples, seed=seed),
        wilds=group_accuracies(called, truth, masks),
        error_rates=error_rates(called, truth, masks),
        calibration=calibration_gaps(score, truth, masks),
    )
