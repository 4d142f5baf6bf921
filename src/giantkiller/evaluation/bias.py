"""For whom a model is good: figures for comments that mention an identity, beside those that do not.

Subgroup, BPSN and BNSP AUC and their generalized mean are those of Borkan et al. 2019 ("Nuanced metrics for
measuring unintended bias with real data for text classification", sections 3.2 and 3.3) and of the Jigsaw
unintended-bias competition built on it; worst-group accuracy is that of WILDS (Koh et al. 2021). No figure is
given for a group that is too small for one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from giantkiller.errors import UserError
from giantkiller.evaluation.calibration import wilson
from giantkiller.evaluation.identities import SWAPS, WILDS, Identities, Mask, swap
from giantkiller.evaluation.metrics import (
    MIN_CLASS,
    SAMPLES,
    Figure,
    Ranked,
    Scorer,
    draws,
    inner,
    interval,
    roc_auc,
)

Floats = NDArray[np.float64]
KINDS = ("subgroup_auc", "bpsn_auc", "bnsp_auc")
POWER = -5
OVERALL_WEIGHT = 0.25
MIN_ROWS = 50
"""Fewer rows than this in a group give no rate worth printing."""
MAX_SWAPPED = 500


@dataclass(frozen=True)
class _Group:
    """One subgroup's rows inside a ranking, with everything that does not change between samples."""

    positive: NDArray[np.intp]  # its rows, as places among the positive ones
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
        """Give subgroup, BPSN and BNSP AUC for weighted rows.

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
    """Give the power mean, which at a power of -5 leans towards the worst value."""
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
) -> dict[str, Any]:
    """Compute the Jigsaw bias metrics with bootstrap intervals.

    For an identity: `subgroup_auc` within the rows that mention it; `bpsn_auc` over positive rows without and
    negative rows with it (low: harmless mentions are called toxic); `bnsp_auc` over negative rows without and
    positive rows with it (low: toxic mentions are missed).

    Args:
        scores: (n,) probabilities.
        positive: (n,) True where toxic.
        masks: identity to (n,) True where mentioned.
        samples: bootstrap samples, stratified by class; 0 gives values without intervals.
        seed: of the bootstrap.
        least: rows of each class that an identity needs, and its background too.

    Returns:
        `identities`: name to `rows`, `positives` and the three AUCs or, for a small group, `too_small`;
        `means`: the generalized mean of each AUC; `overall_auc`; `final`: 0.25 overall + 0.25 x the sum of
        the means, as in the competition. Means and final are missing when no identity is large enough.

    Raises:
        UserError: lengths differ.
    """
    score, truth = np.asarray(scores, dtype=np.float64), np.asarray(positive, dtype=bool)
    if len(score) != len(truth) or any(len(mask) != len(truth) for mask in masks.values()):
        raise UserError(
            "scores, labels and identity columns differ in length: give one of each for every row"
        )
    ranked = Ranked.of(score, truth)
    groups: dict[str, _Group] = {}
    report: dict[str, Any] = {"identities": {}}
    for name, mask in masks.items():
        ups, downs = np.flatnonzero(mask[truth]), np.flatnonzero(mask[~truth])
        entry: dict[str, Any] = {"rows": len(ups) + len(downs), "positives": len(ups)}
        report["identities"][name] = entry
        rest = min(len(ranked.positive) - len(ups), len(ranked.negative) - len(downs))
        if min(len(ups), len(downs), rest) < least:
            entry["too_small"] = f"fewer than {least} toxic or {least} other comments mention it, or do not"
        else:
            groups[name] = _Group.of(ranked, ups, downs)

    def figures(draw: tuple[NDArray[np.intp], NDArray[np.intp]] | None) -> Floats:
        places = (np.arange(len(ranked.positive)), np.arange(len(ranked.negative))) if draw is None else draw
        up = np.bincount(places[0], minlength=len(ranked.positive)).astype(np.float64)
        down = np.bincount(places[1], minlength=len(ranked.negative)).astype(np.float64)
        up_at, down_at = ranked.counts(draw)
        wins_up = np.cumsum(up_at) - up_at / 2
        wins_down = down_at.sum() - np.cumsum(down_at) + down_at / 2
        table = np.array([group.aucs(wins_up, wins_down, up, down) for group in groups.values()])
        overall = roc_auc(up_at, down_at)
        means = [generalized_mean(table[:, kind]) for kind in range(len(KINDS))]
        final = OVERALL_WEIGHT * overall + (1 - OVERALL_WEIGHT) * float(np.mean(means))
        return np.asarray(np.r_[table.ravel(), means, overall, final], dtype=np.float64)

    if not groups:
        return report
    values = figures(None)
    drawn = np.array(
        [figures(draw) for draw in draws(len(ranked.positive), len(ranked.negative), samples, seed)]
    ).reshape(samples, len(values))
    drawn = drawn[~np.isnan(drawn).any(axis=1)]
    all_figures = [Figure(float(value), *interval(drawn[:, place])) for place, value in enumerate(values)]
    for place, name in enumerate(groups):
        triple = all_figures[place * len(KINDS) : (place + 1) * len(KINDS)]
        report["identities"][name] |= dict(zip(KINDS, triple, strict=True))
    report["means"] = dict(zip(KINDS, all_figures[-5:-2], strict=True))
    report["overall_auc"], report["final"] = all_figures[-2], all_figures[-1]
    return report


def worst_group(
    called: ArrayLike,
    positive: ArrayLike,
    masks: Mapping[str, Mask],
    *,
    least: int = MIN_ROWS,
) -> dict[str, Any]:
    """Compute accuracy in each of the WILDS groups (identity x label) and the worst of them.

    Args:
        called: (n,) True where the model says toxic.
        positive: (n,) True where toxic.
        masks: identity to (n,) True where mentioned; those named in WILDS count.
        least: rows below which a group gets no figure and cannot be the worst.

    Returns:
        `average` accuracy over all rows; `groups`: for each identity and label `rows` and, if large enough,
        `accuracy` with its Wilson interval; `worst`: name and accuracy of the worst group, if any is large
        enough.
    """
    right = np.asarray(called, dtype=bool) == np.asarray(positive, dtype=bool)
    truth = np.asarray(positive, dtype=bool)
    report: dict[str, Any] = {"average": share(right.sum(), len(right)), "groups": {}}
    for name in WILDS:
        for label, inside in (("toxic", truth), ("other", ~truth)):
            if name in masks:
                rows = masks[name] & inside
                entry: dict[str, Any] = {"rows": int(rows.sum())}
                if entry["rows"] >= least:
                    entry["accuracy"] = share(right[rows].sum(), entry["rows"])
                report["groups"][f"{name}, {label}"] = entry
    judged = {name: each["accuracy"] for name, each in report["groups"].items() if "accuracy" in each}
    if judged:
        worst = min(judged, key=lambda name: judged[name].value)
        report["worst"] = {"group": worst, "accuracy": judged[worst]}
    return report


def share(part: float, whole: float) -> Figure:
    """Give a share with its Wilson interval."""
    return Figure(float(part) / whole if whole else float("nan"), *wilson(float(part), float(whole)))


def error_rates(
    called: ArrayLike,
    positive: ArrayLike,
    masks: Mapping[str, Mask],
    *,
    least: int = MIN_ROWS,
) -> dict[str, dict[str, Any]]:
    """Compare false-positive and false-negative rates with and without a mention.

    Identities overlap, so that each one is compared with the comments that do not mention it. The interval of
    a difference is Newcombe's (1998, method 10).

    Args:
        called: (n,) True where the model says toxic.
        positive: (n,) True where toxic.
        masks: identity to (n,) True where mentioned.
        least: rows of the class in question, with and without the mention, below which no figure is given.

    Returns:
        identity to `false_positive_rate` and `false_negative_rate`, each with `rows` and, if large enough,
        `mentioned`, `elsewhere` and `difference`.
    """
    says, truth = np.asarray(called, dtype=bool), np.asarray(positive, dtype=bool)
    report: dict[str, dict[str, Any]] = {}
    for name, mask in masks.items():
        report[name] = {}
        for label, wrong, inside in (
            ("false_positive_rate", says, ~truth),
            ("false_negative_rate", ~says, truth),
        ):
            mentioned, elsewhere = inside & mask, inside & ~mask
            entry: dict[str, Any] = {"rows": int(mentioned.sum())}
            report[name][label] = entry
            if min(mentioned.sum(), elsewhere.sum()) >= least:
                with_it, without = (
                    share((wrong & rows).sum(), rows.sum()) for rows in (mentioned, elsewhere)
                )
                entry |= {
                    "mentioned": with_it,
                    "elsewhere": without,
                    "difference": difference(with_it, without),
                }
    return report


def difference(one: Figure, other: Figure) -> Figure:
    """Give the difference of two independent shares with Newcombe's interval from their Wilson intervals."""
    gap = one.value - other.value
    low = gap - float(np.hypot(one.value - one.low, other.high - other.value))
    high = gap + float(np.hypot(one.high - one.value, other.value - other.low))
    return Figure(gap, low, high)


