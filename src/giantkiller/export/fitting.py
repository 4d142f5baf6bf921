"""Calibration, thresholds and policy, fitted on labelled comments that training has not seen."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from giantkiller.attributes import ATTRIBUTES, POSITIVE
from giantkiller.errors import UserError
from giantkiller.evaluation import calibration, thresholds
from giantkiller.evaluation.metrics import MIN_CLASS, TooFewRowsError, measure
from giantkiller.export.checkpoint import Checkpoint

if TYPE_CHECKING:
    from giantkiller.data.sources import Labelled

log = logging.getLogger(__name__)


def is_trained(source: Checkpoint, file: str) -> bool:
    """Tell whether the checkpoint, by its own record, may have been trained on a file's rows.

    Soft labels don't say which files their texts are from: where a recipe holds a share of all texts out, any
    file but the one that it chose by may be theirs.
    """
    data = source.record.get("recipe", {}).get("data", {})
    if file in {Path(name).name for name in data.get("train", [])}:
        return True
    chosen_by = Path(data.get("validation") or "").name
    return bool(data.get("soft_labels") and data.get("holdout_fraction")) and file != chosen_by


def unseen(source: Checkpoint, file: str, part: "Labelled") -> "Labelled":
    """Leave out the rows of a file that the checkpoint's training, by its own record, has seen."""
    from giantkiller.data.holdout import is_held_out

    if not is_trained(source, file):
        return part
    fraction = source.record["recipe"]["data"].get("holdout_fraction", 0.0)
    kept = part.take(np.asarray([is_held_out(text, fraction) for text in part.texts], bool))
    if not len(kept):
        raise UserError(f"{file} was trained on; calibration needs rows that training has not seen")
    return kept


def first_labels(parts: "Mapping[str, Labelled]") -> tuple[NDArray[np.float64], dict[str, str]]:
    """Choose for each attribute the first file with enough labels for it.

    Returns:
        targets of all files' rows one after the other, (rows, 7), NaN where a row's file was not chosen; and
        attribute to the chosen file's name.
    """
    targets = np.concatenate([part.targets for part in parts.values()]).astype(np.float64)
    ends = np.cumsum([len(part) for part in parts.values()])
    origin: dict[str, str] = {}
    for place, attribute in enumerate(ATTRIBUTES):
        for (file, part), end in zip(parts.items(), ends, strict=True):
            column = part.targets[:, place]
            positives = int((column >= POSITIVE).sum())
            if min(positives, int((column < POSITIVE).sum())) >= MIN_CLASS:
                origin[attribute] = file
                targets[: end - len(part), place] = np.nan
                targets[end:, place] = np.nan
                break
        else:
            targets[:, place] = np.nan
    return targets, origin


def fit(
    raw: NDArray[np.float32],
    reference: NDArray[np.float32],
    targets: NDArray[np.float64],
    origin: Mapping[str, str],
    aims: Mapping[str, float],
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Fit calibration, thresholds and policy on the exported model's own logits; report what export cost."""
    try:
        lines, line_notes = calibration.fit_lines(raw, targets)
        scores = calibration.apply_lines(raw, lines)
        policy, policy_notes = thresholds.fit_policy(scores, targets, **aims)
        decisions = thresholds.fit_decisions(scores, targets)
    except UserError as reason:
        log.warning("exported without calibration: %s", reason)
        return {}, {}
    settings = {"calibration": lines, "threshold": decisions, "policy": policy}
    figures: dict[str, Any] = {
        "validation": {},
        "calibration": line_notes,
        "policy": policy_notes,
        "policy aims": dict(aims),
        "largest logit change": round(float(np.abs(raw - reference).max()), 4),
    }
    for place, attribute in enumerate(ATTRIBUTES):
        try:
            ours, theirs = (
                measure(calibration.sigmoid(z[:, place]), targets[:, place], samples=0, name=attribute)
                for z in (raw, reference)
            )
        except TooFewRowsError:
            continue
        figures["validation"][attribute] = {
            "file": origin[attribute],
            "rows": ours["rows"],
            "positives": ours["positives"],
            "roc_auc": round(ours["roc_auc"].value, 4),
            "average_precision": round(ours["average_precision"].value, 4),
            "average_precision_lost": round(
                theirs["average_precision"].value - ours["average_precision"].value, 5
            ),
        }
    return settings, figures
