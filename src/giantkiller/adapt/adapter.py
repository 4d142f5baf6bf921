"""From decisions to a bundle that is better for a site, or to the reasons why it isn't."""

import contextlib
import copy
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from giantkiller.adapt.compose import Composed, compose, load_model, temporary_folder
from giantkiller.adapt.decisions import Decisions
from giantkiller.adapt.delta import Delta, lineage_of, scaled
from giantkiller.adapt.dial import Dialled, dial
from giantkiller.adapt.guards import Guards, guard
from giantkiller.adapt.judging import Judgement, judge
from giantkiller.adapt.learning import Learned, chosen_of, learn
from giantkiller.adapt.report import AdaptationReport, DecisionCounts, LearnedSummary
from giantkiller.adapt.resume import learned_before
from giantkiller.adapt.settings import Settings
from giantkiller.attributes import ATTRIBUTES
from giantkiller.bundle import Bundle, read_bundle
from giantkiller.errors import UserError
from giantkiller.evaluation.figures import to_json
from giantkiller.screener import Screener


@dataclass(frozen=True)
class Adaptation:
    """What came of adapting a bundle to decisions.

    Attributes:
        judgement: Whether it is better, and where it changed.
        delta: What it learned.
        composed: The bundle with it, not written yet.
        report: All of this, for people and programs.
    """

    judgement: Judgement
    delta: Delta
    composed: Composed
    report: AdaptationReport

    @property
    def better(self) -> bool:
        """Whether it may take the old bundle's place."""
        return self.judgement.better

    def write(self, folder: str | Path) -> Bundle:
        """Write the bundle: all of it or nothing.

        Args:
            folder: The bundle's; a bundle that is there is replaced, anything else refused.

        Raises:
            UserError: The place can't be written.
        """
        return self.composed.write(folder, [self.delta.about])


