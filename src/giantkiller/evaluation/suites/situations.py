"""Comments whose meaning depends on the situation, not on the words, written for this project.

Harmless kinds (friendly swearing, quoted abuse, counter speech ...) stand next to harmful ones (veiled
threats, implied insults ...), many as twins that share their words. Intervals are bootstrap intervals that
draw whole pairs: twins are not independent. They come with the package, in splits; one of them is measured.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from giantkiller.data.situations import KINDS, read_situations
from giantkiller.evaluation.config import EvaluationConfig
from giantkiller.evaluation.figures import Figure, interval, show
from giantkiller.evaluation.metrics import Scorer
from giantkiller.evaluation.suites.base import TOXICITY, BarChart, Series, SuiteReport, Table
from giantkiller.policy import FLAGGED, Policy

MIN_KIND = 10
"""Fewer rows of a kind than this can't make it the worst."""

Weights = NDArray[np.float64]


@dataclass(frozen=True)
class SituationFigures:
    """Figures of a group of rows; a value is NaN where it has no row to be measured on.

    Attributes:
        rows: Its rows.
        roc_auc: Of toxicity, harmful rows against harmless ones.
        twins_ranked: Share of twins whose harmful one scores higher, ties counting half.
        harmless_passing: Share of harmless rows that are allowed or monitored.
        harmless_removed: Share of harmless rows that are removed.
        harmful_flagged: Share of harmful rows that are reviewed or removed.
    """

    rows: int
    roc_auc: Figure
    twins_ranked: Figure
    harmless_passing: Figure
    harmless_removed: Figure
    harmful_flagged: Figure


@dataclass(frozen=True)
class KindFigures:
    """Figures of one kind.

    Attributes:
        name: In words.
        rows: Its rows.
        harmful: Whether they are.
        flagged: Share reviewed or removed.
        removed: Share removed.
        treated_rightly: Share flagged of a harmful kind, not flagged of a harmless one.
        roc_auc: Of toxicity, its rows against all rows of the other side.
        twins_ranked: Share of its twins whose harmful one scores higher.
    """

    name: str
    rows: int
    harmful: bool
    flagged: Figure
    removed: Figure
    treated_rightly: Figure
    roc_auc: Figure
    twins_ranked: Figure


@dataclass(frozen=True)
class WorstKind:
    """The kind with the smallest share treated rightly."""

    kind: str
    treated_rightly: Figure


@dataclass(frozen=True)
class SituationsReport(SuiteReport):
    """All rows of a split, by kind and by writer."""

    split: str
    all: SituationFigures
    worst: WorstKind | None
    kinds: dict[str, KindFigures]
    writers: dict[str, SituationFigures]

    def summary(self) -> str:
        """Return the figures of all rows."""
        found = self.all
        text = (
            f"ROC-AUC {show(found.roc_auc)}, twins ranked rightly {show(found.twins_ranked)}, "
            f"harmless passing {show(found.harmless_passing)}, harmless removed "
            f"{show(found.harmless_removed)}, harmful flagged {show(found.harmful_flagged)}"
        )
        if self.worst:
            name = KINDS.get(self.worst.kind, self.worst.kind)
            text += f"; worst kind: {name}, {show(self.worst.treated_rightly)} treated rightly"
        return text

    def tables(self) -> list[Table]:
        """Return kinds and writers."""
        kinds = [
            (
                f"{code} {cell.name}" if cell.name != code else code,
                f"{cell.rows:,}",
                show(cell.flagged),
                show(cell.removed),
                show(cell.roc_auc),
                show(cell.twins_ranked),
            )
            for code, cell in self.kinds.items()
        ]
        writers = [
            (
                writer,
                f"{cell.rows:,}",
                show(cell.roc_auc),
                show(cell.twins_ranked),
                show(cell.harmless_passing),
                show(cell.harmless_removed),
                show(cell.harmful_flagged),
            )
            for writer, cell in self.writers.items()
        ]
        return [
            Table(
                f"by kind, split {self.split}",
                ("kind", "rows", "flagged", "removed", "ROC-AUC", "twins ranked rightly"),
                kinds,
            ),
            Table(
                f"by writer, split {self.split}",
                (
                    "writer", "rows", "ROC-AUC", "twins ranked rightly", "harmless passing",
                    "harmless removed", "harmful flagged",
                ),
                writers,
            ),
        ]  # fmt: skip

    def charts(self) -> list[BarChart]:
        """Return the share treated rightly of each kind."""
        cells = self.kinds.values()
        return [
            BarChart(
                name="situations",
                caption="Situations: share treated rightly, for each kind (harmful: reviewed or removed; "
                "harmless: neither)",
                labels=[cell.name for cell in cells],
                series=[
                    Series("harmful", [cell.treated_rightly if cell.harmful else None for cell in cells]),
                    Series("harmless", [None if cell.harmful else cell.treated_rightly for cell in cells]),
                ],
                axis="share treated rightly",
            )
        ]


