"""Logistic regression on frozen features, in place of what the last layer makes of them for toxicity."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from giantkiller.adapt.decisions import TOXICITY, Decisions
from giantkiller.adapt.delta import ADDED
from giantkiller.bundle import Bundle
from giantkiller.calibration import Calibrator
from giantkiller.encoding import Encoder
from giantkiller.errors import UserError
from giantkiller.models.inference import Tokens, tokenize

STRENGTH = 0.1
"""Inverse strength of the L2 penalty: some hundred decisions stand against a hundred features."""


def learn_row(model: Any, bundle: Bundle, site: Decisions, teaches: NDArray[np.bool_]) -> dict[str, Tensor]:
    """Fit the last layer's row for toxicity to decisions; return a delta's tensors.

    What the old row knew is not in it: how much of the new one is kept, the dial says.

    Args:
        model: A bundle's, in float; it isn't changed.
        bundle: Whose tokenizer and calibration count.
        site: The decisions.
        teaches: (n,) which of them teach.

    Raises:
        UserError: Those that teach are all of one kind.
    """
    tokens = tokenize(Encoder(bundle.tokenizer, bundle.max_length), site.texts, clean=True)
    return fit_row(model, bundle, tokens, site.targets[:, TOXICITY], site.weights * teaches)


def fit_row(
    model: Any, bundle: Bundle, tokens: Tokens, targets: NDArray[np.floating], weights: NDArray[np.floating]
) -> dict[str, Tensor]:
    """Do so for encoded texts.

    Args:
        model: A bundle's.
        bundle: Whose calibration counts.
        tokens: Of n texts.
        targets: (n,) shares of people who would say toxic.
        weights: (n,) what each text counts.

    Raises:
        UserError: What counts is all of one kind.
    """
    from sklearn.linear_model import LogisticRegression  # slow to import, and merging needs none

    features = pooled(model, tokens)
    shares = np.concatenate([targets * weights, (1 - targets) * weights])
    labels = np.repeat([True, False], len(targets))
    counts = shares > 0
    if len(set(labels[counts])) < 2:
        raise UserError("the decisions that teach are all of one kind; add some of the other")
    found = LogisticRegression(C=STRENGTH, max_iter=500).fit(
        np.concatenate([features, features])[counts], labels[counts], sample_weight=shares[counts]
    )
    line, head = Calibrator(bundle.calibration), model.classifier
    slope, intercept = float(line.slopes[TOXICITY]), float(line.intercepts[TOXICITY])
    changes = {"weight": torch.zeros_like(head.weight), "bias": torch.zeros_like(head.bias)}
    with torch.no_grad():
        changes["weight"][TOXICITY] = torch.from_numpy(found.coef_[0] / slope).float() - head.weight[TOXICITY]
        changes["bias"][TOXICITY] = float((found.intercept_[0] - intercept) / slope) - head.bias[TOXICITY]
        strength = getattr(head, "dendrite_strength", None)
        if strength is not None and strength.numel():
            changes["dendrite_strength"] = torch.zeros_like(strength)
            changes["dendrite_strength"][..., TOXICITY] = -strength[..., TOXICITY]
    return {f"classifier.{name}{ADDED}": change for name, change in changes.items()}


@torch.no_grad()
def pooled(model: Any, tokens: Tokens) -> NDArray[np.float32]:
    """Return what the last layer reads of texts, (n, hidden)."""
    found = np.empty((len(tokens.lengths), model.config.hidden_size), np.float32)
    order = np.argsort(tokens.lengths, kind="stable")
    for begin in range(0, len(order), 64):
        rows = order[begin : begin + 64]
        ids, mask = tokens.batch(rows)
        found[rows] = model.bert(input_ids=ids, attention_mask=mask).pooler_output.numpy()
    return found
