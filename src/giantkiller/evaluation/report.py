"""Everything that an evaluation finds, computed once; `page` writes it for people."""

import datetime
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from giantkiller import __version__
from giantkiller.attributes import ATTRIBUTES, POSITIVE
from giantkiller.calibration import Calibration, calibrate
from giantkiller.errors import UserError
from giantkiller.evaluation.bias import BiasReport, measure_bias
from giantkiller.evaluation.config import EvaluationConfig
from giantkiller.evaluation.curves import (
    Curves,
    EvenSweep,
    Histogram,
    histogram,
    sweep_evenly,
    trace_curves,
)
from giantkiller.evaluation.facts import ModelFacts
from giantkiller.evaluation.figures import to_json
from giantkiller.evaluation.identities import COLUMNS, find
from giantkiller.evaluation.metrics import Measured, Scorer, labelled, measure_attributes
from giantkiller.evaluation.reliability import (
    CalibrationGap,
    ReliabilityBin,
    calibration_gaps,
    reliability,
)
from giantkiller.evaluation.settings import FittedSettings, fit_settings, to_logits
from giantkiller.evaluation.suites import SuiteReport
from giantkiller.evaluation.swaps import Swapped, measure_swaps
from giantkiller.evaluation.thresholds import Consequences, PolicyAims, choose_threshold, consequences
from giantkiller.policy import ACTIONS, Policy

FORMAT = 2
"""Version of report.json."""
BAND_SAMPLES = 200
"""Bootstrap samples behind the bands of curves; figures use as many as were asked for."""
TOXICITY = ATTRIBUTES.index("toxicity")

Explain = Callable[[str], Sequence[tuple[int, int, float]]]
"""A text to the words that carried its score: begin, end, contribution."""


@dataclass(frozen=True)
class AttributeReport(Measured):
    """Figures of one attribute and what their pictures show; no pictures where they weren't asked for."""

    curves: Curves | None = None
    sweep: EvenSweep | None = None
    reliability: list[ReliabilityBin] = field(default_factory=list)
    histogram: Histogram | None = None


@dataclass(frozen=True)
class PolicyReport:
    """What a policy means.

    Attributes:
        source: Where it is from, in words that follow "it is".
        thresholds: Attribute to thresholds of the actions.
        consequences: Its actions per 10,000 comments.
        calibration: Within each action.
    """

    source: str
    thresholds: dict[str, dict[str, float]]
    consequences: Consequences
    calibration: dict[str, CalibrationGap]


@dataclass(frozen=True)
class HardError:
    """A comment that the model got wrong and was sure of.

    Attributes:
        kind: "missed" or "false alarm".
        row: Its number in the file, from 1.
        score: Of toxicity.
        text: The comment.
        words: Begin, end and contribution of each word; empty where nothing explains the score.
    """

    kind: str
    row: int
    score: float
    text: str
    words: list[tuple[int, int, float]] = field(default_factory=list)


@dataclass(frozen=True)
class FileInfo:
    """A labelled file by name."""

    file: str
    rows: int


@dataclass(frozen=True)
class ModelInfo:
    """What is known of the model."""

    name: str
    kind: str
    about: ModelFacts


@dataclass(frozen=True)
class RunSettings:
    """What the figures were computed with."""

    samples: int
    seed: int
    positive_from: float = POSITIVE


@dataclass(frozen=True)
class Validation:
    """What was fitted on validation rows before the model was judged on others; the policy by `aims`."""

    file: str
    rows: int
    calibration: dict[str, Calibration]
    methods: dict[str, str]
    losses: dict[str, dict[str, float]]
    thresholds: dict[str, dict[str, float]]
    policy: dict[str, dict[str, float]]
    notes: dict[str, str]
    aims: PolicyAims

    def apply(self, scores: ArrayLike) -> NDArray[np.float32]:
        """Apply the calibration to probabilities (n, 7); columns of NaN stay so."""
        score = np.asarray(scores, dtype=np.float64)
        logits = np.where(np.isnan(score), 0.0, to_logits(score))
        return np.where(np.isnan(score), np.nan, calibrate(logits, self.calibration)).astype(np.float32)


