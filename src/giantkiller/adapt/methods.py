"""What of a model may learn from decisions, while all else stays frozen."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from giantkiller.adapt.delta import ADDED, DOWN, UP
from giantkiller.adapt.settings import Settings
from giantkiller.dendrites import Dendritic, perforate
from giantkiller.models import PERFORABLE


@dataclass
class Learning:
    """The parameters that learn.

    Attributes:
        parameters: By the name that they have in a delta.
        starts: The values before of those that a delta states as a difference.
    """

    parameters: dict[str, nn.Parameter]
    starts: dict[str, Tensor] = field(default_factory=dict)

    def tensors(self) -> dict[str, Tensor]:
        """Return what a delta of the present values holds."""
        with torch.no_grad():
            return {
                name: (parameter - self.starts[name] if name in self.starts else parameter).clone()
                for name, parameter in self.parameters.items()
            }

    def capture(self) -> list[Tensor]:
        """Copy the present values."""
        return [parameter.detach().clone() for parameter in self.parameters.values()]

    @torch.no_grad()
    def restore(self, values: list[Tensor]) -> None:
        """Return to earlier values."""
        for parameter, value in zip(self.parameters.values(), values, strict=True):
            parameter.copy_(value)


class LowRank(nn.Module):
    """Add the product of two thin matrices to a weight; it is zero at first.

    Hu et al. 2021, "LoRA: Low-rank adaptation of large language models", section 4.1.

    Args:
        weight: What is added to, (out, in).
        rank: Of the product.
        generator: Draws the inner matrix.
    """

    def __init__(self, weight: Tensor, rank: int, generator: torch.Generator) -> None:
        super().__init__()
        out, inputs = weight.shape
        rank = min(rank, out, inputs)
        self.down = nn.Parameter(torch.randn(rank, inputs, generator=generator) * inputs**-0.5)
        self.up = nn.Parameter(torch.zeros(out, rank))

    def forward(self, weight: Tensor) -> Tensor:
        """Return the weight with the product."""
        return weight + self.up @ self.down


def attach(model: nn.Module, settings: Settings) -> Learning:
    """Freeze a model but for what a method lets learn; its outputs don't change.

    Args:
        model: A dendritic BERT; changed in place.
        settings: Whose method, rank and seed count.
    """
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    generator = torch.Generator().manual_seed(settings.seed)
    if settings.method == "low-rank":
        learning = _low_rank(model, settings.rank, generator)
    elif settings.method == "dendrites":
        learning = _dendrites(model, generator)
    else:
        learning = _dense(model, settings.method)
    for parameter in learning.parameters.values():
        parameter.requires_grad_(True)
    return learning


def linear_layers(model: nn.Module) -> dict[str, nn.Linear]:
    """Return the linear layers of the encoder, the pooler and the classifier by name."""
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and re.search(PERFORABLE, name)
    }


def _low_rank(model: nn.Module, rank: int, generator: torch.Generator) -> Learning:
    found: dict[str, nn.Parameter] = {}
    for name, layer in linear_layers(model).items():
        product = LowRank(layer.weight, rank, generator)
        parametrize.register_parametrization(layer, "weight", product)
        found[f"{name}.weight{UP}"], found[f"{name}.weight{DOWN}"] = product.up, product.down
    head = _dense(model, "bias of the head")
    return Learning({**found, **head.parameters}, head.starts)


def _dendrites(model: nn.Module, generator: torch.Generator) -> Learning:
    """Grow a dendrite on each neuron of the layers that have none: a bundle's way back knows one a neuron."""
    plain = [name for name, layer in linear_layers(model).items() if type(layer) is nn.Linear]
    activation = getattr(model.config, "dendrite_activation", "tanh")
    perforate(model, lambda name, _: name in plain, activation=activation)
    found: dict[str, nn.Parameter] = {}
    for name in plain:
        layer = model.get_submodule(name)
        assert isinstance(layer, Dendritic)
        layer.grow(generator=generator)
        for part in ("weight", "bias", "strength"):
            found[f"{name}.dendrite_{part}"] = getattr(layer, f"dendrite_{part}")
    return Learning(found)


def _dense(model: nn.Module, method: str) -> Learning:
    choices: dict[str, Callable[[str], bool]] = {
        "head": lambda name: name in ("classifier.weight", "classifier.bias"),
        "bias of the head": lambda name: name == "classifier.bias",
        "bias": lambda name: name.endswith(".bias") and "dendrite" not in name,
        "full": lambda name: "embeddings" not in name and "phrases" not in name,
    }
    wanted = choices[method]
    chosen = {f"{name}{ADDED}": p for name, p in model.named_parameters() if wanted(name)}
    return Learning(chosen, {name: p.detach().clone() for name, p in chosen.items()})
