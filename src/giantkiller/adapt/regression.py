"""Logistic regression on frozen features, in place of what the last layer makes of them for toxicity."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from giantkiller.adapt.decisions import TOXICITY, Decisions
from giantkiller.adapt.delta import ADDED
from giantkiller.adapt.rehearsal import Rehearsal
from giantkiller.bundle import Bundle
from giantkiller.calibration import Calibrator, sigmoid
from giantkiller.encoding import Encoder
from giantkiller.errors import UserError
from giantkiller.models.inference import Tokens, tokenize

STRENGTH = 0.1
"""Inverse strength of the L2 penalty: some hundred decisions stand against a hundred features."""

REHEARSED = 0.1
"""What the rehearsal weighs, of what the decisions do. Chosen on sites for tuning: docs/results/adapt.md."""


def learn_row(
    model: Any,
    bundle: Bundle,
    site: Decisions,
    teaches: NDArray[np.bool_],
    rehearsal: Rehearsal | None = None,
) -> dict[str, Tensor]:
    """Fit the last layer's row for toxicity to decisions; return a delta's tensors.

    How much of the new row is kept, the dial says.

    Args:
        model: A bundle's, in float; it isn't changed.
        bundle: Whose tokenizer and calibration count.
        site: The decisions.
        teaches: (n,) which of them teach.
        rehearsal: What the old scores shall hold for: its texts that have labels.

    Raises:
        UserError: Those that teach are all of one kind.
    """
    encoder = Encoder(bundle.tokenizer, bundle.max_length)
    targets, weights = site.targets[:, TOXICITY].astype(np.float64), site.weights * teaches
    if not ((targets * weights).any() and ((1 - targets) * weights).any()):
        raise UserError("the decisions that teach are all of one kind; add some of the other")
    features = pooled(model, tokenize(encoder, site.texts, clean=True))
    rehearsed = _labelled(rehearsal)
    if rehearsed:
        old = pooled(model, tokenize(encoder, rehearsed, clean=True))
        with torch.no_grad():
            logits = model.classifier(torch.from_numpy(old)).numpy()
        scores = sigmoid(Calibrator(bundle.calibration).lines(logits)[:, TOXICITY])
        each = REHEARSED * weights.sum() / len(rehearsed)
        features, targets = np.concatenate([features, old]), np.concatenate([targets, scores])
        weights = np.concatenate([weights, np.full(len(rehearsed), each)])
    return _fit(model, bundle, features, targets, weights)


def _labelled(rehearsal: Rehearsal | None) -> list[str]:
    if rehearsal is None:
        return []
    known = ~np.isnan(rehearsal.targets[:, TOXICITY])
    return [text for text, one in zip(rehearsal.texts, known, strict=True) if one]


def _fit(
    model: Any,
    bundle: Bundle,
    features: NDArray[np.float32],
    targets: NDArray[np.floating],
    weights: NDArray[np.floating],
) -> dict[str, Tensor]:
    """Fit a row to features (n, hidden), n shares of people who would say toxic, and what each counts."""
    from sklearn.linear_model import LogisticRegression  # slow to import, and merging needs none

    shares = np.concatenate([targets * weights, (1 - targets) * weights])
    labels = np.repeat([True, False], len(targets))
    counts = shares > 0
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