@dataclass(frozen=True)
class Report:
    """An evaluation of one model.

    Attributes:
        model: What is known of the model.
        settings: What the figures were computed with.
        data: The labelled file; None where only suites were run.
        attributes: Attribute to its figures.
        skipped: Attribute to why it has none.
        bias: By identity; None where toxicity has no figures.
        policy: What the policy means; None without one.
        swaps: How far scores move when only the identity changes; empty for stored scores.
        errors: The hardest errors.
        validation: What was fitted before; None where nothing was.
        suites: Suite to its report.
    """

    model: ModelInfo
    settings: RunSettings
    data: FileInfo | None = None
    attributes: dict[str, AttributeReport] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    bias: BiasReport | None = None
    policy: PolicyReport | None = None
    swaps: dict[str, Swapped] = field(default_factory=dict)
    errors: list[HardError] = field(default_factory=list)
    validation: Validation | None = None
    suites: dict[str, SuiteReport] = field(default_factory=dict)
    format: int = FORMAT
    giantkiller: str = __version__
    created: str = field(
        default_factory=lambda: datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    )

    def json(self) -> str:
        """Return the report as JSON in ASCII; a figure without a value or an interval is null there."""
        return json.dumps(to_json(self), indent=1, allow_nan=False) + "\n"


def fit_validation(
    scores: ArrayLike, targets: ArrayLike, choices: Sequence[str] = (), *, file: str = "", seed: int = 0
) -> Validation:
    """Fit calibration, thresholds and policy for a model on validation rows, as `export` fits a bundle's.

    The policy is fitted by aims; the presets of a bundle (`presets.fit_preset`) need situations, too.

    Args:
        scores: (n, 7) probabilities of the validation rows.
        targets: (n, 7) fractions of raters, NaN where missing.
        choices: Further thresholds for toxicity, such as "precision=0.9" or "capacity=0.02"
            (see `thresholds.choose_threshold`).
        file: Name of the rows' file.
        seed: Of the cross-validation.

    Raises:
        UserError: A choice that cannot be read or reached; see also `settings.fit_settings`.
    """
    score, target = np.asarray(scores, dtype=np.float64), np.asarray(targets, dtype=np.float64)
    present = np.array([not np.isnan(column).all() for column in score.T])
    if not present[TOXICITY]:
        raise UserError("the model gives no toxicity score, so nothing can be fitted for it")
    target = np.where(present, target, np.nan)
    logits = np.where(np.isnan(score), 0.0, to_logits(score))
    aims = PolicyAims()
    fitted: FittedSettings = fit_settings(logits, target, aims=aims, seed=seed)
    calibrated = calibrate(logits, fitted.calibration).astype(np.float32)
    thresholds = {"validation": {a: t for a, t in fitted.threshold.items() if present[ATTRIBUTES.index(a)]}}
    for choice in choices:
        by, _, value = choice.partition("=")
        try:
            number = float(value) if value else None
        except ValueError:
            raise UserError(f"`choose` got {choice!r}: say it like precision=0.9") from None
        chosen = choose_threshold(calibrated[:, TOXICITY], target[:, TOXICITY], by=by, value=number)
        thresholds[choice] = {"toxicity": chosen}
    return Validation(
        file=file,
        rows=len(score),
        calibration=fitted.calibration,
        methods=fitted.methods,
        losses=fitted.losses,
        thresholds=thresholds,
        policy=fitted.policy.to_dict(),
        notes=fitted.notes,
        aims=aims,
    )


def evaluate(
    texts: Sequence[str],
    targets: ArrayLike,
    scores: ArrayLike,
    config: EvaluationConfig,
    *,
    model: ModelInfo,
    file: str,
    columns: Mapping[str, NDArray[Any]] | None = None,
    scorer: Scorer | None = None,
    explain: Explain | None = None,
    progress: Callable[[str], object] | None = None,
    in_full: bool = True,
) -> Report:
    """Evaluate one model on one labelled file.

    Args:
        texts: n comments.
        targets: (n, 7) fractions of raters, NaN where missing.
        scores: (n, 7) probabilities, a column of NaN where the model has no such attribute.
        config: Thresholds, policy, samples.
        model: What is known of the model.
        file: Name of the comments' file.
        columns: The file's other columns; identity columns are taken from them.
        scorer: Texts to scores, for the identity swap; left out for stored scores.
        explain: Which words carried a toxicity score; used for the hardest errors.
        progress: Called with the name of each step.
        in_full: False for the figures of each attribute alone.

    Raises:
        UserError: See `metrics.measure_attributes`.
    """
    score, target = np.asarray(scores, dtype=np.float64), np.asarray(targets, dtype=np.float64)
    say = progress or (lambda step: None)
    measured, skipped = measure_attributes(
        score, target, thresholds=config.thresholds, progress=say, **config.drawn
    )
    attributes = {}
    for attribute, figures in measured.items():
        column = score[:, ATTRIBUTES.index(attribute)], target[:, ATTRIBUTES.index(attribute)]
        if in_full:
            say(f"curves of {attribute}")
        attributes[attribute] = _with_curves(figures, *column, config) if in_full else _plain(figures)
    report = Report(
        model=model,
        settings=RunSettings(config.samples, config.seed),
        data=FileInfo(file, len(score)),
        attributes=attributes,
        skipped=skipped,
    )
    if in_full and "toxicity" in attributes:
        say("identities")
        report = _with_toxicity(report, texts, target, score, config, columns, scorer, explain)
    return report


