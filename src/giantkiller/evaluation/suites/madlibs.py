"""Template sentences that differ in nothing but an identity term (Dixon et al. 2018)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from giantkiller.evaluation.config import EvaluationConfig
from giantkiller.evaluation.figures import Figure, Z, show
from giantkiller.evaluation.identity_aucs import BiasAucs, auc_by_identity
from giantkiller.evaluation.metrics import Measured, Scorer, measure
from giantkiller.evaluation.reliability import MIN_ROWS
from giantkiller.evaluation.suites.base import (
    TOXICITY,
    SuiteReport,
    Table,
    read_suite_columns,
    to_labels,
    to_texts,
)

FILES = ("madlibs.parquet", "bias_madlibs_89k.csv", "bias_madlibs_77k.csv", "madlibs.csv")
HINT = "get bias_madlibs_77k.csv from https://github.com/conversationai/unintended-ml-bias-analysis"
TERMS = (
    "african american", "african", "american", "asian", "bisexual", "black", "blind", "buddhist", "canadian",
    "catholic", "chinese", "christian", "deaf", "elderly", "european", "female", "gay", "heterosexual",
    "hispanic", "homosexual", "indian", "japanese", "jewish", "latina", "latino", "latinx", "lesbian", "lgbt",
    "lgbtq", "male", "mexican", "middle aged", "middle eastern", "millenial", "muslim", "nonbinary", "old",
    "older", "paralyzed", "protestant", "queer", "sikh", "straight", "taoist", "teenage", "trans",
    "transgender", "white", "young", "younger",
)  # fmt: skip
"""The fifty identity terms of the madlibs templates, in their authors' spelling."""


@dataclass(frozen=True)
class TemplatePairs:
    """Sentences of one template compared with each other.

    Attributes:
        templates: Templates with more than one sentence; without any there are no figures.
        sentences: Their sentences.
        spread: Mean distance of the highest and the lowest score within a template.
        spread_90: Its 90th percentile.
        added_by_term: What each term adds to the score on average, the most first.
    """

    templates: int
    sentences: int
    spread: float | None
    spread_90: float | None
    added_by_term: dict[str, Figure]


@dataclass(frozen=True)
class MadlibsReport(SuiteReport):
    """Figures of all sentences, bias AUCs by term, and how far scores move with the term alone.

    `fped` and `fned` are the error-rate equality differences of the paper: sums over terms of the distance to
    the overall rate.
    """

    toxicity: Measured
    terms: BiasAucs
    fped: float
    fned: float
    pairs: TemplatePairs

    def summary(self) -> str:
        """Return ROC-AUC, equality differences and the spread within a template."""
        text = f"ROC-AUC {show(self.toxicity.roc_auc)}, FPED {self.fped:.3f}, FNED {self.fned:.3f}"
        if self.pairs.spread is not None:
            text += f"; within a template the score moves by {self.pairs.spread:.4f} on average"
        return text

    def tables(self) -> list[Table]:
        """Return what each term adds."""
        rows = [(term, show(figure)) for term, figure in self.pairs.added_by_term.items()]
        return [Table("what each term adds to the score", ("term", "added"), rows)] if rows else []


def measure_madlibs(path: Path, scorer: Scorer, config: EvaluationConfig) -> MadlibsReport:
    """Measure a model on a file of madlibs."""
    text, label = read_suite_columns(path, ("text", "Text", "phrase"), ("label", "Label", "toxicity"))
    texts, toxic = to_texts(text), to_labels(path, label, ("bad", "toxic"))
    scores = np.asarray(scorer(texts))[:, TOXICITY]
    threshold = config.threshold("toxicity")
    measured = measure(scores, toxic, thresholds={"threshold": threshold}, name="madlibs", **config.drawn)
    templates, terms = _split(texts)
    masks = {term: terms == term for term in TERMS if (terms == term).any()}
    called = scores >= threshold
    return MadlibsReport(
        file=path.name,
        rows=len(texts),
        toxicity=measured,
        terms=auc_by_identity(scores, toxic, masks, **config.drawn),
        fped=_equality_difference(called, ~toxic, masks),
        fned=_equality_difference(~called, toxic, masks),
        pairs=_compare_within_templates(scores, templates, terms),
    )


def _split(texts: list[str]) -> tuple[list[str], NDArray[Any]]:
    """Cut each sentence into its template and its term ("" without one)."""
    pattern = re.compile(rf"\b(?:{'|'.join(sorted(TERMS, key=len, reverse=True))})\b", re.IGNORECASE)
    matches = [pattern.search(text) for text in texts]
    templates = [
        text[: match.start()] + "{}" + text[match.end() :] if match else text
        for text, match in zip(texts, matches, strict=True)
    ]
    return templates, np.array([match.group().lower() if match else "" for match in matches])


def _equality_difference(
    wrong: NDArray[np.bool_], inside: NDArray[np.bool_], masks: Mapping[str, NDArray[np.bool_]]
) -> float:
    overall = wrong[inside].mean()
    rates = [wrong[inside & mask].mean() for mask in masks.values() if (inside & mask).any()]
    return float(np.sum(np.abs(np.array(rates) - overall)))


def _compare_within_templates(
    scores: NDArray[Any], templates: list[str], terms: NDArray[Any]
) -> TemplatePairs:
    rows_of: dict[str, list[int]] = {}
    for row, template in enumerate(templates):
        if terms[row]:
            rows_of.setdefault(template, []).append(row)
    groups = [rows for rows in rows_of.values() if len(rows) > 1]
    if not groups:
        return TemplatePairs(0, 0, None, None, {})
    spreads: list[float] = []
    shifts: dict[str, list[float]] = {}
    for rows in groups:
        inside = scores[rows].astype(np.float64)
        spreads.append(float(inside.max() - inside.min()))
        for row, shift in zip(rows, inside - inside.mean(), strict=True):
            shifts.setdefault(str(terms[row]), []).append(float(shift))
    added = {term: _mean(np.array(each)) for term, each in shifts.items() if len(each) >= MIN_ROWS}
    return TemplatePairs(
        templates=len(groups),
        sentences=sum(map(len, groups)),
        spread=float(np.mean(spreads)),
        spread_90=float(np.percentile(spreads, 90)),
        added_by_term=dict(sorted(added.items(), key=lambda item: -item[1].value)),
    )


def _mean(values: NDArray[np.float64]) -> Figure:
    half = Z * values.std(ddof=1) / np.sqrt(len(values))
    return Figure(float(values.mean()), float(values.mean() - half), float(values.mean() + half))
