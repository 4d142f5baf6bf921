"""The arms of the study of adaptation: what of the shipped model learns, each stated as a delta."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from giantkiller.adapt import Decisions, Settings
from giantkiller.adapt.learning import Part, chosen_of, fit, make_part
from giantkiller.adapt.methods import Learning, attach
from giantkiller.adapt.regression import learn_row
from giantkiller.adapt.rehearsal import Rehearsal
from giantkiller.bundle import Bundle
from giantkiller.calibration import Calibrator
from giantkiller.dendrites import CorrelationRule, Errors, perforate

LAYER = "bert.encoder.layer.0.attention.output.dense"
GROWN = ("weight", "bias", "strength")
RATES = {"low-rank": 2e-3, "dendrites": 2e-3, "head": 1e-2, "bias": 1e-2, "full": 2e-4}
"""Learning rates by method, which `--tuning` multiplies."""


@dataclass(frozen=True)
class Arm:
    """What learns.

    Attributes:
        method: Of `giantkiller.adapt.Settings`; "" for what is fitted and doesn't learn by steps, "layer" for
            dendrites on one layer.
        rank: Of a low-rank update.
        alone: Whether logistic regression goes by the decisions alone.
        grown: How the dendrites on one layer begin: at random, or by correlation with the errors.
        frozen: Whether their input weights stay as they began, as in cascade correlation.
        candidates: Of which the rule keeps the best.
    """

    method: str
    rank: int = 4
    alone: bool = False
    grown: str = ""
    frozen: bool = False
    candidates: int = 4


ARMS: Mapping[str, Arm] = {
    "platt": Arm(""),
    "logistic": Arm(""),
    "head": Arm("head"),
    "bias": Arm("bias"),
    "low-rank": Arm("low-rank"),
    "dendrites on one layer": Arm("layer", grown="random"),
    "correlation": Arm("layer", grown="correlation", frozen=True),
    "correlation, then free": Arm("layer", grown="correlation"),
    "low-rank, wide": Arm("low-rank", rank=48),
    "dendrites": Arm("dendrites"),
    "full": Arm("full"),
}
ABLATION: Mapping[str, Arm] = {
    "logistic, nothing rehearsed": Arm("", alone=True),
    "random, frozen": Arm("layer", grown="random", frozen=True),
    "correlation, 1 candidate": Arm("layer", grown="correlation", frozen=True, candidates=1),
    "correlation, 16 candidates": Arm("layer", grown="correlation", frozen=True, candidates=16),
}
EQUAL = {
    "dendrites on one layer": "low-rank",
    "correlation": "low-rank",
    "correlation, then free": "low-rank",
    "dendrites": "low-rank, wide",
}
"""Arms with dendrites, and the one without of about their size."""


def settings_of(arm: Arm, factor: float, rehearsal: float, seed: int) -> Settings:
    """Return how an arm learns; a factor is that of its method's learning rate."""
    method = arm.method if arm.method not in ("", "layer") else "dendrites"
    rate = RATES[method] * factor
    return Settings(method=method, rank=arm.rank, learning_rate=rate, rehearsal=rehearsal, seed=seed)


def learn(
    name: str,
    base: Any,
    bundle: Bundle,
    decisions: Decisions,
    rehearsal: Rehearsal,
    rehearsed: Part,
    settings: Settings,
) -> dict[str, torch.Tensor]:
    """Let an arm learn from decisions; return a delta's tensors, those of the whole change.

    Args:
        name: The arm's; not "platt", which changes no order.
        base: The old model; it isn't changed.
        bundle: Whose calibration counts.
        decisions: A fifth of them chooses the pass.
        rehearsal: What is not to be forgotten.
        rehearsed: The same as a step needs it.
        settings: Of `settings_of`.
    """
    arm = (ARMS | ABLATION)[name]
    chosen = chosen_of(decisions)
    if not arm.method:
        return learn_row(base, bundle, decisions, ~chosen, None if arm.alone else rehearsal)
    part = make_part(base, bundle, decisions.texts, decisions.targets, unasked=settings.unasked)
    model = copy.deepcopy(base)
    grown: dict[str, torch.Tensor] = {}
    if arm.method == "layer":
        learning, grown = on_one_layer(model, arm, part, bundle, settings)
    else:
        learning = attach(model, settings)
    learned = fit(model, learning, bundle, (part, rehearsed), chosen, settings)
    return {**grown, **learned.tensors}


def on_one_layer(
    model: Any, arm: Arm, part: Part, bundle: Bundle, settings: Settings
) -> tuple[Learning, dict[str, torch.Tensor]]:
    """Grow a dendrite on each neuron of a layer; return what of them learns, and all of them."""
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    perforate(model, lambda name, _: name == LAYER, activation=model.config.dendrite_activation)
    layer = model.get_submodule(LAYER)
    if arm.grown == "random":
        layer.grow(generator=torch.Generator().manual_seed(settings.seed))
    else:
        for parameter in model.parameters():
            parameter.requires_grad_(True)  # the rule watches gradients
        rule = CorrelationRule(candidates=arm.candidates, passes=8)
        rule.grow(model, [LAYER], errors=errors_of(part, bundle), seed=settings.seed)
        for parameter in model.parameters():
            parameter.requires_grad_(False)
    grown = {f"{LAYER}.dendrite_{name}": getattr(layer, f"dendrite_{name}") for name in GROWN}
    learns = [f"{LAYER}.dendrite_{name}" for name in (GROWN[2:] if arm.frozen else GROWN)]
    for name in learns:
        grown[name].requires_grad_(True)
    return (
        Learning({name: grown[name] for name in learns}),
        {name: parameter.detach().clone() for name, parameter in grown.items()},
    )


def errors_of(part: Part, bundle: Bundle) -> Errors:
    """Show the rule the site's decisions in batches of like lengths."""
    line = Calibrator(bundle.calibration)
    slopes, intercepts = (torch.tensor(each, dtype=torch.float32) for each in (line.slopes, line.intercepts))
    order = np.argsort(part.tokens.lengths, kind="stable")
    batches = [part.batch(order[begin : begin + 64]) for begin in range(0, len(order), 64)]

    def loss(model: Any, batch: Any) -> torch.Tensor:
        ids, mask, targets, weights = batch
        logits = model(input_ids=ids, attention_mask=mask).logits * slopes + intercepts
        each = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
        return (each * weights).sum() / weights.sum()

    return Errors(batches, loss, mask=lambda batch: batch[1].bool())


def size(name: str, tensors: Mapping[str, torch.Tensor]) -> int:
    """Return how many numbers an arm learns: of frozen dendrites the strengths, of the regression a row."""
    arm = (ARMS | ABLATION)[name]
    if not arm.method:
        return tensors["classifier.weight.add"].shape[1] + 1
    learned = [
        tensor for key, tensor in tensors.items() if not arm.frozen or key.endswith("dendrite_strength")
    ]
    return sum(tensor.numel() for tensor in learned)
