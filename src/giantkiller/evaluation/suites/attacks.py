"""Disguise half of the longer words of real comments and see what is still caught."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from giantkiller.attributes import POSITIVE
from giantkiller.data.augment.attacks import ATTACKS, attack
from giantkiller.evaluation.config import EvaluationConfig
from giantkiller.evaluation.figures import Figure, share, show
from giantkiller.evaluation.metrics import MIN_CLASS, Scorer, measure, require_classes
from giantkiller.evaluation.suites.base import TOXICITY, BarChart, Series, SuiteReport, Table
from giantkiller.evaluation.suites.labelled import CIVIL_FILES, WIKI_FILES, read_test_rows

FILES = CIVIL_FILES + WIKI_FILES
HINT = "it disguises the words of a labelled file: use the one of the suite civil or wiki"
ATTACKED = 5000
"""Comments that the attacks are tried on, at most."""
UNTOUCHED = "none"


@dataclass(frozen=True)
class Attacked:
    """What is left of the figures under one attack.

    `average_precision_kept` is the share of the untouched comments' average precision.
    """

    roc_auc: Figure
    average_precision: Figure
    average_precision_kept: float
    recall: Figure
    false_positive_rate: Figure


@dataclass(frozen=True)
class AttacksReport(SuiteReport):
    """Each attack by name, "none" first: the same comments untouched."""

    threshold: float
    attacks: dict[str, Attacked]

    def summary(self) -> str:
        """Return the average precision that is kept under each attack."""
        kept = (
            f"{name} {cell.average_precision_kept:.0%}"
            for name, cell in self.attacks.items()
            if name != UNTOUCHED
        )
        return f"average precision kept: {', '.join(kept)}"

    def tables(self) -> list[Table]:
        """Return all figures under each attack."""
        rows = [
            (
                name,
                show(cell.average_precision),
                f"{cell.average_precision_kept:.1%}",
                show(cell.recall),
                show(cell.false_positive_rate),
                show(cell.roc_auc),
            )
            for name, cell in self.attacks.items()
        ]
        columns = ("attack", "average precision", "kept", "recall", "false-positive rate", "ROC-AUC")
        return [Table(f"at {self.threshold:.3f}", columns, rows)]

    def charts(self) -> list[BarChart]:
        """Return recall and false alarms under each attack."""
        cells = self.attacks.values()
        return [
            BarChart(
                name="attacks",
                caption="Recall and false alarms under spelling attacks",
                labels=list(self.attacks),
                series=[
                    Series("recall", [cell.recall for cell in cells]),
                    Series("false-positive rate", [cell.false_positive_rate for cell in cells]),
                ],
                axis="share called toxic",
            )
        ]


def measure_attacks(path: Path, scorer: Scorer, config: EvaluationConfig) -> AttacksReport:
    """Measure a model on a labelled file whose comments are disguised in every way."""
    data = read_test_rows(path)
    target = data.targets[:, TOXICITY]
    rows = np.flatnonzero(~np.isnan(target))[:ATTACKED]
    truth = target[rows] >= POSITIVE
    require_classes(truth, "the spelling attacks", MIN_CLASS, "the suite")
    texts = [data.texts[row] for row in rows]
    threshold = config.threshold("toxicity")
    attacks: dict[str, Attacked] = {}
    for name in (UNTOUCHED, *ATTACKS):
        changed = texts if name == UNTOUCHED else [attack(text, name, seed=config.seed) for text in texts]
        scores = np.asarray(scorer(changed))[:, TOXICITY]
        called = scores >= threshold
        measured = measure(scores, truth, samples=config.samples, seed=config.seed, name=name)
        untouched = attacks[UNTOUCHED].average_precision if attacks else measured.average_precision
        attacks[name] = Attacked(
            roc_auc=measured.roc_auc,
            average_precision=measured.average_precision,
            average_precision_kept=measured.average_precision.value / untouched.value,
            recall=share(called[truth].sum(), truth.sum()),
            false_positive_rate=share(called[~truth].sum(), (~truth).sum()),
        )
    return AttacksReport(path.name, len(texts), threshold, attacks)
