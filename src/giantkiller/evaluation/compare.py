"""Two models on the same rows and the same clock: paired tests, interleaved timing, one sentence.

DeLong's test for two correlated AUCs (DeLong, DeLong and Clarke-Pearson 1988) is computed from mid-ranks
(Sun and Xu 2014). Differences of other figures come with a paired bootstrap: both models are drawn with the
same rows.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from giantkiller.attributes import ATTRIBUTES
from giantkiller.errors import MissingExtraError, UserError
from giantkiller.evaluation.figures import Draw, Figure, Z, draws, interval
from giantkiller.evaluation.metrics import (
    MIN_CLASS,
    SAMPLES,
    Scorer,
    at_threshold,
    labelled,
    ranking,
    require_classes,
)
from giantkiller.evaluation.ranked import Ranked

if TYPE_CHECKING:
    from giantkiller.data.labelled import Labelled
    from giantkiller.evaluation.opponents import ScoringModel

BATCH = 256
"""Comments in one turn of the timing, unless the user says otherwise."""
TOXICITY = ATTRIBUTES.index("toxicity")


@dataclass(frozen=True)
class DeLong:
    """Two AUCs on the same rows, their difference with its 95 % interval, and its two-sided p."""

    first: float
    second: float
    difference: Figure
    z: float
    p: float


@dataclass(frozen=True)
class PairedFigure:
    """One figure of both models, and first - second, each with its interval."""

    first: Figure
    second: Figure
    difference: Figure


@dataclass(frozen=True)
class Comparison:
    """Two models on the same rows: each figure of both by name, and DeLong's test of their AUCs."""

    rows: int
    positives: int
    figures: dict[str, PairedFigure]
    delong: DeLong


@dataclass(frozen=True)
class Timing:
    """Speed of one model: medians over rounds.

    Attributes:
        comments_per_second: In batches.
        single_ms: Milliseconds of one comment alone.
        times_slower: Median of the ratios to the first model within rounds, with the smallest and the
            largest; None for the first model itself.
    """

    comments_per_second: float
    single_ms: float
    times_slower: Figure | None


@dataclass(frozen=True)
class Race:
    """Speed of several models on the same texts, taking turns."""

    rounds: int
    batch: int
    models: dict[str, Timing]


@dataclass(frozen=True)
class ComparedModel:
    """What is known of a model that was compared; None where it is not known.

    Attributes:
        name: Its name.
        kind: bundle, checkpoint, endpoint or scores.
        threshold: From which on it calls a comment toxic.
        memory: Peak of a fresh process that loads it and scores 64 comments, in bytes.
        parameters: How many.
        disk: Bytes of what is loaded.
        fine_tuned: False where its classifier is random.
        trained_on: Names of its training files.
    """

    name: str
    kind: str
    threshold: float
    memory: int | None
    parameters: int | None
    disk: int | None
    fine_tuned: bool | None
    trained_on: str | None


@dataclass(frozen=True)
class ComparisonReport:
    """Two models compared by quality, size and speed, and what follows from it in one sentence."""

    data: str
    models: tuple[ComparedModel, ComparedModel]
    toxicity: Comparison
    speed: Race | None
    verdict: str


def compare_models(
    first: "ScoringModel",
    second: "ScoringModel",
    data: "Labelled",
    *,
    file: str,
    samples: int = SAMPLES,
    seed: int = 0,
    rounds: int = 5,
    batch: int = BATCH,
) -> ComparisonReport:
    """Compare two models: quality with paired tests, size, speed in turns.

    Args:
        first: The model.
        second: The one it is compared with; stored scores can be compared by quality but not by speed.
        data: Labelled rows that both score.
        file: Their name.
        samples: Paired bootstrap samples.
        seed: Of the bootstrap.
        rounds: Rounds of timing; 0 leaves it out.
        batch: Comments in one round of timing.

    Raises:
        UserError: See `metrics.measure`.
    """
    from giantkiller.evaluation.opponents.memory import peak_memory

    models = (first, second)
    names = [first.name, second.name if second.name != first.name else f"{second.name} (2)"]
    thresholds = tuple(model.thresholds.get("toxicity", 0.5) for model in models)
    about = []
    for model, name, threshold in zip(models, names, thresholds, strict=True):
        memory = peak_memory(model.source) if model.kind in ("bundle", "checkpoint") else None
        known = model.about
        facts = (known.parameters, known.disk, known.fine_tuned, known.trained_on)
        about.append(ComparedModel(name, model.kind, threshold, memory, *facts))
    toxicity = paired(
        first.scores(data.texts)[:, TOXICITY],
        second.scores(data.texts)[:, TOXICITY],
        data.targets[:, TOXICITY],
        thresholds=(thresholds[0], thresholds[1]),
        samples=samples,
        seed=seed,
    )
    speed = None
    if rounds and all(model.kind != "scores" for model in models):
        scorers = {name: model.score for name, model in zip(names, models, strict=True)}
        speed = race(scorers, data.texts, rounds=rounds, batch=batch)
    sentence = verdict(toxicity, *names, speed=speed, fine_tuned=second.about.fine_tuned)
    return ComparisonReport(file, (about[0], about[1]), toxicity, speed, sentence)


