"""Fitting what the last layer reads for toxicity to texts other than those that trained the network."""

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from giantkiller.attributes import POSITIVE
from giantkiller.models.inference import Tokens, predict
from giantkiller.training.batches import Examples
from giantkiller.training.phrases import TOXICITY, Floats, point_phrases, what_reads
from giantkiller.training.settings import ReadoutSettings

log = logging.getLogger(__name__)

LEVEL = 100.0
"""Weight of the squares of what a source's mean moves by: one threshold serves comments of all sources."""


@dataclass(frozen=True)
class Pairs:
    """Texts of which the first of two should score higher, n of each."""

    above: Tokens
    below: Tokens


def fit_readout(
    model: Any, told: Examples, steady: Tokens, pairs: Pairs | None, settings: ReadoutSettings
) -> None:
    """Change toxicity's weights in the classifier by a logistic regression on what the classifier reads.

    The rest of the network stays as it is; only its last layer learns, from comments that were held out
    (stacking, Wolpert 1992, "Stacked generalization", with the layer's inputs as level-one data). The logits
    so far are taken as known and the regression says what to add to them: least cross-entropy, each source
    with an intercept that is dropped, plus a penalty on the change. On the mean of the steady comments
    nothing changes, and next to nothing on the mean of a source: how toxic a source is on the whole is what
    its intercept says, and must not come back as a change between sources. Phrases go on moving each logit by
    as much as before.

    Args:
        model: A `DendriticBertForSequenceClassification`, changed in place.
        told: Comments with targets of toxicity, held out of training, and made-up sentences, of frames that
            may have trained; a source's weights sum up to its own.
        steady: Comments on which the change should vary little.
        pairs: Texts to keep in order, which a network may have learned from; None for none.
        settings: Of the recipe.
    """
    corpus = told.corpus
    toxic = corpus.targets[:, TOXICITY] >= POSITIVE
    reads, calm = read_by_classifier(model, told.tokens), read_by_classifier(model, steady)
    spread = np.maximum(reads.std(axis=0), 1e-6)
    middle = calm.mean(axis=0)
    inputs = [(reads - middle) / spread]
    known = [predict(model, told.tokens)[:, TOXICITY].astype(np.float64)]
    outcomes, weights = [toxic], [corpus.weights.astype(np.float64)]
    groups = [np.unique(corpus.source, return_inverse=True)[1]]
    if pairs is not None:
        rude, soft = (read_by_classifier(model, each) for each in (pairs.above, pairs.below))
        logits = [predict(model, each)[:, TOXICITY].astype(np.float64) for each in (pairs.above, pairs.below)]
        inputs.append((rude - soft) / spread)
        known.append(logits[0] - logits[1])
        outcomes.append(np.ones(len(rude), bool))
        weights.append(np.full(len(rude), settings.softened / max(1, len(rude))))
        groups.append(np.full(len(rude), -1))  # a difference has no intercept
    cost = settings.penalty * np.eye(len(spread)) + settings.steady * np.cov(((calm - middle) / spread).T)
    for group in np.unique(groups[0]):
        of = groups[0] == group
        mean = np.average(inputs[0][of], axis=0, weights=weights[0][of])
        cost += LEVEL * np.outer(mean, mean)
    task = Task(*map(np.concatenate, (inputs, known, outcomes, weights, groups)))
    _apply(model, regression(task, cost) / spread, middle)
    log.info("readout: toxicity's weights fitted to %d texts", len(toxic))


def read_by_classifier(model: Any, tokens: Tokens) -> Floats:
    """Return what the classifier reads of texts, without phrases: (n, hidden)."""
    classifier, phrases = model.classifier, model.bert.phrases
    model.classifier, model.bert.phrases = nn.Identity(), None
    try:
        return predict(model, tokens, width=model.config.hidden_size).astype(np.float64)
    finally:
        model.classifier, model.bert.phrases = classifier, phrases


@dataclass(frozen=True)
class Task:
    """What weights are fitted to, of n rows."""

    inputs: Floats  # (n, k)
    known: Floats  # (n,), logits so far
    outcomes: NDArray[np.bool_]  # (n,)
    weights: Floats  # (n,)
    groups: NDArray[np.int64]  # (n,), each with an intercept of its own but for -1


def regression(task: Task, cost: Floats) -> Floats:
    """Return what to add to the weights, (k,).

    Least weighted cross-entropy of `known` plus what the inputs say plus the group's intercept; plus half of
    the weights' square by `cost` (k, k).
    """
    from scipy.optimize import minimize
    from scipy.special import expit

    k, count = task.inputs.shape[1], int(task.groups.max(initial=-1)) + 1
    free = task.groups >= 0

    def loss(found: Floats) -> tuple[float, Floats]:
        change, intercepts = found[:k], np.append(found[k:], 0.0)
        logits = task.known + task.inputs @ change + intercepts[task.groups]
        wrong = task.weights * (expit(logits) - task.outcomes)
        dear = cost @ change
        value = task.weights @ (np.logaddexp(0, logits) - task.outcomes * logits) + change @ dear / 2
        slope = np.append(task.inputs.T @ wrong + dear, np.bincount(task.groups[free], wrong[free], count))
        return float(value), slope

    found = minimize(loss, np.zeros(k + count), jac=True, method="L-BFGS-B", options={"maxiter": 500})
    return np.asarray(found.x[:k])


@torch.no_grad()
def _apply(model: Any, change: Floats, middle: Floats) -> None:
    phrases = model.bert.phrases
    aim = what_reads(model) @ phrases.direction.float().cpu() if phrases is not None else None
    classifier = model.classifier
    classifier.weight[TOXICITY] += torch.from_numpy(change).to(classifier.weight)
    classifier.bias[TOXICITY] -= float(change @ middle)
    if aim is not None:
        point_phrases(model, aim)
