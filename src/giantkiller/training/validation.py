"""What logits are worth on validation texts."""

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from giantkiller.attributes import ATTRIBUTES, POSITIVE
from giantkiller.errors import UserError


def validate(logits: np.ndarray, targets: np.ndarray) -> dict[str, float]:
    """Compute average precision and ROC-AUC of each attribute that has both classes.

    Args:
        logits: (n, 7).
        targets: (n, 7), NaN where missing.

    Returns:
        `ap_toxicity`, `auc_toxicity`, ...
    """
    figures = {}
    for column, name in enumerate(ATTRIBUTES):
        there = ~np.isnan(targets[:, column])
        truth = targets[there, column] >= POSITIVE
        if truth.any() and not truth.all():
            scores = logits[there, column]
            figures[f"ap_{name}"] = float(average_precision_score(truth, scores))
            figures[f"auc_{name}"] = float(roc_auc_score(truth, scores))
    return figures


def choose_by(figures: dict[str, float]) -> float:
    """Return the figure that early stopping and growth go by: toxicity's average precision, else the first.

    Raises:
        UserError: If no attribute has both classes.
    """
    for name in ATTRIBUTES:
        if f"ap_{name}" in figures:
            return figures[f"ap_{name}"]
    raise UserError("the validation texts hold no attribute with both classes; choose other validation data")