def delong(first: ArrayLike, second: ArrayLike, positive: ArrayLike) -> DeLong:
    """Test whether two models rank the same rows differently.

    Args:
        first: (n,) scores of one model; any increasing scale.
        second: (n,) scores of the other.
        positive: (n,) True where the row is positive.

    Raises:
        UserError: Lengths differ, or fewer than two rows of a class.
    """
    try:
        from scipy.stats import norm, rankdata
    except ImportError as error:
        raise MissingExtraError("scipy", "judge") from error

    scores = [np.asarray(each, dtype=np.float64) for each in (first, second)]
    truth = np.asarray(positive, dtype=bool)
    if any(len(each) != len(truth) for each in scores):
        raise UserError("the two models scored different numbers of rows: score the same rows with both")
    require_classes(truth, "the comparison", 2, "a comparison")
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
    deviation = math.sqrt(variance)
    z, half = gap / deviation, Z * deviation
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
) -> Comparison:
    """Compare two models on the same rows by a paired bootstrap.

    Args:
        first: (n,) probabilities of one model.
        second: (n,) probabilities of the other.
        targets: (n,) fractions of raters, NaN where missing.
        thresholds: Of the first and the second model.
        samples: Bootstrap samples, stratified by class.
        seed: Of the bootstrap.
        name: Of the attribute, for error messages.

    Raises:
        UserError: See `metrics.measure`.
    """
    kept = [labelled(scores, targets, name) for scores in (first, second)]
    positive = kept[0][1]
    require_classes(positive, name, MIN_CLASS if samples else 1)
    ranked = [Ranked.of(score, positive) for score, _, _ in kept]
    cuts = [each.above(threshold) for each, threshold in zip(ranked, thresholds, strict=True)]
    positives, negatives = len(ranked[0].positive), len(ranked[0].negative)

    def compute(draw: Draw | None) -> list[dict[str, float]]:
        both = []
        for model, cut in zip(ranked, cuts, strict=True):
            up, down = model.counts(draw)
            decided = at_threshold(float(up[:cut].sum()), float(down[:cut].sum()), positives, negatives)
            both.append(ranking(model, up, down) | decided)
        return both

    ours, theirs = compute(None)
    drawn = np.array(
        [
            [list(each.values()) for each in compute(draw)]
            for draw in draws(positives, negatives, samples, seed)
        ]
    ).reshape(samples, 2, len(ours))
    figures = {}
    for index, figure in enumerate(ours):
        of_first, of_second = drawn[:, 0, index], drawn[:, 1, index]
        figures[figure] = PairedFigure(
            first=Figure(ours[figure], *interval(of_first)),
            second=Figure(theirs[figure], *interval(of_second)),
            difference=Figure(ours[figure] - theirs[figure], *interval(of_first - of_second)),
        )
    return Comparison(len(positive), positives, figures, delong(kept[0][0], kept[1][0], positive))


def race(
    scorers: Mapping[str, Scorer],
    texts: Sequence[str],
    *,
    rounds: int = 5,
    batch: int = BATCH,
    single: int = 20,
    progress: Callable[[], object] | None = None,
) -> Race:
    """Time models on the same texts, taking turns, so that their ratio survives a busy machine.

    In every round each model scores one batch and then `single` comments one by one; the order turns from
    round to round. A first, untimed turn warms each one up.

    Args:
        scorers: Name to scoring function; the first is the one that the others are compared with.
        texts: What is scored; different texts in each round as far as they last.
        rounds: How many.
        batch: Comments scored in one call.
        single: Comments scored alone.
        progress: Called after each turn.

    Raises:
        UserError: No texts.
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
    timings = {}
    for name in names:
        ratios = np.array(taken[name]) / np.array(taken[names[0]])
        slower = Figure(float(np.median(ratios)), float(ratios.min()), float(ratios.max()))
        timings[name] = Timing(
            comments_per_second=1 / float(np.median(taken[name])),
            single_ms=1000 * float(np.median(alone[name])),
            times_slower=slower if name != names[0] else None,
        )
    return Race(rounds, min(batch, len(texts)), timings)


def verdict(
    comparison: Comparison,
    first: str,
    second: str,
    *,
    speed: Race | None = None,
    fine_tuned: bool | None = None,
) -> str:
    """Write in one sentence what the figures support, and no more.

    Args:
        comparison: What `paired` returns.
        first: Name of the first model.
        second: Name of the second, the giant.
        speed: What `race` returns, if both models were timed.
        fine_tuned: False where the giant's classifier was never trained: then nothing follows about ranking.
    """
    rows = f"{comparison.rows:,} comments ({comparison.positives:,} positive)"
    auc, ap = comparison.delong.difference, comparison.figures["average_precision"].difference

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
    ratio = speed.models[second].times_slower if speed else None
    if ratio:
        if ratio.low > 1:
            sentence += f"; it scored {ratio.value:.3g} times as many comments a second"
        elif ratio.high < 1:
            sentence += f"; it scored {1 / ratio.value:.3g} times fewer comments a second"
        else:
            sentence += "; their speeds could not be told apart"
    return sentence + "."
