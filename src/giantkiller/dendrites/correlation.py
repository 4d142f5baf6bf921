"""Dendrites that learn to correlate with the error that remains at their neuron.

Cascade correlation (Fahlman and Lebiere 1990, "The Cascade-Correlation Learning Architecture", equation 1)
on the neurons of a trained network, with the covariance normalised by the two standard deviations.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from giantkiller.dendrites.error_signal import Errors, Observation, watch
from giantkiller.dendrites.exceptions import DendriteError
from giantkiller.dendrites.layers import ACTIVATIONS, Dendritic
from giantkiller.dendrites.moments import Moments
from giantkiller.dendrites.perforate import named_layers
from giantkiller.dendrites.rules import Growth

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class BestCandidates:
    """The best candidate of each neuron of a layer.

    Attributes:
        weight: (out, ...) input weights.
        bias: (out,) biases.
        cascade: (earlier dendrites, out) cascade weights.
        correlation: (out,) S of activation and error over all data, 0 for a silent dendrite.
        rejected: Number of neurons whose candidates were all redundant; their new dendrite is silent.
    """

    weight: Tensor
    bias: Tensor
    cascade: Tensor
    correlation: Tensor
    rejected: int


@dataclass(frozen=True)
class CorrelationRule:
    """New dendrites climb |S|, the correlation of their activation with their neuron's error.

    The network does not train meanwhile. Then they are added with strength 0, their input and cascade
    weights are frozen, and no error passes through them to earlier layers: only the strengths learn with
    everything else. Unless `frozen` is False: then the rule only initializes the dendrites, and they learn
    on by ordinary backpropagation.

    Attributes:
        candidates: Number of new dendrites that compete for each neuron.
        passes: Maximum number of passes over the data.
        patience: Number of passes without a better |S| at any neuron after which candidates stop learning.
        min_gain: Relative improvement of |S| that counts.
        redundancy: Correlation with a dendrite of the same neuron above which a candidate is rejected.
        learning_rate: Learning rate of Adam, which maximizes |S|.
        momentum: Weight that earlier moments keep at each batch; learning uses such running moments, while
            the |S| that decides is taken over all data.
        scale: Factor on the drawn input weights and biases; 1 draws as `nn.Linear` does.
        frozen: Whether input and cascade weights stay as the candidates learned them, for all dendrites of
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
        """Add its best candidate to each neuron of the named layers, in place.

        Args:
            model: A perforated model; it does not change if this raises.
            layers: Names of its layers that grow.
            errors: Data and loss from which the errors are computed.
            seed: Seed of the drawn candidates.

        Raises:
            DendriteError: If `errors` is missing or yields no usable error; see `watch`.
        """
        growing = named_layers(model, layers)
        found = self.best_candidates(model, layers, errors=errors, seed=seed)
        for name, best in found.items():
            layer = growing[name]
            layer.grow(weight=best.weight, bias=best.bias, cascade=best.cascade)
            layer.freeze_dendrites(self.frozen)
            log.info("%s: mean |S| %.3f, %d rejected", name, best.correlation.abs().mean(), best.rejected)
        return Growth(
            {name: growing[name].dendrites for name in layers},
            {name: best.correlation.abs().mean().item() for name, best in found.items()},
        )

    def best_candidates(
        self, model: nn.Module, layers: Sequence[str], *, errors: Errors | None, seed: int = 0
    ) -> dict[str, BestCandidates]:
        """Train candidates for the named layers and return the best ones; the model does not change.

        Raises:
            DendriteError: If `errors` is missing or yields no usable error; see `watch`.
        """
        growing = named_layers(model, layers)
        if errors is None:
            raise DendriteError("CorrelationRule needs errors: pass Errors(batches, loss)")
        generator = torch.Generator().manual_seed(seed)
        pools = {name: _CandidatePool(layer, self, generator) for name, layer in growing.items()}
        best: dict[str, Tensor] = {}
        idle = 0
        for number in range(self.passes):
            for observations in watch(model, growing, errors):
                for name, pool in pools.items():
                    pool.climb(observations[name])
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
        for observations in watch(model, growing, errors):
            for name, pool in pools.items():
                pool.measure(observations[name])
        return {name: pool.best() for name, pool in pools.items()}