def _plain(measured: Measured) -> AttributeReport:
    return AttributeReport(**{each.name: getattr(measured, each.name) for each in fields(measured)})


def _with_curves(
    measured: Measured, scores: NDArray[Any], targets: NDArray[Any], config: EvaluationConfig
) -> AttributeReport:
    kept, positive, _ = labelled(scores, targets)
    return AttributeReport(
        **{each.name: getattr(measured, each.name) for each in fields(measured)},
        curves=trace_curves(scores, targets, samples=min(config.samples, BAND_SAMPLES), seed=config.seed),
        sweep=sweep_evenly(scores, targets),
        reliability=reliability(kept, positive),
        histogram=histogram(kept, positive),
    )


def _with_toxicity(
    report: Report,
    texts: Sequence[str],
    target: NDArray[np.float64],
    score: NDArray[np.float64],
    config: EvaluationConfig,
    columns: Mapping[str, NDArray[Any]] | None,
    scorer: Scorer | None,
    explain: Explain | None,
) -> Report:
    """Add to a report what is about toxicity alone."""
    column, positive, rows = labelled(score[:, TOXICITY], target[:, TOXICITY])
    kept_texts = [texts[row] for row in rows]
    # Only columns that the search for identities reads; others may be anything.
    given = {name: columns[name][rows] for name in COLUMNS if name in columns} if columns else None
    threshold = config.threshold("toxicity")
    policy = None
    if config.policy:
        actions = Policy(config.policy).actions(score[rows])
        policy = PolicyReport(
            source=config.policy_source,
            thresholds={name: dict(steps) for name, steps in config.policy.items()},
            consequences=consequences(actions, positive, base_rate=config.base_rate, **config.drawn),
            calibration=calibration_gaps(column, positive, {name: actions == name for name in ACTIONS}),
        )
    return replace(
        report,
        bias=measure_bias(column, positive, find(kept_texts, given), threshold=threshold, **config.drawn),
        policy=policy,
        swaps=measure_swaps(texts, scorer, threshold=threshold, **config.drawn) if scorer else {},
        errors=hardest_errors(kept_texts, rows, column, positive, threshold, config.errors, explain),
    )


def hardest_errors(
    texts: Sequence[str],
    rows: NDArray[np.intp],
    scores: NDArray[np.float64],
    positive: NDArray[np.bool_],
    threshold: float,
    count: int,
    explain: Explain | None = None,
) -> list[HardError]:
    """Collect the errors that the model was surest of: missed comments, then false alarms.

    Args:
        texts: n comments.
        rows: (n,) their indices in the file.
        scores: (n,) probabilities.
        positive: (n,) True where toxic.
        threshold: From which on a comment is called toxic.
        count: How many of each kind.
        explain: Which words carried a score.
    """
    missed = np.flatnonzero(positive & (scores < threshold))
    alarms = np.flatnonzero(~positive & (scores >= threshold))
    missed = missed[np.argsort(scores[missed], kind="stable")]
    alarms = alarms[np.argsort(-scores[alarms], kind="stable")]
    return [
        HardError(
            kind=kind,
            row=int(rows[index]) + 1,
            score=float(scores[index]),
            text=texts[index],
            words=[(int(a), int(b), float(c)) for a, b, c in explain(texts[index])] if explain else [],
        )
        for kind, found in (("missed", missed), ("false alarm", alarms))
        for index in found[:count]
    ]