def swapped(
    texts: Sequence[str],
    scorer: Scorer,
    *,
    threshold: float = 0.5,
    attribute: int = 0,
    samples: int = SAMPLES,
    seed: int = 0,
    least: int = 20,
) -> dict[str, dict[str, Any]]:
    """Ask how much a score moves when only the identity changes (Garg et al. 2019, token fairness).

    Args:
        texts: real comments; for each pair of SWAPS those that mention the first identity are used, at most
            500, the first of the file.
        scorer: texts to scores (n, 7).
        threshold: from which on a comment is toxic.
        attribute: column of the scores.
        samples: bootstrap samples over comments.
        seed: of the bootstrap.
        least: comments below which no figure is given.

    Returns:
        pair to `comments` and, if enough, `shift` (mean change of the score), `size` (mean absolute change)
        and `flipped` (share of comments whose decision changes).
    """
    report: dict[str, dict[str, Any]] = {}
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
        report[name] = {"comments": len(before)}
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
        flips = int(((old >= threshold) != (new >= threshold)).sum())
        report[name] |= {
            "shift": Figure(float(moved.mean()), *interval(drawn.mean(axis=1))),
            "size": Figure(float(np.abs(moved).mean()), *interval(np.abs(drawn).mean(axis=1))),
            "flipped": share(flips, size),
        }
    return report


def audit(
    scores: ArrayLike,
    positive: ArrayLike,
    identities: Identities,
    *,
    threshold: float,
    samples: int = SAMPLES,
    seed: int = 0,
) -> dict[str, Any]:
    """Compute everything above that needs no scoring function, on the rows whose identities are known."""
    score = np.asarray(scores, dtype=np.float64)[identities.known]
    truth = np.asarray(positive, dtype=bool)[identities.known]
    masks = {name: mask[identities.known] for name, mask in identities.masks.items()}
    called = score >= threshold
    return {
        "source": identities.source,
        "rows": len(score),
        "threshold": threshold,
        "jigsaw": auc_by_identity(score, truth, masks, samples=samples, seed=seed),
        "wilds": worst_group(called, truth, masks),
        "error_rates": error_rates(called, truth, masks),
    }
