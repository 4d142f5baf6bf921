"""An evaluation from a model and files to a report."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from giantkiller.errors import UserError
from giantkiller.evaluation.config import EvaluationConfig
from giantkiller.evaluation.opponents import ScoringModel
from giantkiller.evaluation.report import ModelInfo, Report, RunSettings, Validation, evaluate
from giantkiller.evaluation.suites import find_suite, run_suite

if TYPE_CHECKING:
    from giantkiller.data.labelled import Labelled


def evaluate_model(
    model: ScoringModel,
    config: EvaluationConfig,
    *,
    data: "Labelled | None" = None,
    file: str = "",
    suites: Sequence[str] = (),
    folder: Path | None = None,
    validation: Validation | None = None,
    in_full: bool = True,
    progress: Callable[[str], object] | None = None,
) -> Report:
    """Evaluate a model on a labelled file, on suites, or on both.

    Args:
        model: A scoring function and what is known of it.
        config: Samples, seed and the like. Thresholds or a policy that it lacks are those of `validation`,
            or else the model's.
        data: Labelled rows.
        file: Their name.
        suites: Names of suites.
        folder: Where the suites' files lie.
        validation: What was fitted on other rows; its calibration is applied to the model's scores.
        in_full: False for the figures of each attribute alone.
        progress: Called with the name of each step.

    Raises:
        UserError: A suite or its file is missing, or stored scores are to be judged by one; see also
            `report.evaluate`.
    """
    if suites and model.kind == "scores":
        raise UserError(f"{model.name} holds stored scores, which no `suite` can ask for more")
    for name in suites:
        find_suite(name, folder)
    config = _completed(config, model, validation)

    def score(texts: Sequence[str]) -> NDArray[Any]:
        scores = model.scores(texts)
        return validation.apply(scores) if validation else np.asarray(scores)

    info = ModelInfo(model.name, model.kind, model.about)
    if data is None:
        report = Report(info, RunSettings(config.samples, config.seed))
    else:
        report = evaluate(
            data.texts,
            data.targets,
            score(data.texts),
            config,
            model=info,
            file=file,
            columns=data.extra,
            scorer=None if model.kind == "scores" else score,
            # The words carry the model's own score, not a recalibrated one.
            explain=None if validation else model.explain,
            progress=progress,
            in_full=in_full,
        )
    found = {}
    for name in suites:
        if progress:
            progress(f"suite {name}")
        found[name] = run_suite(name, folder, score, config)
    return replace(report, validation=validation, suites=found)


def _completed(
    config: EvaluationConfig, model: ScoringModel, validation: Validation | None
) -> EvaluationConfig:
    """Take thresholds and policy that nobody named from what was fitted, or else from the model."""
    own = {model.kind: model.thresholds} if model.thresholds else {}
    config = replace(config, thresholds=config.thresholds or (validation.thresholds if validation else own))
    if config.policy:
        return config
    if validation:
        source = f"fitted on {validation.file} by aims: {validation.aims}"
        return replace(config, policy=validation.policy, policy_source=source)
    return replace(config, policy=model.policy, policy_source="the model's own")
