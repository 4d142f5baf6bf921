"""Dendrites that learn to track the error that remains at their neuron.

Cascade correlation (Fahlman and Lebiere 1990, "The Cascade-Correlation Learning Architecture", equation 1)
on the neurons of a living network, with the covariance normalised by the two standard deviations.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from giantkiller.dendrites.error_signal import Errors, Seen, watch
from giantkiller.dendrites.layers import ACTIVATIONS, DendriteError, Dendritic
from giantkiller.dendrites.moments import Moments
from giantkiller.dendrites.perforate import named_layers
from giantkiller.dendrites.rules import Growth

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Chosen:
    """The best candidate of each neuron of a layer.

    Attributes:
        weight: (out, ...) input weights.
        bias: (out,) biases.
        cascade: (dendrites that were there, out) cascade weights.
        correlation: (out,) S of activation and error over all data, 0 for a silent dendrite.
        refused: neurons whose candidates all repeated a dendrite they have; their new one is silent.
    """

    weight: Tensor
    bias: Tensor
    cascade: Tensor
    correlation: Tensor
    refused: int


@dataclass(frozen=True)
class CorrelationRule:
    """New dendrites climb |S|, the correlation of their activation with their neuron's error.

    The network stands still while they learn. Then they are wired in with strength 0, their input and
    cascade weights are frozen, and no error passes through them to earlier layers: only the strengths
    learn with everything else. Unless `frozen` is False: then the rule only tells dendrites where to begin,
    and they learn on by ordinary backpropagation.

    Attributes:
        candidates: fresh dendrites that compete for each neuron.
        passes: most passes over the data.
        patience: passes without any neuron's best |S| improving, after which the phase ends.
        min_gain: relative improvement of |S| that counts.
        redundancy: a candidate whose activation correlates more than this with a dendrite that the
            neuron has already is refused.
        learning_rate: of Adam, which climbs |S|.
        momentum: weight that the moments seen before keep at each batch; climbing uses such running
            moments, while the |S| that decides is taken over all data.
        scale: factor on the drawn input weights and biases; 1 draws as `nn.Linear` does.
        frozen: whether input and cascade weights stay as the candidates learned them, for all dendrites of
            the layers that grow.
    """

    candidates: int = 4
    passes: int = 20
    patience: int = 3
    min_gain: float = 0.01
    redundancy: float = 0.95
    learning_rate: float = 0.01
    momentum: float = 0.9
    scale: float = 1.0
    frozen: bool = True

    dendrites: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if self.candidates < 1 or self.passes < 1 or self.patience < 1:
            raise DendriteError("CorrelationRule needs candidates, passes and patience of at least 1")
        if not (0 <= self.momentum < 1 and 0 < self.redundancy <= 1 and self.min_gain >= 0):
            raise DendriteError(
                "CorrelationRule needs momentum within [0, 1), redundancy within (0, 1] and min_gain >= 0"
            )

    def grow(
        self, model: nn.Module, layers: Sequence[str], *, errors: Errors | None = None, seed: int = 0
    ) -> Growth:
        """Give each neuron of the named layers its best candidate, in place.

        Args:
            model: a perforated model; nothing about it changes if anything is refused.
            layers: names of its layers that are to grow.
            errors: where to see what error remains.
            seed: of the drawn candidates.

        Raises:
            DendriteError: `errors` is missing or shows no usable error; see `watch`.
        """
        there = named_layers(model, layers)
        chosen = self.choose(model, layers, errors=errors, seed=seed)
        for name, best in chosen.items():
            layer = there[name]
            layer.grow(weight=best.weight, bias=best.bias, cascade=best.cascade)
            layer.freeze_dendrites(self.frozen)
            log.info("%s: mean |S| %.3f, %d refused", name, best.correlation.abs().mean(), best.refused)
        return Growth(
            {name: there[name].dendrites for name in layers},
            {name: best.correlation.abs().mean().item() for name, best in chosen.items()},
        )

    def choose(
        self, model: nn.Module, layers: Sequence[str], *, errors: Errors | None, seed: int = 0
    ) -> dict[str, Chosen]:
        """Train candidates for the named layers and choose the best ones, leaving the model as it is.

        Raises:
            DendriteError: `errors` is missing or shows no usable error; see `watch`.
        """
        there = named_layers(model, layers)
        if errors is None:
            raise DendriteError("CorrelationRule needs errors: the batches and the loss it is to learn from")
        generator = torch.Generator().manual_seed(seed)
        pools = {name: _Pool(layer, self, generator) for name, layer in there.items()}
        best: dict[str, Tensor] = {}
        idle = 0
        for number in range(self.passes):
            for shown in watch(model, there, errors):
                for name, pool in pools.items():
                    pool.climb(shown[name])
            improved = False
            for name, pool in pools.items():
                now = pool.best_so_far()
                before = best.get(name, torch.zeros_like(now))
                improved |= bool((now > before * (1 + self.min_gain)).any())
                best[name] = torch.maximum(now, before)
            log.info(
                "pass %d: mean |S| %.4f",
                number + 1,
                sum(b.mean().item() for b in best.values()) / max(1, len(best)),
            )
            idle = 0 if improved else idle + 1
            if idle >= self.patience:
                break
        for shown in watch(model, there, errors):
            for name, pool in pools.items():
                pool.measure(shown[name])
        return {name: pool.choose() for name, pool in pools.items()}


class _Pool:
    """The candidates of one layer: `rule.candidates` for each of its neurons."""

    def __init__(self, layer: Dendritic, rule: CorrelationRule, generator: torch.Generator) -> None:
        self.layer = layer
        self.rule = rule
        shape = (rule.candidates * layer.neurons, *layer.weight.shape[1:])
        weight = layer.draw(shape, rule.scale, generator)
        bias = layer.draw(shape[:1], rule.scale, generator)
        self.weight = weight.reshape(rule.candidates, *layer.weight.shape)  # (C, out, ...)
        self.bias = bias.reshape(rule.candidates, layer.neurons)  # (C, out)
        self.cascade = layer.weight.new_zeros(rule.candidates, layer.dendrites, layer.neurons)  # (C, D, out)
        self.running = self._moments()
        self.passed = self._moments()
        self.whole = self._moments()
        # Activation of each candidate against that of each dendrite the neuron has: [candidate][dendrite].
        self.likeness = [
            [Moments(layer.neurons, layer.weight.device) for _ in range(layer.dendrites)]
            for _ in range(rule.candidates)
        ]
        for tensor in self._learning():
            tensor.requires_grad_()
        self.optimizer = torch.optim.Adam(self._learning(), lr=rule.learning_rate, maximize=True)

    def climb(self, seen: Seen) -> None:
        """Take one step up |S| on one batch."""
        earlier = self._earlier(seen)
        gradients = [torch.zeros_like(tensor) for tensor in self._learning()]
        for c in range(self.rule.candidates):
            parts = (self.weight[c], self.bias[c], self.cascade[c])
            with torch.enable_grad():
                leaves = [part.detach().requires_grad_() for part in parts]
                a = seen.rows(self.layer, self.layer.fire(seen.x, leaves[0], leaves[1], leaves[2], earlier))
            with torch.no_grad():
                self.running[c].fade(self.rule.momentum)
                self.running[c].add(a.detach(), seen.error)
                self.passed[c].add(a.detach(), seen.error)
                push = ascent(a.detach(), seen.error, self.running[c])
            found = torch.autograd.grad(a, leaves, push, allow_unused=True)
            for gradient, part in zip(gradients, found, strict=True):
                if part is not None:
                    gradient[c] = part
        for tensor, gradient in zip(self._learning(), gradients, strict=True):
            tensor.grad = _summed(gradient)
        self.optimizer.step()

    def best_so_far(self) -> Tensor:
        """Best |S| (out,) among each neuron's candidates during the last pass; begins the next one."""
        best = torch.stack([m.correlation().abs() for m in self.passed]).amax(0)
        self.passed = self._moments()
        return best

    @torch.no_grad()
    def measure(self, seen: Seen) -> None:
        """Count one batch towards the |S| and the likeness that decide."""
        earlier = self._earlier(seen)
        had = [seen.rows(self.layer, activation) for activation in earlier]
        for c in range(self.rule.candidates):
            fired = self.layer.fire(seen.x, self.weight[c], self.bias[c], self.cascade[c], earlier)
            a = seen.rows(self.layer, fired)
            self.whole[c].add(a, seen.error)
            for dendrite, activation in enumerate(had):
                self.likeness[c][dendrite].add(a, activation)

    @torch.no_grad()
    def choose(self) -> Chosen:
        """Take the candidate with the highest |S| of each neuron, unless it repeats a dendrite."""
        correlation = torch.stack([m.correlation() for m in self.whole])  # (C, out)
        refused = torch.zeros_like(correlation, dtype=torch.bool)
        for c, row in enumerate(self.likeness):
            for moments in row:
                refused[c] |= moments.correlation().abs() > self.rule.redundancy
        rank = torch.where(refused, -1.0, correlation.abs())
        winner = rank.argmax(0)
        neuron = torch.arange(self.layer.neurons, device=winner.device)
        none = refused.all(0)
        weight, bias = self.weight[winner, neuron], self.bias[winner, neuron]
        cascade = self.cascade.transpose(1, 2)[winner, neuron].T
        weight[none] = 0.0
        bias[none] = SILENT.get(self.layer.activation, 0.0)
        cascade = torch.where(none, 0.0, cascade)
        best = torch.where(none, 0.0, correlation[winner, neuron])
        return Chosen(weight, bias, cascade, best, int(none.sum()))

    def _learning(self) -> list[Tensor]:
        return [self.weight, self.bias, self.cascade]

    def _moments(self) -> list[Moments]:
        return [Moments(self.layer.neurons, self.layer.weight.device) for _ in range(self.rule.candidates)]

    @torch.no_grad()
    def _earlier(self, seen: Seen) -> list[Tensor]:
        return self.layer.dendrite_activations(seen.x)


