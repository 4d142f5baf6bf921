"""Two models on the same rows and the same clock: paired tests, interleaved timing, one sentence.

DeLong's test for two correlated AUCs (DeLong, DeLong and Clarke-Pearson 1988) is computed from mid-ranks
(Sun and Xu 2014). Differences of other figures come with a paired bootstrap: both models are drawn with the
same rows.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from giantkiller.errors import UserError
from giantkiller.evaluation.metrics import (
    DECIDED,
    MIN_CLASS,
    RANKING,
    SAMPLES,
    Figure,
    Ranked,
    Scorer,
    both_classes,
    decided,
    draws,
    interval,
    labelled,
    ranking,
)

BATCH = 256
"""Comments in one turn of the timing, unless the user says otherwise."""


class DeLong(NamedTuple):
    """Two AUCs on the same rows, their difference with its 95 % interval, and its two-sided p."""

    first: float
    second: float
    difference: Figure
    z: float
    p: float


def delong(first: ArrayLike, second: ArrayLike, positive: ArrayLike) -> DeLong:
    """Test whether two models rank the same rows differently.

    Args:
        first: (n,) scores of one model; any increasing scale.
        second: (n,) scores of the other.
        positive: (n,) True where the row is positive.

    Raises:
        UserError: lengths differ, or fewer than two rows of a class.
    """
    from scipy.stats import norm, rankdata

    scores = [np.asarray(each, dtype=np.float64) for each in (first, second)]
    truth = np.asarray(positive, dtype=bool)
    if any(len(each) != len(truth) for each in scores):
        raise UserError("the two models scored different numbers of rows: score the same rows with both")
    both_classes(truth, "the comparison", 2)
    ups, downs = int(truth.sum()), int((~truth).sum())
    up_parts, down_parts, aucs = [], [], []
    for score in scores:
        whole = rankdata(score)
        up, down = rankdata(score[truth]), rankdata(score[~truth])
        # Structural components: how many of the other class each row beats, as a share.
        up_parts.append((whole[truth] - up) / downs)
        down_parts.append(1 - (whole[~truth] - down) / ups)
        aucs.append(float(up_parts[-1].mean()))
    covariance = np.cov(up_parts) / ups + np.cov(down_parts) / downs
    variance = float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    gap = aucs[0] - aucs[1]
    if variance <= 1e-18:
        return DeLong(aucs[0], aucs[1], Figure(gap, gap, gap), 0.0, 1.0 if abs(gap) < 1e-12 else 0.0)
    error = math.sqrt(variance)
    z = gap / error
    half = 1.959963984540054 * error
    return DeLong(aucs[0], aucs[1], Figure(gap, gap - half, gap + half), z, float(2 * norm.sf(abs(z))))


def paired(
    first: ArrayLike,
    second: ArrayLike,
    targets: ArrayLike,
    *,
    thresholds: tuple[float, float] = (0.5, 0.5),
    samples: int = SAMPLES,
    seed: int = 0,
    name: str = "toxicity",
) -> dict[str, Any]:
    """Compare two models on the same rows by a paired bootstrap.

    Args:
        first: (n,) probabilities of one model.
        second: (n,) probabilities of the other.
        targets: (n,) fractions of raters, NaN where missing.
        thresholds: of the first and the second model.
        samples: bootstrap samples, stratified by class.
        seed: of the bootstrap.
        name: of the attribute, for error messages.

    Returns:
        `rows`, `positives`, and for each figure of RANKING and DECIDED `first`, `second` and `difference`
        (first - second), each with its interval; `delong`.

    Raises:
        UserError: see `metrics.measure`.
    """
    kept = [labelled(each, targets, name) for each in (first, second)]
    positive = kept[0][1]
    both_classes(positive, name, MIN_CLASS if samples else 1)
    ranked = [Ranked.of(score, positive) for score, _, _ in kept]
    cuts = [each.above(threshold) for each, threshold in zip(ranked, thresholds, strict=True)]
    ups, downs = len(ranked[0].positive), len(ranked[0].negative)

    def figures(draw: tuple[NDArray[np.intp], NDArray[np.intp]] | None) -> list[list[float]]:
        rows = []
        for each, cut in zip(ranked, cuts, strict=True):
            up, down = each.counts(draw)
            values = ranking(each, up, down)
            rows.append(values + decided(float(up[:cut].sum()), float(down[:cut].sum()), ups, downs))
        return rows

    names = RANKING + DECIDED
    values = np.array(figures(None))
    drawn = np.array([figures(draw) for draw in draws(ups, downs, samples, seed)])
    drawn = drawn.reshape(samples, 2, len(names))
    report: dict[str, Any] = {"rows": len(positive), "positives": ups, "figures": {}}
    for place, figure in enumerate(names):
        gap = drawn[:, 0, place] - drawn[:, 1, place]
        report["figures"][figure] = {
            "first": Figure(float(values[0, place]), *interval(drawn[:, 0, place])),
            "second": Figure(float(values[1, place]), *interval(drawn[:, 1, place])),
            "difference": Figure(float(values[0, place] - values[1, place]), *interval(gap)),
        }
    report["delong"] = delong(kept[0][0], kept[1][0], positive)._asdict()
    return report


def race(
    scorers: Mapping[str, Scorer],
    texts: Sequence[str],
    *,
    rounds: int = 5,
    batch: int = BATCH,
    single: int = 20,
    progress: Callable[[], object] | None = None,
) -> dict[str, Any]:
    """Time models on the same texts, taking turns, so that their ratio survives a busy machine.

    In every round each model scores one batch and then `single` comments one by one; the order turns from
    round to round. A first, untimed turn warms each one up.

    Args:
        scorers: name to scoring function; the first is the one that the others are compared with.
        texts: what is scored; different texts in each round as far as they last.
        rounds: how many.
        batch: comments scored in one call.
        single: comments scored alone.
        progress: called after each turn.

    Returns:
        for each name `comments_per_second` and `single_ms` (medians over rounds), and for each but the first
        `times_slower` (median of the ratios within rounds, with the smallest and the largest).

    Raises:
        UserError: no texts.
    """
    if not texts:
        raise UserError("there is nothing to time: give at least one comment")
    names = list(scorers)
    for scorer in scorers.values():
        scorer(texts[: min(16, len(texts))])
    taken: dict[str, list[float]] = {name: [] for name in names}
    alone: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(rounds):
        some = [texts[(turn * batch + each) % len(texts)] for each in range(min(batch, len(texts)))]
        for name in names if turn % 2 == 0 else names[::-1]:
            begin = time.perf_counter()
            scorers[name](some)
            taken[name].append((time.perf_counter() - begin) / len(some))
            each_one = []
            for text in some[:single]:
                begin = time.perf_counter()
                scorers[name]([text])
                each_one.append(time.perf_counter() - begin)
            alone[name].append(float(np.median(each_one)))
            if progress:
                progress()
    report: dict[str, Any] = {"rounds": rounds, "batch": min(batch, len(texts)), "models": {}}
    for name in names:
        entry: dict[str, Any] = {
            "comments_per_second": 1 / float(np.median(taken[name])),
            "single_ms": 1000 * float(np.median(alone[name])),
        }
        if name != names[0]:
            ratios = np.array(taken[name]) / np.array(taken[names[0]])
            entry["times_slower"] = Figure(float(np.median(ratios)), float(ratios.min()), float(ratios.max()))
        report["models"][name] = entry
    return report


def verdict(
    report: Mapping[str, Any],
    first: str,
    second: str,
    *,
    speed: Mapping[str, Any] | None = None,
    fine_tuned: bool | None = None,
) -> str:
    """Say in one sentence what the figures support, and no more.

    Args:
        report: what `paired` gives.
        first: name of the first model.
        second: name of the second, the giant.
        speed: what `race` gives, if both models were timed.
        fine_tuned: False where the giant's classifier was never trained: then nothing follows about ranking.
    """
    rows = f"{report['rows']:,} comments ({report['positives']:,} positive)"
    auc, ap = report["delong"]["difference"], report["figures"]["average_precision"]["difference"]

    def about(gap: Figure, what: str) -> str:
        size = f"{gap.value:+.3f}, 95 % {gap.low:+.3f} to {gap.high:+.3f}"
        if gap.low > 0:
            return f"better {what} ({size})"
        if gap.high < 0:
            return f"worse {what} ({size})"
        return f"{what} that cannot be told apart ({size})"

    if fine_tuned is False:
        sentence = (
            f"{second} was not fine-tuned (its classifier is random), so that nothing follows "
            f"from the figures on {rows}"
        )
    else:
        sentence = (
            f"Compared with {second} on {rows}, {first} has {about(auc, 'ROC-AUC')} "
            f"and {about(ap, 'average precision')}"
        )
    if speed and second in speed["models"]:
        ratio = speed["models"][second]["times_slower"]
        if ratio.low > 1:
            sentence += f"; it scored {ratio.value:.3g} times as many comments a second"
        elif ratio.high < 1:
            sentence += f"; it scored {1 / ratio.value:.3g} times fewer comments a second"
        else:
            sentence += "; their speeds could not be told apart"
    return sentence + "."
