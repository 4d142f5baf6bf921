"""ParaDetox (Logacheva et al. 2022): does the toxic sentence outscore its polite rewrite?"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from giantkiller.evaluation.config import EvaluationConfig
from giantkiller.evaluation.figures import Figure, interval, share, show
from giantkiller.evaluation.metrics import Scorer
from giantkiller.evaluation.suites.base import TOXICITY, SuiteReport, Table, read_suite_columns, to_texts

FILES = ("paradetox.parquet", "paradetox.tsv", "paradetox.csv")
HINT = "get paradetox.tsv from https://github.com/s-nlp/paradetox"


@dataclass(frozen=True)
class ParaDetoxReport(SuiteReport):
    """Toxic sentences and their rewrites.

    Attributes:
        threshold: From which on a sentence is called toxic.
        ranked_rightly: Share of pairs whose toxic sentence scores higher, ties counting half.
        drop: Mean difference of the two scores.
        toxic_caught: Share of toxic sentences called toxic.
        rewrites_called_toxic: Share of rewrites called toxic.
    """

    threshold: float
    ranked_rightly: Figure
    drop: Figure
    toxic_caught: Figure
    rewrites_called_toxic: Figure

    def summary(self) -> str:
        """Return the share of pairs ranked rightly."""
        return f"{show(self.ranked_rightly)} of pairs ranked rightly"

    def tables(self) -> list[Table]:
        """Return the other figures."""
        rows = [
            ("toxic sentence minus rewrite, mean", show(self.drop)),
            (f"toxic sentences called toxic at {self.threshold:.3f}", show(self.toxic_caught)),
            (f"rewrites called toxic at {self.threshold:.3f}", show(self.rewrites_called_toxic)),
        ]
        return [Table("toxic sentences and their rewrites", ("figure", "value"), rows)]


def measure_paradetox(path: Path, scorer: Scorer, config: EvaluationConfig) -> ParaDetoxReport:
    """Measure a model on a file of sentences and rewrites; pairs with an empty half are left out."""
    toxic, neutral = read_suite_columns(
        path, ("toxic", "en_toxic_comment"), ("neutral", "neutral1", "en_neutral_comment")
    )
    whole = [row for row in range(len(toxic)) if toxic[row] and neutral[row]]
    before, after = to_texts(toxic[whole]), to_texts(neutral[whole])
    scores = np.asarray(scorer(before + after))[:, TOXICITY].astype(np.float64)
    old, new = scores[: len(whole)], scores[len(whole) :]
    threshold = config.threshold("toxicity")
    drop = old - new
    rng = np.random.default_rng(config.seed)
    drawn = np.array([drop[rng.integers(0, len(drop), len(drop))].mean() for _ in range(config.samples)])
    return ParaDetoxReport(
        file=path.name,
        rows=len(whole),
        threshold=threshold,
        ranked_rightly=share((drop > 0).sum() + (drop == 0).sum() / 2, len(drop)),
        drop=Figure(float(drop.mean()), *interval(drawn)),
        toxic_caught=share((old >= threshold).sum(), len(old)),
        rewrites_called_toxic=share((new >= threshold).sum(), len(new)),
    )