class Adapter:
    """Adapt a bundle to the decisions of a site.

    Args:
        base: A bundle: its folder or hub id, None or "default" for the shipped one.
        settings: How to learn, and what counts as better.

    Raises:
        UserError: There is no such bundle, or it is damaged.
    """

    def __init__(self, base: str | Path | None = None, settings: Settings | None = None) -> None:
        self.bundle = read_bundle(base)
        self.settings = settings or Settings()

    def adapt(
        self,
        decisions: Decisions,
        *,
        elsewhere: Mapping[str, Decisions] | None = None,
        unlabelled: Sequence[str] = (),
        name: str | None = None,
        progress: Path | None = None,
    ) -> Adaptation:
        """Learn from decisions, and judge by others of them; nothing is written but `progress`.

        The latest decisions judge where times are known. Where they aren't, logistic regression learns from
        all decisions, and each part of them judges in turn what the others teach, of which the same share is
        kept (Stone 1974, "Cross-validatory choice and assessment of statistical predictions").

        Args:
            decisions: What people decided.
            elsewhere: Labelled comments of other places, by name, on which it must not get worse: a part
                rehearses, but for logistic regression, a part chooses how much of the change is kept, a part
                judges.
            unlabelled: The site's own comments, whose scores shall stay as they are; those that were decided
                are left out. Some rehearse, but for logistic regression; without `elsewhere` some choose and
                some judge, if there are enough.
            name: Of the bundle that comes out.
            progress: A file that keeps what was learned: a run after an interruption, on the same, begins
                with it. Delete it once what comes out is written.

        Raises:
            UserError: The decisions can't be split, what is guarded has too few labels, or the bundle was not
                built by this package.
        """
        began = time.perf_counter()
        guards = guard(decisions, elsewhere, unlabelled, rehearse=self.settings.method != "logistic")
        turns = self._turns(decisions)
        site, judges = (decisions, decisions) if turns else decisions.split(self.settings.held_out)
        with temporary_folder() as folder:
            base = load_model(self.bundle, folder / "base")
            learned, kept = self._change(base, site, guards, progress)
            delta = Delta(kept.tensors, lineage_of(self.bundle))
            composed = compose(self.bundle, [delta], name)
            candidate = composed.write(folder / "candidate")
            judgement = judge(
                Screener(self.bundle.folder),
                Screener(candidate.folder),
                judges,
                guards.judging,
                self.settings,
                scores=self._scores_in_turns(base, decisions, turns, guards, kept.share, folder),
            )
        report = self._report(
            _counted(decisions, (len(site), len(judges)), guards, in_turns=bool(turns)),
            LearnedSummary(learned.passes, learned.best, kept.share, kept.tried),
            judgement,
            delta.parameters,
            time.perf_counter() - began,
        )
        told = {key: to_json(getattr(report, key)) for key in ("method", "decisions", "learned", "judged")}
        return Adaptation(judgement, Delta(delta.tensors, delta.base, told), composed, report)

    def _turns(self, decisions: Decisions) -> list[NDArray[np.int64]]:
        """Return the parts that judge in turns.

        None where later decisions judge, learning takes long, or a part would lack a class.
        """
        if decisions.times is None and self.settings.method == "logistic":
            with contextlib.suppress(UserError):
                return decisions.turns(self.settings.held_out)
        return []

    def _change(
        self, base: Any, site: Decisions, guards: Guards, progress: Path | None
    ) -> tuple[Learned, Dialled]:
        """Learn from decisions, and choose how much of it is kept."""
        learned = learned_before(
            progress,
            self.bundle,
            (site, guards.rehearsed),
            self.settings,
            lambda: learn(copy.deepcopy(base), self.bundle, site, guards.rehearsed, self.settings),
        )
        chooses = site.take(np.flatnonzero(chosen_of(site)))
        return learned, dial(base, self.bundle, learned.tensors, chooses, guards.choosing, self.settings)

    def _scores_in_turns(
        self,
        base: Any,
        decisions: Decisions,
        turns: list[NDArray[np.int64]],
        guards: Guards,
        share: float,
        folder: Path,
    ) -> NDArray[np.float32] | None:
        """Score each part of the decisions, (n, 7), by a share of what the others teach; None without any."""
        if not turns:
            return None
        scores = np.zeros((len(decisions), len(ATTRIBUTES)), np.float32)
        for rows in turns:
            others = decisions.take(np.setdiff1d(np.arange(len(decisions)), rows))
            learned = learn(copy.deepcopy(base), self.bundle, others, guards.rehearsed, self.settings)
            delta = Delta(scaled(learned.tensors, share), lineage_of(self.bundle))
            composed = compose(self.bundle, [delta])
            screener = Screener(composed.write(folder / "turn").folder)
            scores[rows] = screener.scores(decisions.take(rows).texts)
        return scores

    def _report(
        self,
        counts: DecisionCounts,
        learned: LearnedSummary,
        judgement: Judgement,
        parameters: int,
        seconds: float,
    ) -> AdaptationReport:
        return AdaptationReport(
            base=f"{self.bundle.name} {self.bundle.version}",
            method=self.settings.method,
            better=judgement.better,
            reasons=judgement.reasons,
            decisions=counts,
            learned=learned,
            judged={"site": judgement.site, **judgement.elsewhere},
            flagged=judgement.flagged,
            passed=judgement.passed,
            groups=judgement.groups,
            settings=self.settings,
            seconds=round(seconds, 1),
            parameters=parameters,
        )


def _counted(
    decisions: Decisions, sides: tuple[int, int], guards: Guards, *, in_turns: bool
) -> DecisionCounts:
    return DecisionCounts(
        read=decisions.read,
        different=len(decisions),
        toxic=int(decisions.positive.sum()),
        contradicted=decisions.contradicted,
        learned_from=sides[0],
        judged_by=sides[1],
        split_by="turns" if in_turns else "text" if decisions.times is None else "time",
        unlabelled=guards.own,
    )
