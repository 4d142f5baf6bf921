"""For whom a model is good: figures for comments that mention an identity and for those that do not.

Subgroup, BPSN and BNSP AUC and their generalized mean are those of Borkan et al. 2019 ("Nuanced metrics for
measuring unintended bias with real data for text classification", sections 3.2 and 3.3) and of the Jigsaw
unintended-bias competition built on it; worst-group accuracy is that of WILDS (Koh et al. 2021). No figure is
given for a group that is too small for one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from giantkiller.errors import UserError
from giantkiller.evaluation.figures import Draw, Figure, difference, draws, interval, share
from giantkiller.evaluation.identities import SWAPS, WILDS, Identities, Mask, swap
from giantkiller.evaluation.metrics import MIN_CLASS, SAMPLES, Ranked, Scorer, inner, roc_auc
from giantkiller.evaluation.reliability import MIN_ROWS, CalibrationGap, calibration_gaps

Floats = NDArray[np.float64]
KINDS = ("subgroup_auc", "bpsn_auc", "bnsp_auc")
POWER = -5
OVERALL_WEIGHT = 0.25
MIN_SWAPPED = 20
MAX_SWAPPED = 500


@dataclass(frozen=True)
class IdentityAucs:
    """The bias AUCs of comments that mention one identity; None, and the reason, where they are too few.

    Attributes:
        rows: Comments that mention it.
        positives: Toxic ones among them.
        subgroup_auc: Within the comments that mention it.
        bpsn_auc: Toxic comments without against harmless ones with it (low: harmless mentions are called
            toxic).
        bnsp_auc: Harmless comments without against toxic ones with it (low: toxic mentions are missed).
        too_small: Why there are no figures.
    """

    rows: int
    positives: int
    subgroup_auc: Figure | None = None
    bpsn_auc: Figure | None = None
    bnsp_auc: Figure | None = None
    too_small: str | None = None


@dataclass(frozen=True)
class MeanAucs:
    """Generalized means (p = -5) of the three AUCs over the identities that are large enough."""

    subgroup_auc: Figure
    bpsn_auc: Figure
    bnsp_auc: Figure


@dataclass(frozen=True)
class BiasAucs:
    """The metrics of the Jigsaw competition; the last three are None when no identity is large enough."""

    identities: dict[str, IdentityAucs]
    means: MeanAucs | None = None
    overall_auc: Figure | None = None
    final: Figure | None = None


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
class Swapped:
    """How far scores move when only the identity changes; None where the comments are too few.

    Attributes:
        comments: Comments that mention the first identity.
        shift: Mean change of the score.
        size: Mean absolute change.
        flipped: Share of comments whose decision changes.
    """

    comments: int
    shift: Figure | None = None
    size: Figure | None = None
    flipped: Figure | None = None


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


@dataclass(frozen=True)
class _Group:
    """One subgroup's rows inside a ranking, with everything that does not change between samples."""

    positive: NDArray[np.intp]  # its rows, as indices of the positive ones
    negative: NDArray[np.intp]
    up: NDArray[np.intp]  # their levels in the whole ranking
    down: NDArray[np.intp]
    up_inside: NDArray[np.intp]  # their levels in the ranking of the subgroup alone
    down_inside: NDArray[np.intp]
    levels: int

    @classmethod
    def of(cls, ranked: Ranked, positive: NDArray[np.intp], negative: NDArray[np.intp]) -> "_Group":
        up, down = ranked.positive[positive], ranked.negative[negative]
        levels, inside = np.unique(np.r_[up, down], return_inverse=True)
        return cls(positive, negative, up, down, inside[: len(up)], inside[len(up) :], len(levels))

    def aucs(self, wins_up: Floats, wins_down: Floats, up: Floats, down: Floats) -> tuple[float, ...]:
        """Return subgroup, BPSN and BNSP AUC for weighted rows.

        Args:
            wins_up: at each level, the weight of positive rows above it, those at it counting half.
            wins_down: at each level, the weight of negative rows below it, those at it counting half.
            up: weight of each positive row of the whole file.
            down: weight of each negative row.
        """
        my_up, my_down = up[self.positive], down[self.negative]
        up_here = np.bincount(self.up_inside, my_up, self.levels)
        down_here = np.bincount(self.down_inside, my_down, self.levels)
        above = (np.cumsum(up_here) - up_here / 2)[self.down_inside]
        below = (my_down.sum() - np.cumsum(down_here) + down_here / 2)[self.up_inside]
        ups, downs = my_up.sum(), my_down.sum()
        if not ups or not downs:
            return float("nan"), float("nan"), float("nan")
        subgroup = inner(my_down, above) / (ups * downs)
        bpsn = inner(my_down, wins_up[self.down] - above) / ((up.sum() - ups) * downs)
        bnsp = inner(my_up, wins_down[self.up] - below) / (ups * (down.sum() - downs))
        return float(subgroup), float(bpsn), float(bnsp)


def generalized_mean(values: ArrayLike, power: float = POWER) -> float:
    """Return the power mean, which at a power of -5 leans towards the worst value."""
    value = np.asarray(values, dtype=np.float64)
    return float(np.mean(np.maximum(value, 1e-12) ** power) ** (1 / power))


