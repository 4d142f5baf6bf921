"""How much of what was learned is kept: between the old weights and the new ones.

Wortsman et al. 2022, "Robust fine-tuning of zero-shot models": weights between two models often keep what the
old one knew and most of what the new one learned.
"""

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from giantkiller.adapt.decisions import TOXICITY, Decisions
from giantkiller.adapt.delta import Delta, scaled
from giantkiller.adapt.rehearsal import Rehearsal
from giantkiller.adapt.settings import Settings
from giantkiller.attributes import POSITIVE
from giantkiller.bundle import Bundle
from giantkiller.calibration import Calibrator, sigmoid
from giantkiller.encoding import Encoder
from giantkiller.evaluation.metrics import ranking
from giantkiller.evaluation.ranked import Ranked
from giantkiller.models.inference import Tokens, predict, tokenize

SHARES = (1.0, 0.8, 0.6, 0.45, 0.35, 0.25, 0.15, 0.1)
"""Of the change, that are tried."""
MARGINS = {True: 0.5, False: 0.8}
"""Of what may be lost elsewhere, what may be lost on the texts that choose: the judge has others.

With labels, and without them, where a tenth of the texts stand for the toxic ones and the figure is steadier.
"""


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

    tokens: Tokens
    positive: NDArray[np.bool_]
    before: float

    def loss(self, model: Any) -> float:
        return self.before - _average_precision(predict(model, self.tokens)[:, TOXICITY], self.positive)


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
        site: Decisions that taught nothing and don't judge; without any the largest share gains most.
        elsewhere: What must not get worse, by name; without any all of the change is kept.
        settings: Whose `tolerance` and `agreement` count.
    """
    if not elsewhere:
        return Dialled(1.0, dict(tensors), [])
    encoder = Encoder(bundle.tokenizer, bundle.max_length)
    choosers = {name: _chooser(base, encoder, some) for name, some in elsewhere.items()}
    decisions = tokenize(encoder, site.texts or [""], clean=True)

    def error(model: Any) -> float:
        return _cross_entropy(predict(model, decisions), site, bundle) if len(site) else 0.0

    def changed(share: float) -> Any:
        model = copy.deepcopy(base)
        Delta(scaled(tensors, share), ()).apply(model)
        return model

    before = error(base)
    gains = {share: before - error(changed(share)) for share in SHARES}
    limits = {
        name: MARGINS[some.labelled] * settings.limit(some.labelled) for name, some in elsewhere.items()
    }
    tried: list[Tried] = []
    best_first = sorted(SHARES, key=lambda share: (gains[share], share), reverse=True)
    for share in tqdm(best_first, desc="choosing", unit="share", leave=False, disable=None):
        model = changed(share)
        losses = {name: chooser.loss(model) for name, chooser in choosers.items()}
        tried.append(Tried(share, gains[share], losses))
        if all(losses[name] <= limits[name] for name in limits):
            return Dialled(share, scaled(tensors, share), tried)
    return Dialled(SHARES[-1], scaled(tensors, SHARES[-1]), tried)


def _chooser(base: Any, encoder: Encoder, some: Rehearsal) -> _Chooser:
    tokens = tokenize(encoder, some.texts, clean=True)
    old = predict(base, tokens)[:, TOXICITY]
    positive = some.labels(old) >= POSITIVE
    return _Chooser(tokens, positive, _average_precision(old, positive))


def _cross_entropy(logits: NDArray[np.float32], site: Decisions, bundle: Bundle) -> float:
    line = Calibrator(bundle.calibration).lines(logits)[:, TOXICITY]
    each = np.logaddexp(0.0, line) - site.targets[:, TOXICITY] * line
    return float(np.average(each, weights=site.weights))


def _average_precision(logits: NDArray[np.float32], positive: NDArray[np.bool_]) -> float:
    if positive.all() or not positive.any():
        return math.nan
    ranked = Ranked.of(sigmoid(logits), positive)
    return ranking(ranked, *ranked.counts())["average_precision"]