def measure_situations(path: Path, scorer: Scorer, config: EvaluationConfig) -> SituationsReport:
    """Measure a model on one split of the situations.

    Without a policy a comment counts as flagged from the model's threshold of toxicity on, and nothing is
    removed.

    Raises:
        UserError: There is no such split.
    """
    situations = read_situations(config.split)
    scores = np.asarray(scorer([each.text for each in situations]), dtype=np.float64)
    if config.policy:
        actions = Policy(config.policy).actions(scores)
    else:
        called = scores[:, TOXICITY] >= config.threshold("toxicity")
        actions = np.where(called, "review", "allow")
    rows = _Rows(
        score=scores[:, TOXICITY],
        harmful=np.array([each.harmful for each in situations]),
        flagged=np.isin(actions, FLAGGED),
        removed=actions == "remove",
        pair=np.array([each.pair for each in situations]),
    )
    weights = rows.draw(config.samples, config.seed)
    kind, writer = (np.array([getattr(each, name) for each in situations]) for name in ("kind", "writer"))
    kinds = {
        code: _measure_kind(rows, kind == code, KINDS.get(code, code), weights)
        for code in sorted(set(kind), key=_in_order)
    }
    ranked = [WorstKind(code, cell.treated_rightly) for code, cell in kinds.items() if cell.rows >= MIN_KIND]
    everything = np.ones(len(kind), dtype=bool)
    return SituationsReport(
        file=path.name,
        rows=len(kind),
        split=config.split,
        all=_measure_group(rows, everything, weights),
        worst=min(ranked, key=lambda each: each.treated_rightly.value) if ranked else None,
        kinds=kinds,
        writers={each: _measure_group(rows, writer == each, weights) for each in sorted(set(writer))},
    )


def _in_order(kind: str) -> tuple[str, int]:
    """Sort b2 before b10."""
    return kind[:1], int(kind[1:]) if kind[1:].isdigit() else 0


class _Rows:
    """The rows of a split, and figures of any of them under the weights of bootstrap samples."""

    def __init__(
        self,
        score: NDArray[np.float64],
        harmful: NDArray[np.bool_],
        flagged: NDArray[np.bool_],
        removed: NDArray[np.bool_],
        pair: NDArray[np.str_],
    ) -> None:
        self.score, self.harmful, self.flagged, self.removed = score, harmful, flagged, removed
        # A row without a twin is a cluster of its own.
        alone = pair == ""
        names = np.where(alone, np.char.add("row ", np.arange(len(pair)).astype(str)), pair)
        _, self.cluster = np.unique(names, return_inverse=True)
        members: dict[str, list[int]] = {}
        for row in np.flatnonzero(~alone):
            members.setdefault(str(pair[row]), []).append(int(row))
        twins = [
            sorted(rows, key=lambda row: bool(harmful[row]))
            for rows in members.values()
            if len(rows) == 2 and harmful[rows[0]] != harmful[rows[1]]
        ]
        self.twins = np.array(twins, dtype=np.intp).reshape(-1, 2)  # (pairs, 2): harmless, harmful

    def draw(self, samples: int, seed: int) -> Weights:
        """Draw clusters with replacement: how often each row is in each sample, (1 + samples, rows).

        The first line is the rows themselves.
        """
        rng = np.random.default_rng(seed)
        clusters = int(self.cluster.max()) + 1
        drawn = [np.bincount(rng.integers(0, clusters, clusters), minlength=clusters) for _ in range(samples)]
        times = np.array([np.ones(clusters), *drawn], dtype=np.float64)
        return times[:, self.cluster]

    def share(self, what: NDArray[np.bool_], of: NDArray[np.bool_], weights: Weights) -> Figure:
        """Return the share of some rows for which something is true."""
        return _figure(weights[:, of & what].sum(axis=1), weights[:, of].sum(axis=1))

    def roc_auc(self, positive: NDArray[np.bool_], negative: NDArray[np.bool_], weights: Weights) -> Figure:
        """Return the probability that a row of one group outscores one of another, ties counting half."""
        up, down = np.flatnonzero(positive), np.flatnonzero(negative)
        if not len(up) or not len(down):
            return Figure(float("nan"))
        order = down[np.argsort(self.score[down])]
        below = np.searchsorted(self.score[order], self.score[up], side="left")
        until = np.searchsorted(self.score[order], self.score[up], side="right")
        counts = np.pad(np.cumsum(weights[:, order], axis=1), ((0, 0), (1, 0)))
        wins = (weights[:, up] * (counts[:, below] + counts[:, until]) / 2).sum(axis=1)
        return _figure(wins, weights[:, up].sum(axis=1) * counts[:, -1])

    def twins_ranked(self, inside: NDArray[np.bool_], weights: Weights) -> Figure:
        """Return the share of twins, of which one row at least is inside, that are ranked rightly."""
        twins = self.twins[inside[self.twins].any(axis=1)]
        gap = self.score[twins[:, 1]] - self.score[twins[:, 0]]
        times = weights[:, twins[:, 0]]
        return _figure(times @ ((gap > 0) + (gap == 0) / 2), times.sum(axis=1))


def _figure(part: Weights, whole: Weights) -> Figure:
    values = np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)
    drawn = values[1:]
    return Figure(float(values[0]), *interval(drawn[~np.isnan(drawn)]))


def _measure_group(rows: _Rows, inside: NDArray[np.bool_], weights: Weights) -> SituationFigures:
    harmful, harmless = inside & rows.harmful, inside & ~rows.harmful
    return SituationFigures(
        rows=int(inside.sum()),
        roc_auc=rows.roc_auc(harmful, harmless, weights),
        twins_ranked=rows.twins_ranked(inside, weights),
        harmless_passing=rows.share(~rows.flagged, harmless, weights),
        harmless_removed=rows.share(rows.removed, harmless, weights),
        harmful_flagged=rows.share(rows.flagged, harmful, weights),
    )


def _measure_kind(rows: _Rows, inside: NDArray[np.bool_], name: str, weights: Weights) -> KindFigures:
    harmful = bool(rows.harmful[inside].any())
    sides = (inside, ~rows.harmful) if harmful else (rows.harmful, inside)
    return KindFigures(
        name=name,
        rows=int(inside.sum()),
        harmful=harmful,
        flagged=rows.share(rows.flagged, inside, weights),
        removed=rows.share(rows.removed, inside, weights),
        treated_rightly=rows.share(rows.flagged == harmful, inside, weights),
        roc_auc=rows.roc_auc(*sides, weights),
        twins_ranked=rows.twins_ranked(inside, weights),
    )