class _CandidatePool:
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
        self.of_pass = self._moments()
        self.of_all = self._moments()
        # Of each candidate's activation and that of each dendrite the neuron has: [candidate][dendrite].
        self.similarity = [
            [Moments(layer.neurons, layer.weight.device) for _ in range(layer.dendrites)]
            for _ in range(rule.candidates)
        ]
        for tensor in self._parameters():
            tensor.requires_grad_()
        self.optimizer = torch.optim.Adam(self._parameters(), lr=rule.learning_rate, maximize=True)

    def climb(self, observed: Observation) -> None:
        """Take one step up |S| on one batch."""
        earlier = self._earlier(observed)
        gradients = [torch.zeros_like(tensor) for tensor in self._parameters()]
        for c in range(self.rule.candidates):
            parts = (self.weight[c], self.bias[c], self.cascade[c])
            with torch.enable_grad():
                leaves = [part.detach().requires_grad_() for part in parts]
                weight, bias, cascade = leaves
                output = self.layer.activate(observed.x, weight, bias, cascade.unbind(), earlier)
                a = observed.rows(self.layer, output)
            with torch.no_grad():
                self.running[c].fade(self.rule.momentum)
                self.running[c].add(a.detach(), observed.error)
                self.of_pass[c].add(a.detach(), observed.error)
                gradient_a = ascent(a.detach(), observed.error, self.running[c])
            found = torch.autograd.grad(a, leaves, gradient_a, allow_unused=True)
            for gradient, part in zip(gradients, found, strict=True):
                if part is not None:
                    gradient[c] = part
        for tensor, gradient in zip(self._parameters(), gradients, strict=True):
            tensor.grad = _summed(gradient)
        self.optimizer.step()

    def best_so_far(self) -> Tensor:
        """Best |S| (out,) among each neuron's candidates during the last pass; begins the next one."""
        best = torch.stack([m.correlation().abs() for m in self.of_pass]).amax(0)
        self.of_pass = self._moments()
        return best

    @torch.no_grad()
    def measure(self, observed: Observation) -> None:
        """Add one batch to the moments of the |S| and the redundancy that decide."""
        earlier = self._earlier(observed)
        existing = [observed.rows(self.layer, activation) for activation in earlier]
        for c in range(self.rule.candidates):
            weight, bias, cascade = self.weight[c], self.bias[c], self.cascade[c].unbind()
            output = self.layer.activate(observed.x, weight, bias, cascade, earlier)
            a = observed.rows(self.layer, output)
            self.of_all[c].add(a, observed.error)
            for dendrite, activation in enumerate(existing):
                self.similarity[c][dendrite].add(a, activation)

    @torch.no_grad()
    def best(self) -> BestCandidates:
        """Return the candidate with the highest |S| of each neuron that is not redundant."""
        correlation = torch.stack([m.correlation() for m in self.of_all])  # (C, out)
        rejected = torch.zeros_like(correlation, dtype=torch.bool)
        for c, row in enumerate(self.similarity):
            for moments in row:
                rejected[c] |= moments.correlation().abs() > self.rule.redundancy
        rank = torch.where(rejected, -1.0, correlation.abs())
        winner = rank.argmax(0)
        neuron = torch.arange(self.layer.neurons, device=winner.device)
        none = rejected.all(0)
        weight, bias = self.weight[winner, neuron], self.bias[winner, neuron]
        cascade = self.cascade.transpose(1, 2)[winner, neuron].T
        weight[none] = 0.0
        bias[none] = SILENT.get(self.layer.activation, 0.0)
        cascade = torch.where(none, 0.0, cascade)
        best = torch.where(none, 0.0, correlation[winner, neuron])
        return BestCandidates(weight, bias, cascade, best, int(none.sum()))

    def _parameters(self) -> list[Tensor]:
        return [self.weight, self.bias, self.cascade]

    def _moments(self) -> list[Moments]:
        return [Moments(self.layer.neurons, self.layer.weight.device) for _ in range(self.rule.candidates)]

    @torch.no_grad()
    def _earlier(self, observed: Observation) -> list[Tensor]:
        return self.layer.dendrite_activations(observed.x)


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
