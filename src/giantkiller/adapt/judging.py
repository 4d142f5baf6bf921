"""Whether what was learned is better: on decisions that learning never saw, and elsewhere not worse."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from giantkiller.adapt.decisions import TOXICITY, Decisions
from giantkiller.adapt.rehearsal import Rehearsal
from giantkiller.adapt.settings import Settings
from giantkiller.evaluation.compare import PairedFigure, paired
from giantkiller.evaluation.figures import Figure, share
from giantkiller.evaluation.identities import by_words
from giantkiller.evaluation.metrics import MIN_CLASS, TooFewRowsError
from giantkiller.policy import FLAGGED, Policy
from giantkiller.screener import Screener


@dataclass(frozen=True)
class Judged:
    """The new and the old model on the same rows.

    Attributes:
        rows: How many.
        positives: How many of them toxic.
        average_precision: Of the new one, the old one, and their difference with its paired interval.
        roc_auc: Likewise.
    """

    rows: int
    positives: int
    average_precision: PairedFigure
    roc_auc: PairedFigure


@dataclass(frozen=True)
class Flip:
    """A decided comment that the two models treat differently.

    Attributes:
        text: The comment.
        toxic: What people decided.
        old: The old model's score for toxicity.
        new: The new one's.
    """

    text: str
    toxic: bool
    old: float
    new: float


@dataclass(frozen=True)
class Flips:
    """Comments that are flagged by one model only.

    Attributes:
        right: How many of them people decided as the new model does.
        wrong: How many of them they didn't.
        examples: Some of them, those whose score moved most first.
    """

    right: int
    wrong: int
    examples: list[Flip]


@dataclass(frozen=True)
class Group:
    """Decided comments that mention a group and that people called harmless.

    Attributes:
        harmless: How many.
        flagged_before: The share of them that the old model flags.
        flagged_now: The share that the new one does.
    """

    harmless: int
    flagged_before: Figure
    flagged_now: Figure


@dataclass(frozen=True)
class Judgement:
    """The judge's findings.

    Attributes:
        site: On the decisions that judge.
        elsewhere: On what is guarded, by name.
        flagged: Comments that go to review or removal now and did not before.
        passed: The other way.
        groups: Whose harmless mentions are flagged how often, found by a word list; of groups with enough.
        reasons: Why it is not better; empty if it is.
    """

    site: Judged
    elsewhere: dict[str, Judged]
    flagged: Flips
    passed: Flips
    groups: dict[str, Group]
    reasons: list[str]

    @property
    def better(self) -> bool:
        """Whether it may be promoted."""
        return not self.reasons


def judge(
    old: Screener,
    new: Screener,
    site: Decisions,
    elsewhere: Mapping[str, Rehearsal],
    settings: Settings,
    *,
    scores: NDArray[np.float32] | None = None,
) -> Judgement:
    """Compare two models.

    Args:
        old: The model that decides today.
        new: The one that learned.
        site: Decisions that it never saw.
        elsewhere: Texts that it never saw, by name.
        settings: What counts as better.
        scores: (n, 7) for the site's decisions in place of the new model's, by models that did not see them
            where it did.
    """
    before, after = old.scores(site.texts), new.scores(site.texts) if scores is None else scores
    labels = site.positive.astype(np.float64)
    on_site = _compare(before, after, labels, settings)
    others = {
        name: _compare(
            was := old.scores(some.texts), new.scores(some.texts), some.labels(was[:, TOXICITY]), settings
        )
        for name, some in elsewhere.items()
    }
    limits = {name: settings.limit(some.labelled) for name, some in elsewhere.items()}
    flags = [_flagged(screener.policy, scores) for screener, scores in ((old, before), (new, after))]
    return Judgement(
        site=on_site,
        elsewhere=others,
        flagged=_flips(site, before, after, ~flags[0] & flags[1], True, settings.examples),
        passed=_flips(site, before, after, flags[0] & ~flags[1], False, settings.examples),
        groups=_groups(site, flags),
        reasons=_reasons(on_site, others, limits),
    )


def _compare(
    before: NDArray[np.float32], after: NDArray[np.float32], labels: NDArray[np.floating], settings: Settings
) -> Judged:
    columns = after[:, TOXICITY], before[:, TOXICITY]
    try:
        found = paired(*columns, labels, samples=settings.samples, seed=settings.seed)
    except TooFewRowsError:
        found = paired(*columns, labels, samples=0)
    return Judged(found.rows, found.positives, found.figures["average_precision"], found.figures["roc_auc"])


def _reasons(site: Judged, elsewhere: Mapping[str, Judged], limits: Mapping[str, float]) -> list[str]:
    reasons = []
    gain = site.average_precision.difference
    if np.isnan(gain.low):
        reasons.append(
            f"{site.rows} decisions that judge, {site.positives} of them toxic, are too few to tell: at "
            f"least {MIN_CLASS} of each kind are needed"
        )
    elif not gain.low > 0:
        reasons.append(f"on the decisions that judge average precision changes by {signed(gain)}")
    for name, judged in elsewhere.items():
        loss = judged.average_precision.difference
        if loss.value < -limits[name]:
            reasons.append(f"on {name} it changes by {signed(loss)}, a loss above {limits[name]:g}")
    return reasons


def signed(figure: Figure) -> str:
    """Write a difference with its interval."""
    text = f"{figure.value:+.3f}"
    return text if np.isnan(figure.low) else f"{text} ({figure.low:+.3f} to {figure.high:+.3f})"


def _flagged(policy: Policy, scores: NDArray[np.float32]) -> NDArray[np.bool_]:
    return np.isin(policy.actions(scores), FLAGGED)


def _groups(site: Decisions, flags: Sequence[NDArray[np.bool_]]) -> dict[str, Group]:
    found = {}
    for name, mentioned in by_words(site.texts).items():
        rows = mentioned & ~site.positive
        if (count := int(rows.sum())) >= MIN_CLASS:
            found[name] = Group(count, *(share(int((flag & rows).sum()), count) for flag in flags))
    return found


def _flips(
    site: Decisions,
    before: NDArray[np.float32],
    after: NDArray[np.float32],
    flipped: NDArray[np.bool_],
    flagged: bool,
    most: int,
) -> Flips:
    rows = np.flatnonzero(flipped)
    moved = np.abs(after[rows, TOXICITY] - before[rows, TOXICITY])
    right = int((site.positive[rows] == flagged).sum())
    examples = [
        Flip(
            site.texts[row],
            bool(site.positive[row]),
            float(before[row, TOXICITY]),
            float(after[row, TOXICITY]),
        )
        for row in rows[np.argsort(-moved, kind="stable")][:most]
    ]
    return Flips(right, len(rows) - right, examples)
