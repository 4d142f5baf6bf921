"""How new dendrites come to be, and how training treats them afterwards."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import nn

from giantkiller.dendrites.error_signal import Errors
from giantkiller.dendrites.exceptions import DendriteError
from giantkiller.dendrites.perforate import named_layers


@dataclass(frozen=True)
class Growth:
    """Result of a rule.

    Attributes:
        grown: Number of dendrites, after growth, of each layer that grew.
        correlations: Mean |S| over the neurons of each layer, where the rule measures it.
    """

    grown: dict[str, int]
    correlations: dict[str, float] = field(default_factory=dict)


class Rule(Protocol):
    """Something that grows dendrites on a model, in place and without changing its outputs."""

    @property
    def dendrites(self) -> int:
        """Number of dendrites that each neuron gets in one attempt."""
        ...

    def grow(
        self, model: nn.Module, layers: Sequence[str], *, errors: Errors | None = None, seed: int = 0
    ) -> Growth:
        """Add dendrites to each neuron of the named layers."""
        ...


@dataclass(frozen=True)
class GradientRule:
    """New dendrites train with everything else, by ordinary backpropagation.

    A new dendrite has strength 0, so its own weights get no gradient until the strength has moved.

    Attributes:
        dendrites: Number of dendrites that each neuron gets in one attempt.
        scale: Factor on the drawn input weights and biases; 1 draws as `nn.Linear` does.
    """

    dendrites: int = 1
    scale: float = 1.0

    def __post_init__(self) -> None:
        if self.dendrites < 1:
            raise DendriteError("GradientRule needs dendrites of at least 1")

    def grow(
        self, model: nn.Module, layers: Sequence[str], *, errors: Errors | None = None, seed: int = 0
    ) -> Growth:
        """Add freshly drawn dendrites to each neuron of the named layers.

        Args:
            model: A perforated model.
            layers: Names of its layers that grow.
            errors: Not needed by this rule.
            seed: Seed of the drawn weights.

        Raises:
            DendriteError: If a name is no dendritic layer of the model.
        """
        growing = named_layers(model, layers)
        generator = torch.Generator().manual_seed(seed)
        for layer in growing.values():
            layer.grow(self.dendrites, scale=self.scale, generator=generator)
            # Whatever grew these dendrites before, from now on they all learn as everything else does.
            layer.freeze_dendrites(False)
        return Growth({name: growing[name].dendrites for name in layers})
