"""Which labelled rows calibration, thresholds and policy may be fitted on, and what to report of them."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from giantkiller.attributes import ATTRIBUTES, POSITIVE
from giantkiller.calibration import sigmoid
from giantkiller.errors import UserError
from giantkiller.evaluation.metrics import MIN_CLASS, TooFewRowsError, measure
from giantkiller.evaluation.settings import Settings
from giantkiller.evaluation.thresholds import PolicyAims
from giantkiller.export.checkpoint import Checkpoint

if TYPE_CHECKING:
    from giantkiller.data.labelled import Labelled


def is_trained(source: Checkpoint, file: str) -> bool:
    """Tell whether the checkpoint, by its own record, may have been trained on a file's rows.

    Soft labels don't say which files their texts are from: where a recipe holds a share of all texts out, any
    file but the one that it chose by may be theirs.
    """
    data = source.record.get("recipe", {}).get("data", {})
    chosen_by = Path(data.get("validation") or "").name
    read = {Path(name).name for name in source.record.get("data", {})} - {chosen_by}
    if file in read:
        return True
    taught = source.record.get("soft_labelled") or data.get("soft_labels")
    return bool(taught and data.get("holdout_fraction")) and file != chosen_by


def unseen(source: Checkpoint, file: str, part: "Labelled") -> "Labelled":
    """Leave out the rows of a file that the checkpoint's training, by its own record, has seen."""
    from giantkiller.data.holdout import is_held_out, merge_key

    if not is_trained(source, file):
        return part
    fraction = source.record["recipe"]["data"].get("holdout_fraction", 0.0)
    kept = part.take(np.asarray([is_held_out(merge_key(text), fraction) for text in part.texts], bool))
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


def export_figures(
    settings: Settings,
    aims: PolicyAims,
    raw: NDArray[np.float32],
    reference: NDArray[np.float32],
    targets: NDArray[np.float64],
    origin: Mapping[str, str],
) -> dict[str, Any]:
    """Report what was fitted, how well it ranks, and what export cost.

    Args:
        settings: What was fitted.
        aims: What the policy aims at.
        raw: (rows, 7) logits of the exported model.
        reference: (rows, 7) logits of the checkpoint, in float32 and with all words.
        targets: (rows, 7) fractions of raters, NaN where missing.
        origin: Attribute to the file that its rows are from.
    """
    figures: dict[str, Any] = {
        "validation": {},
        "calibration": settings.methods,
        "policy": settings.notes,
        "policy aims": asdict(aims),
        "largest logit change": round(float(np.abs(raw - reference).max()), 4),
    }
    for column, attribute in enumerate(ATTRIBUTES):
        try:
            ours, theirs = (
                measure(sigmoid(logits[:, column]), targets[:, column], samples=0, name=attribute)
                for logits in (raw, reference)
            )
        except TooFewRowsError:
            continue
        figures["validation"][attribute] = {
            "file": origin[attribute],
            "rows": ours.rows,
            "positives": ours.positives,
            "roc_auc": round(ours.roc_auc.value, 4),
            "average_precision": round(ours.average_precision.value, 4),
            "average_precision_lost": round(theirs.average_precision.value - ours.average_precision.value, 5),
        }
    return figures
