"""Which labelled rows calibration, thresholds and policy may be fitted on."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from giantkiller.attributes import ATTRIBUTES, POSITIVE
from giantkiller.data.holdout import is_held_out, merge_key
from giantkiller.data.labelled import Labelled
from giantkiller.errors import UserError
from giantkiller.evaluation.metrics import MIN_CLASS


def is_trained(record: Mapping[str, Any], file: str) -> bool:
    """Return whether a checkpoint may have been trained on a file's rows.

    Soft labels don't say which files their texts are from: where a recipe holds a share of all texts out, any
    file but the one that it chose by may be theirs.

    Args:
        record: What training wrote down about itself.
        file: The file's name.
    """
    data = record.get("recipe", {}).get("data", {})
    chosen_by = Path(data.get("validation") or "").name
    if file in {Path(name).name for name in record.get("data", {})} - {chosen_by}:
        return True
    taught = record.get("soft_labelled") or data.get("soft_labels")
    return bool(taught and data.get("holdout_fraction")) and file != chosen_by


def unseen(record: Mapping[str, Any], file: str, part: Labelled) -> Labelled:
    """Leave out the rows of a file that a checkpoint's training, by its own record, has seen.

    Raises:
        UserError: None is left.
    """
    if not is_trained(record, file):
        return part
    fraction = record.get("recipe", {}).get("data", {}).get("holdout_fraction", 0.0)
    kept = part.take(np.asarray([is_held_out(merge_key(text), fraction) for text in part.texts], bool))
    if not len(kept):
        raise UserError(f"{file} was trained on; calibration needs rows that training has not seen")
    return kept


def first_labels(parts: Mapping[str, Labelled]) -> tuple[NDArray[np.float64], dict[str, str]]:
    """Choose for each attribute the first file with enough labels for it.

    Returns:
        Targets of all files' rows one after the other, (rows, 7), NaN where a row's file was not chosen; and
        attribute to the chosen file's name.
    """
    targets = np.concatenate([part.targets for part in parts.values()]).astype(np.float64)
    ends = np.cumsum([len(part) for part in parts.values()])
    origin: dict[str, str] = {}
    for index, attribute in enumerate(ATTRIBUTES):
        for (file, part), end in zip(parts.items(), ends, strict=True):
            column = part.targets[:, index]
            positives = int((column >= POSITIVE).sum())
            if min(positives, int((column < POSITIVE).sum())) >= MIN_CLASS:
                origin[attribute] = file
                targets[: end - len(part), index] = np.nan
                targets[end:, index] = np.nan
                break
        else:
            targets[:, index] = np.nan
    return targets, origin
