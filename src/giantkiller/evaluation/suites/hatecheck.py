"""HateCheck (Roettger et al. 2021): accuracy for each functionality and each target, by two attributes.

A case passes when it is called toxic (by the attribute in question) exactly if it is hateful.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from giantkiller.attributes import ATTRIBUTES
from giantkiller.evaluation.config import EvaluationConfig
from giantkiller.evaluation.figures import Figure, share, show
from giantkiller.evaluation.metrics import Scorer, measure
from giantkiller.evaluation.suites.base import (
    BarChart,
    Series,
    SuiteReport,
    Table,
    read_suite_columns,
    to_labels,
    to_texts,
)

FILES = ("hatecheck.parquet", "test_suite_cases.csv", "hatecheck.csv")
HINT = "get test_suite_cases.csv from https://github.com/paul-rottger/hatecheck-data"
JUDGED = ("toxicity", "identity_attack")


@dataclass(frozen=True)
class Functionality:
    """Cases of one functionality: whether they are hateful, and the share passed."""

    rows: int
    hateful: bool
    accuracy: Figure


@dataclass(frozen=True)
class Target:
    """Cases about one group: the share passed, of hateful ones missed, of others flagged."""

    rows: int
    accuracy: Figure
    missed: Figure
    false_alarms: Figure


@dataclass(frozen=True)
class View:
    """All cases, as one attribute sees them."""

    threshold: float
    roc_auc: Figure
    accuracy: Figure
    functionalities: dict[str, Functionality]
    targets: dict[str, Target]


@dataclass(frozen=True)
class HateCheckReport(SuiteReport):
    """HateCheck by each attribute of JUDGED that the model scores."""

    by: dict[str, View]

    def summary(self) -> str:
        """Return share passed and ROC-AUC by each attribute."""
        return "; ".join(
            f"by {attribute}: {show(view.accuracy)} passed at {view.threshold:.3f}, "
            f"ROC-AUC {show(view.roc_auc)}"
            for attribute, view in self.by.items()
        )

    def tables(self) -> list[Table]:
        """Return functionalities and targets by each attribute."""
        tables = []
        for attribute, view in self.by.items():
            cases = [
                (name, f"{cell.rows:,}", "yes" if cell.hateful else "no", show(cell.accuracy))
                for name, cell in view.functionalities.items()
            ]
            targets = [
                (name, f"{cell.rows:,}", show(cell.accuracy), show(cell.missed), show(cell.false_alarms))
                for name, cell in view.targets.items()
            ]
            tables += [
                Table(f"by {attribute}", ("functionality", "cases", "hateful", "passed"), cases),
                Table(
                    f"by {attribute}", ("target", "cases", "passed", "hate missed", "false alarms"), targets
                ),
            ]
        return tables

    def charts(self) -> list[BarChart]:
        """Return the functionalities by each attribute."""
        charts = []
        for attribute, view in self.by.items():
            cells = view.functionalities.values()
            charts.append(
                BarChart(
                    name="hatecheck" if attribute == "toxicity" else f"hatecheck-{attribute}",
                    caption=f"HateCheck: share of cases passed by {attribute}, for each functionality",
                    labels=list(view.functionalities),
                    series=[
                        Series("hateful", [cell.accuracy if cell.hateful else None for cell in cells]),
                        Series("not hateful", [None if cell.hateful else cell.accuracy for cell in cells]),
                    ],
                    axis=f"share passed, threshold {view.threshold:.3f}",
                )
            )
        return charts


def measure_hatecheck(path: Path, scorer: Scorer, config: EvaluationConfig) -> HateCheckReport:
    """Measure a model on HateCheck's file."""
    text, label, functionality, target = read_suite_columns(
        path, ("text", "test_case"), ("label", "label_gold"), ("functionality",), ("target", "target_ident")
    )
    hateful = to_labels(path, label, ("hateful",))
    scores = np.asarray(scorer(to_texts(text)))
    views = {}
    for attribute in JUDGED:
        column = scores[:, ATTRIBUTES.index(attribute)]
        if np.isnan(column).all():
            continue
        threshold = config.threshold(attribute)
        measured = measure(column, hateful, samples=config.samples, seed=config.seed, name=attribute)
        called = column >= threshold
        right = called == hateful
        views[attribute] = View(
            threshold=threshold,
            roc_auc=measured.roc_auc,
            accuracy=share(right.sum(), len(right)),
            functionalities={
                name: _functionality(functionality == name, hateful, right)
                for name in dict.fromkeys(map(str, functionality))
            },
            targets={
                name: _target(target == name, hateful, called)
                for name in dict.fromkeys(str(each) for each in target if each is not None)
            },
        )
    return HateCheckReport(file=path.name, rows=len(hateful), by=views)


def _functionality(
    rows: NDArray[np.bool_], hateful: NDArray[np.bool_], right: NDArray[np.bool_]
) -> Functionality:
    return Functionality(int(rows.sum()), bool(hateful[rows].any()), share(right[rows].sum(), rows.sum()))


def _target(rows: NDArray[np.bool_], hateful: NDArray[np.bool_], called: NDArray[np.bool_]) -> Target:
    return Target(
        rows=int(rows.sum()),
        accuracy=share((called == hateful)[rows].sum(), rows.sum()),
        missed=share((~called & hateful)[rows].sum(), (rows & hateful).sum()),
        false_alarms=share((called & ~hateful)[rows].sum(), (rows & ~hateful).sum()),
    )
