"""How well scores rank comments that mention an identity, and across the line.

Subgroup, BPSN and BNSP AUC and their generalized mean are those of Borkan et al. 2019 ("Nuanced metrics for
measuring unintended bias with real data for text classification", sections 3.2 and 3.3) and of the Jigsaw
unintended-bias competition built on it. No figure is given for a group that is too small for one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from giantkiller.errors import UserError
from giantkiller.evaluation.figures import Draw, Figure, draws, interval
from giantkiller.evaluation.identities import Mask
from giantkiller.evaluation.metrics import MIN_CLASS, SAMPLES
from giantkiller.evaluation.ranked import Ranked, inner, roc_auc

Floats = NDArray[np.float64]
KINDS = ("subgroup_auc", "bpsn_auc", "bnsp_auc")
POWER = -5
OVERALL_WEIGHT = 0.25


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
    identities, groups = _groups(ranked, truth, masks, least)
    if not groups:
        return BiasAucs(identities)
    values = _values(ranked, groups, None)
    drawn = np.array(
        [
            list(_values(ranked, groups, draw).values())
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


def _groups(
    ranked: Ranked, truth: NDArray[np.bool_], masks: Mapping[str, Mask], least: int
) -> tuple[dict[str, IdentityAucs], dict[str, _Group]]:
    """Count the rows of each identity, and index those of the ones that are large enough."""
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
    return identities, groups


def _values(ranked: Ranked, groups: Mapping[str, _Group], draw: Draw | None) -> dict[tuple[str, str], float]:
    """Compute all figures for the rows themselves, or for a draw of them."""
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
