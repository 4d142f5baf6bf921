"""How much of what was learned is kept: between the old weights and the new ones.

Wortsman et al. 2022, "Robust fine-tuning of zero-shot models": weights between two models often keep what the
old one knew and most of what the new one learned.
"""

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from giantkiller.adapt.decisions import TOXICITY, Decisions
from giantkiller.adapt.delta import Delta, scaled
from giantkiller.adapt.regression import pooled
from giantkiller.adapt.rehearsal import Rehearsal
from giantkiller.adapt.settings import Settings
from giantkiller.attributes import POSITIVE
from giantkiller.bundle import Bundle
from giantkiller.calibration import Calibrator, sigmoid
from giantkiller.encoding import Encoder
from giantkiller.evaluation.metrics import ranking
from giantkiller.evaluation.ranked import Ranked
from giantkiller.models.inference import predict, tokenize

SHARES = (1.0, 0.8, 0.6, 0.45, 0.35, 0.28, 0.22, 0.17, 0.13, 0.1, 0.07)
"""Of the change, that are tried."""
MARGIN = 0.8
"""Of what may be lost elsewhere, what may be lost on the texts that choose: the judge has others."""


Scoring = Callable[[Any], NDArray[np.float32]]
"""Returns a model's logits, (n, 7), of n texts that it has."""


@dataclass(frozen=True)
class Tried:
    """What one share of the change does to the texts that choose.

    Attributes:
        share: Of the change.
        gain: By how much the cross-entropy of toxicity falls on the site's decisions that choose: of few
            decisions a steadier figure than average precision.
        losses: In average precision elsewhere, by name.
    """

    share: float
    gain: float
    losses: dict[str, float]


@dataclass(frozen=True)
class Dialled:
    """What is kept of a change.

    Attributes:
        share: Of the change.
        tensors: A delta's, of that share of it.
        tried: What was measured to choose it, what gains most first: the first share within bounds is kept.
    """

    share: float
    tensors: dict[str, Tensor]
    tried: list[Tried]


@dataclass(frozen=True)
class _Chooser:
    """Texts that choose, and what the old model makes of them."""

    logits: Scoring
    positive: NDArray[np.bool_]
    before: float

    def loss(self, model: Any) -> float:
        return self.before - _average_precision(self.logits(model)[:, TOXICITY], self.positive)


def dial(
    base: Any,
    bundle: Bundle,
    tensors: Mapping[str, Tensor],
    site: Decisions,
    elsewhere: Mapping[str, Rehearsal],
    settings: Settings,
) -> Dialled:
    """Choose the share of a change that gains most on the site and loses elsewhere no more than it may.

    Where every share loses too much the smallest one is kept: the judge says the rest.

    Args:
        base: The old model; it isn't changed.
        bundle: Whose tokenizer and calibration count.
        tensors: Of the whole change.
        site: Decisions that taught nothing; without any the largest share gains most.
        elsewhere: What must not get worse, by name; without any all of the change is kept.
        settings: Whose `tolerance` and `agreement` count.
    """
    if not elsewhere:
        return Dialled(1.0, dict(tensors), [])
    scoring = _scoring(base, bundle, tensors)
    choosers = {name: _chooser(base, scoring(some.texts), some) for name, some in elsewhere.items()}
    decisions = scoring(site.texts or [""])

    def error(model: Any) -> float:
        return _cross_entropy(decisions(model), site, bundle) if len(site) else 0.0

    def changed(share: float) -> Any:
        model = copy.deepcopy(base)
        Delta(scaled(tensors, share), ()).apply(model)
        return model

    before = error(base)
    gains = {share: before - error(changed(share)) for share in SHARES}
    limits = {name: MARGIN * settings.limit(some.labelled) for name, some in elsewhere.items()}
    tried: list[Tried] = []
    best_first = sorted(SHARES, key=lambda share: (gains[share], share), reverse=True)
    for share in tqdm(best_first, desc="choosing", unit="share", leave=False, disable=None):
        model = changed(share)
        losses = {name: chooser.loss(model) for name, chooser in choosers.items()}
        tried.append(Tried(share, gains[share], losses))
        if all(losses[name] <= limits[name] for name in limits):
            return Dialled(share, scaled(tensors, share), tried)
    return Dialled(SHARES[-1], scaled(tensors, SHARES[-1]), tried)


def _scoring(base: Any, bundle: Bundle, tensors: Mapping[str, Tensor]) -> Callable[[list[str]], Scoring]:
    """Return what makes of texts their scoring; where the last layer alone changes, the rest runs once."""
    encoder = Encoder(bundle.tokenizer, bundle.max_length)
    last = all(name.startswith("classifier.") for name in tensors)

    def scoring(texts: list[str]) -> Scoring:
        tokens = tokenize(encoder, texts, clean=True)
        if not last:
            return lambda model: predict(model, tokens)
        features = torch.from_numpy(pooled(base, tokens))

        def logits(model: Any) -> NDArray[np.float32]:
            with torch.no_grad():
                found: NDArray[np.float32] = model.classifier(features).numpy()
            return found

        return logits

    return scoring


def _chooser(base: Any, logits: Scoring, some: Rehearsal) -> _Chooser:
    old = logits(base)[:, TOXICITY]
    positive = some.labels(old) >= POSITIVE
    return _Chooser(logits, positive, _average_precision(old, positive))


def _cross_entropy(logits: NDArray[np.float32], site: Decisions, bundle: Bundle) -> float:
    line = Calibrator(bundle.calibration).lines(logits)[:, TOXICITY]
    each = np.logaddexp(0.0, line) - site.targets[:, TOXICITY] * line
    return float(np.average(each, weights=site.weights))


def _average_precision(logits: NDArray[np.float32], positive: NDArray[np.bool_]) -> float:
    if positive.all() or not positive.any():
        return math.nan
    ranked = Ranked.of(sigmoid(logits), positive)
    return ranking(ranked, *ranked.counts())["average_precision"]
