"""An ordinary labelled file as a suite: all attributes, and the bias metrics by identity."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from giantkiller.attributes import ATTRIBUTES, POSITIVE
from giantkiller.evaluation.bias import BiasReport, measure_bias
from giantkiller.evaluation.config import EvaluationConfig
from giantkiller.evaluation.figures import show
from giantkiller.evaluation.identities import find
from giantkiller.evaluation.metrics import Measured, Scorer, measure_attributes
from giantkiller.evaluation.suites.base import TOXICITY, SuiteReport, Table

if TYPE_CHECKING:
    from giantkiller.data.labelled import Labelled

CIVIL_FILES = (
    "civil_test.parquet", "test_public_expanded.csv", "all_data_with_identities.csv", "test.parquet",
)  # fmt: skip
CIVIL_HINT = (
    "it is made of google/civil_comments on the Hugging Face hub, or comes from the Kaggle competition "
    "jigsaw-unintended-bias-in-toxicity-classification, or from the WILDS benchmark"
)
WIKI_FILES = ("wiki_test.parquet", "test_labels.csv", "test_labels.csv.gz")
WIKI_HINT = (
    "get test.csv and test_labels.csv from the Kaggle competition "
    "jigsaw-toxic-comment-classification-challenge"
)


@dataclass(frozen=True)
class LabelledReport(SuiteReport):
    """Figures of each attribute, why others have none, and bias metrics where toxicity is labelled."""

    attributes: dict[str, Measured]
    skipped: dict[str, str]
    bias: BiasReport | None

    def summary(self) -> str:
        """Return the figures of toxicity, or of the first attribute."""
        name = "toxicity" if "toxicity" in self.attributes else next(iter(self.attributes))
        block = self.attributes[name]
        return f"{name}: ROC-AUC {show(block.roc_auc)}, average precision {show(block.average_precision)}"

    def tables(self) -> list[Table]:
        """Return the figures of all attributes."""
        rows = [
            (
                attribute,
                f"{block.positives:,} of {block.rows:,}",
                show(block.roc_auc),
                show(block.average_precision),
                show(block.best_f1),
            )
            for attribute, block in self.attributes.items()
        ]
        return [
            Table("attributes", ("attribute", "positive", "ROC-AUC", "average precision", "best F1"), rows)
        ]


def measure_labelled(path: Path, scorer: Scorer, config: EvaluationConfig) -> LabelledReport:
    """Measure a model on a labelled file."""
    data = read_test_rows(path)
    scores = np.asarray(scorer(data.texts))
    thresholds = {"threshold": {attribute: config.threshold(attribute) for attribute in ATTRIBUTES}}
    attributes, skipped = measure_attributes(scores, data.targets, thresholds=thresholds, **config.drawn)
    bias = None
    if "toxicity" in attributes:
        asked = ~np.isnan(data.targets[:, TOXICITY])
        rows = data.take(asked)
        bias = measure_bias(
            scores[asked, TOXICITY],
            rows.targets[:, TOXICITY] >= POSITIVE,
            find(rows.texts, rows.extra),
            threshold=config.threshold("toxicity"),
            **config.drawn,
        )
    return LabelledReport(path.name, len(data), attributes, skipped, bias)


def read_test_rows(path: Path) -> "Labelled":
    """Read a labelled file; of the WILDS file, which holds all splits, the test rows alone."""
    from giantkiller.data.labelled import read_labelled

    data = read_labelled(path)
    if "split" in data.extra and (data.extra["split"] == "test").any():
        return data.take(data.extra["split"] == "test")
    return data
