"""How new dendrites come to be, and how training treats them afterwards."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from giantkiller.dendrites.linear import DendriteError
from giantkiller.dendrites.perforate import dendritic_layers


@dataclass(frozen=True)
class Errors:
    """Where a rule can see what error remains at each neuron.

    Attributes:
        batches: the data, in an order that is the same every time it is gone through; an iterable that
            can be gone through again (a list, a DataLoader), or a function that makes one.
        loss: the training loss of a batch, a scalar that depends on the model's output.
        mask: tells which positions of a batch count: a boolean tensor of the shape that a layer's output
            has without its neuron axis, such as (batch, tokens). None if all do. Layers that have one
            position a sample, such as a pooler, count every sample.
    """

    batches: Iterable[Any] | Callable[[], Iterable[Any]]
    loss: Callable[[nn.Module, Any], Tensor]
    mask: Callable[[Any], Tensor] | None = None

    def passes(self) -> Iterable[Any]:
        """Go through the data once more."""
        return self.batches() if callable(self.batches) else self.batches


@dataclass(frozen=True)
class Growth:
    """What a rule did.

    Attributes:
        grown: the layers that got dendrites, with the number that they have now.
        correlations: mean |S| over the neurons of each layer, where the rule measures it.
    """

    grown: dict[str, int]
    correlations: dict[str, float] = field(default_factory=dict)


class Rule(Protocol):
    """Something that grows dendrites on a model, in place and without changing its outputs."""

    def grow(
        self, model: nn.Module, layers: Sequence[str], *, errors: Errors | None = None, seed: int = 0
    ) -> Growth:
        """Give new dendrites to each neuron of the named layers."""
        ...


@dataclass(frozen=True)
class GradientRule:
    """New dendrites train with everything else, by ordinary backpropagation.

    A new dendrite has strength 0, so its own weights get no gradient until the strength has moved.

    Attributes:
        dendrites: how many dendrites each neuron gets in one attempt.
        scale: factor on the drawn input weights and biases; 1 draws as `nn.Linear` does.
    """

    dendrites: int = 1
    scale: float = 1.0

    def grow(
        self, model: nn.Module, layers: Sequence[str], *, errors: Errors | None = None, seed: int = 0
    ) -> Growth:
        """Give freshly drawn dendrites to each neuron of the named layers.

        Args:
            model: a perforated model.
            layers: names of its layers that are to grow.
            errors: not needed by this rule.
            seed: of the drawn weights.

        Raises:
            DendriteError: a name that is no dendritic layer of the model.
        """
        there = dendritic_layers(model)
        for name in layers:
            if name not in there:
                raise DendriteError(f"no dendritic layer {name!r} in this model: perforate it first")
        generator = torch.Generator().manual_seed(seed)
        for name in layers:
            layer = there[name]
            layer.grow(self.dendrites, scale=self.scale, generator=generator)
            # Whatever grew these dendrites before, from now on they all learn as everything else does.
            layer.detached = False
            for tensor in (layer.dendrite_weight, layer.dendrite_bias, layer.dendrite_cascade):
                if tensor is not None:
                    tensor.requires_grad_(True)
        return Growth({name: there[name].dendrites for name in layers})