def auc_by_identity(
    scores: ArrayLike,
    positive: ArrayLike,
    masks: Mapping[str, Mask],
    *,
    samples: int = SAMPLES,
    seed: int = 0,
    least: int = MIN_CLASS,
) -> BiasAucs:
    """Compute the Jigsaw bias metrics with bootstrap intervals.

    `final` is 0.25 overall AUC + 0.25 x the sum of the means, as in the competition.

    Args:
        scores: (n,) probabilities.
        positive: (n,) True where toxic.
        masks: Identity to (n,) True where mentioned.
        samples: Bootstrap samples, stratified by class; 0 gives values without intervals.
        seed: Of the bootstrap.
        least: Rows of each class that an identity needs, and its background too.

    Raises:
        UserError: Lengths differ.
    """
    score, truth = np.asarray(scores, dtype=np.float64), np.asarray(positive, dtype=bool)
    if len(score) != len(truth) or any(len(mask) != len(truth) for mask in masks.values()):
        raise UserError(
            "scores, labels and identity columns differ in length: give one of each for every row"
        )
    ranked = Ranked.of(score, truth)
    groups: dict[str, _Group] = {}
    identities: dict[str, IdentityAucs] = {}
    for name, mask in masks.items():
        ups, downs = np.flatnonzero(mask[truth]), np.flatnonzero(mask[~truth])
        rest = min(len(ranked.positive) - len(ups), len(ranked.negative) - len(downs))
        reason = None
        if min(len(ups), len(downs), rest) < least:
            reason = f"fewer than {least} toxic or {least} other comments mention it, or do not"
        else:
            groups[name] = _Group.of(ranked, ups, downs)
        identities[name] = IdentityAucs(len(ups) + len(downs), len(ups), too_small=reason)
    if not groups:
        return BiasAucs(identities)

    def compute(draw: Draw | None) -> dict[tuple[str, str], float]:
        chosen = (np.arange(len(ranked.positive)), np.arange(len(ranked.negative))) if draw is None else draw
        up = np.bincount(chosen[0], minlength=len(ranked.positive)).astype(np.float64)
        down = np.bincount(chosen[1], minlength=len(ranked.negative)).astype(np.float64)
        up_at, down_at = ranked.counts(draw)
        wins_up = np.cumsum(up_at) - up_at / 2
        wins_down = down_at.sum() - np.cumsum(down_at) + down_at / 2
        values = {
            (name, kind): auc
            for name, group in groups.items()
            for kind, auc in zip(KINDS, group.aucs(wins_up, wins_down, up, down), strict=True)
        }
        means = [generalized_mean([values[name, kind] for name in groups]) for kind in KINDS]
        overall = roc_auc(up_at, down_at)
        values |= {("mean", kind): mean for kind, mean in zip(KINDS, means, strict=True)}
        values["all", "overall"] = overall
        values["all", "final"] = OVERALL_WEIGHT * overall + (1 - OVERALL_WEIGHT) * float(np.mean(means))
        return values

    values = compute(None)
    drawn = np.array(
        [
            list(compute(draw).values())
            for draw in draws(len(ranked.positive), len(ranked.negative), samples, seed)
        ]
    ).reshape(samples, len(values))
    drawn = drawn[~np.isnan(drawn).any(axis=1)]
    figures = {
        key: Figure(float(value), *interval(column))
        for (key, value), column in zip(values.items(), drawn.T, strict=True)
    }
    for name in groups:
        aucs: dict[str, Any] = {kind: figures[name, kind] for kind in KINDS}
        identities[name] = replace(identities[name], **aucs)
    return BiasAucs(
        identities,
        means=MeanAucs(*(figures["mean", kind] for kind in KINDS)),
        overall_auc=figures["all", "overall"],
        final=figures["all", "final"],
    )


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


def measure_swaps(
    texts: Sequence[str],
    scorer: Scorer,
    *,
    threshold: float = 0.5,
    attribute: int = 0,
    samples: int = SAMPLES,
    seed: int = 0,
    least: int = MIN_SWAPPED,
) -> dict[str, Swapped]:
    """Measure how far scores move when only the identity changes (Garg et al. 2019, token fairness).

    Args:
        texts: Real comments; for each pair of SWAPS those that mention the first identity are used, at most
            500, the first of the file.
        scorer: Texts to scores (n, 7).
        threshold: From which on a comment is toxic.
        attribute: Column of the scores.
        samples: Bootstrap samples over comments.
        seed: Of the bootstrap.
        least: Comments below which there is no figure.

    Returns:
        The name of each pair of SWAPS to what was measured.
    """
    report: dict[str, Swapped] = {}
    jobs: list[tuple[str, list[str], list[str]]] = []
    for name, words in SWAPS.items():
        before, after = [], []
        for text in texts:
            changed = swap(text, words)
            if changed != text:
                before.append(text)
                after.append(changed)
                if len(before) == MAX_SWAPPED:
                    break
        report[name] = Swapped(len(before))
        if len(before) >= least:
            jobs.append((name, before, after))
    if not jobs:
        return report
    scores = np.asarray(scorer([text for _, before, after in jobs for text in before + after]))[:, attribute]
    rng, begin = np.random.default_rng(seed), 0
    for name, before, _ in jobs:
        size = len(before)
        old, new = scores[begin : begin + size], scores[begin + size : begin + 2 * size]
        begin += 2 * size
        moved = (new - old).astype(np.float64)
        drawn = moved[rng.integers(0, size, (samples, size))]
        report[name] = Swapped(
            comments=size,
            shift=Figure(float(moved.mean()), *interval(drawn.mean(axis=1))),
            size=Figure(float(np.abs(moved).mean()), *interval(np.abs(drawn).mean(axis=1))),
            flipped=share(int(((old >= threshold) != (new >= threshold)).sum()), size),
        )
    return report


def measure_bias(
    scores: ArrayLike,
    positive: ArrayLike,
    identities: Identities,
    *,
    threshold: float,
    samples: int = SAMPLES,
    seed: int = 0,
) -> BiasReport:
    """Compute everything above that needs no scoring function, on the rows whose identities are known."""
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