# Bias at which a dendrite without input weights stays at 0, where that is not 0 itself.
SILENT = {"sigmoid": -80.0}
assert SILENT.keys() <= ACTIVATIONS.keys()


def ascent(a: Tensor, error: Tensor, moments: Moments) -> Tensor:
    """Gradient d|S| / da of each activation, the moments being those of all rows.

    S = cov(a, delta) / (sd(a) sd(delta)), so dS/da_i = ((delta_i - mean delta) / (sd(a) sd(delta))
    - S (a_i - mean a) / sd(a)^2) / n. Neurons where a signal is constant get 0.

    Args:
        a: (positions, neurons) activations of a batch.
        error: (positions, neurons) delta of the batch.
        moments: of a and delta over the batches so far, this one included.

    Returns:
        (positions, neurons), summing over the positions of all processes' batches.
    """
    s = moments.correlation()
    deviation_a, deviation_error = moments.deviations()
    alive = (deviation_a > 0) & (deviation_error > 0)
    deviation_a = torch.where(alive, deviation_a, 1.0)
    deviation_error = torch.where(alive, deviation_error, 1.0)
    sign = torch.where(s >= 0, 1.0, -1.0) * alive / max(moments.count, 1.0)
    of_error = (sign / (deviation_a * deviation_error)).to(a.dtype)
    of_activation = (sign * s / deviation_a.square()).to(a.dtype)
    return (error - moments.mean_b.to(a.dtype)) * of_error - (a - moments.mean_a.to(a.dtype)) * of_activation


def _summed(gradient: Tensor) -> Tensor:
    """Add the gradients of all processes."""
    if dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
        dist.all_reduce(gradient)
    return gradient
